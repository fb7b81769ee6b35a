"""From the configuration to layers: towers and the two-tower model."""

from trainer import require_keras_2

require_keras_2()
