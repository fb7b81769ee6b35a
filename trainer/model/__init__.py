"""Towers and the two-tower model, built from the configuration."""

from trainer import require_keras_2

require_keras_2()
