"""Encoders: model tensors of one modality to a vector."""
