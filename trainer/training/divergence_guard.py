"""Divergence guard: detects a loss that is NaN, infinite or explodes, and names the head and feature at fault."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower
from trainer.spec.features import Side
from trainer.training.steps import StepMetrics

_FIRST_STEPS = 10
_SMOOTHING = 0.8
_KEYS = {Side.ITEM: "items", Side.QUERY: "query"}


class DivergenceGuard:
    """Running statistics of the loss of every head, and the check of them.

    Attributes:
      start: Mean loss of each head over the first steps.
      smooth: Running mean of each head's loss.
      seen: Steps counted.
    """

    def __init__(self, *, max_growth: float, state: Mapping[str, Any] | None = None) -> None:
        """Starts empty, or from a saved `state`."""
        state = state or {}
        self._max_growth = max_growth
        self.start: dict[str, float] = dict(state.get("start", {}))
        self.smooth: dict[str, float] = dict(state.get("smooth", {}))
        self.seen: int = state.get("seen", 0)

    def state(self) -> dict[str, Any]:
        """Returns the plain values that a checkpoint keeps."""
        return {"start": dict(self.start), "smooth": dict(self.smooth), "seen": self.seen}

    def problem(self, metrics: StepMetrics) -> str:
        """Counts a step and returns the problem of its losses, "" where there is none.

        A head has exploded when its running mean is more than `max_growth` times that of its first steps, or of 1.
        """
        if not metrics.is_finite():
            bad = [name for name, loss in metrics.losses.items() if not np.isfinite(loss)]
            return f"the loss of {bad[0]!r} is {metrics.losses[bad[0]]}" if bad else "the gradient is not finite"
        for name, loss in metrics.losses.items():
            if self.seen < _FIRST_STEPS:
                self.start[name] = (self.start.get(name, 0.0) * self.seen + loss) / (self.seen + 1)
                self.smooth[name] = self.start[name]
                continue
            self.smooth[name] = _SMOOTHING * self.smooth[name] + (1.0 - _SMOOTHING) * loss
            limit = self._max_growth * max(1.0, self.start[name])
            if self._max_growth and self.smooth[name] > limit:
                return f"the loss of {name!r} rose to {loss:.4g} from {self.start[name]:.4g} at the start"
        self.seen += 1
        return ""


def stop_message(model: TwoTower, batches: Sequence[Mapping[str, Any]], *, problem: str, step: int) -> str:
    """Returns the error message: the problem, the head and the feature that first went bad, and what to do."""
    return (
        f"Training stopped at step {step}: {problem}. {diagnose(model, batches)} "
        "The last checkpoint before it is kept. Lower train.learning_rate, or fix that feature's values."
    )


def diagnose(model: TwoTower, batches: Sequence[Mapping[str, Any]]) -> str:
    """Names the head and the feature that first went bad in `batches`, under the present weights."""
    for batch in batches:
        bad_input = _first_non_finite_input(batch)
        losses, norms = _loss_gradients(model, batch)
        bad = [name for name, values in norms.items() if not np.isfinite([losses[name], *values.values()]).all()]
        if bad_input:
            head = bad[0] if bad else next(iter(losses))
            return f"First bad: feature {bad_input}, seen in head {head!r}."
        if bad:
            branches = [branch for branch, norm in norms[bad[0]].items() if not np.isfinite(norm)]
            where = f"the branch {branches[0]!r}" if branches else "the head itself, not a branch"
            return f"First bad: head {bad[0]!r}, in {where}; the inputs of this worker are finite."
    head = max(losses, key=losses.__getitem__)
    steepest = max(norms[head], key=norms[head].__getitem__)
    return f"First bad: head {head!r}; its steepest branch is {steepest!r} (gradient norm {norms[head][steepest]:.3g})."


def _first_non_finite_input(batch: Mapping[str, Any]) -> str:
    """The first feature with a NaN or infinite value, and its row of the store; "" where there is none."""
    for side, key in _KEYS.items():
        for name, values in batch[key].items():
            values = np.asarray(values)
            if values.dtype.kind != "f" or np.isfinite(values).all():
                continue
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            where = f" (store row {int(batch['item_rows'][row])})" if side is Side.ITEM else ""
            return f"{name!r} of the {side.value} side{where}"
    return ""


class _LossGradients(NamedTuple):
    """The loss of each head, and by head and branch the norm of the gradient of that branch's weights."""

    losses: dict[str, float]
    norms: dict[str, dict[str, float]]


def _loss_gradients(model: TwoTower, batch: Mapping[str, Any]) -> _LossGradients:
    encoders = {**model.item_tower.encoders, **model.query_tower.encoders}
    variables = {name: encoder.trainable_variables for name, encoder in encoders.items()}
    tensors = tf.nest.map_structure(tf.constant, dict(batch))
    with tf.GradientTape(persistent=True) as tape:
        losses = model.objective.losses(model.encode_batch(tensors), tensors)
    norms = {
        task: {
            name: float(tf.linalg.global_norm([g for g in gradients if g is not None] or [0.0]))
            for name, gradients in tape.gradient(loss, variables).items()
        }
        for task, loss in losses.items()
    }
    return _LossGradients({task: float(loss) for task, loss in losses.items()}, norms)
