"""The parts of a training run: steps, loop, checkpoints, what stops it and what a person sees of it."""

from trainer import require_keras_2

require_keras_2()
