"""Hyper-parameter search as a step of the pipeline."""
