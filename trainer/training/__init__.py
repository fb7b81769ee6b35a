"""Training loop and its parts: batches, steps, schedule, checkpoints, calibration and warm start."""

from trainer import require_keras_2

require_keras_2()
