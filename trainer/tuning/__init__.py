"""Hyper-parameter search as a step of the pipeline."""

from trainer import require_keras_2

require_keras_2()
