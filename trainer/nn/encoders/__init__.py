"""Encoders: model inputs of one modality to a vector."""
