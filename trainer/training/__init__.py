"""The parts of a training run: steps, loop, checkpoints, what stops it and what a person sees of it."""
