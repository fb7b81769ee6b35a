"""Keras layers with flat arguments; nothing here reads the configuration."""

from trainer import require_keras_2

require_keras_2()
