"""Exact evaluation with baselines, and its report."""

from trainer import require_keras_2

require_keras_2()
