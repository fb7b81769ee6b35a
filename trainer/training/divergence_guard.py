"""Stops a run whose loss is no number any more, or explodes, and says which head and which feature first went bad."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower
from trainer.spec.features import Side
from trainer.training.steps import Measured

_FIRST_STEPS = 10
_SMOOTHING = 0.8
_KEYS = {Side.ITEM: "items", Side.QUERY: "query"}


class Guard:
    """Watches the losses of every head.

    Attributes:
      start: Mean loss of each head over the first steps.
      smooth: Running mean of each head's loss.
      seen: Steps watched.
    """

    def __init__(self, *, max_growth: float, state: Mapping[str, Any] | None = None) -> None:
        """Begins, or goes on from what `state` was."""
        state = state or {}
        self._max_growth = max_growth
        self.start: dict[str, float] = dict(state.get("start", {}))
        self.smooth: dict[str, float] = dict(state.get("smooth", {}))
        self.seen: int = state.get("seen", 0)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"start": dict(self.start), "smooth": dict(self.smooth), "seen": self.seen}

    def fault(self, measured: Measured) -> str:
        """What is wrong with the losses of a step, "" if nothing; the step counts as watched.

        A head has exploded when its running mean is more than `max_growth` times that of its first steps, or of 1.
        """
        if not measured.is_finite():
            bad = [name for name, loss in measured.losses.items() if not np.isfinite(loss)]
            return f"the loss of {bad[0]!r} is {measured.losses[bad[0]]}" if bad else "the gradient is not finite"
        for name, loss in measured.losses.items():
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


def stop_message(model: TwoTower, batches: Sequence[Mapping[str, Any]], *, fault: str, step: int) -> str:
    """Why the run stops: the fault, the head and the feature that first went bad, and what to do."""
    return (
        f"Training stopped at step {step}: {fault}. {diagnose(model, batches)} "
        "The last checkpoint before it is kept. Lower train.learning_rate, or mend that feature's values."
    )


def diagnose(model: TwoTower, batches: Sequence[Mapping[str, Any]]) -> str:
    """Which head and which feature first went bad in these batches, with the weights as they are now."""
    for batch in batches:
        odd = _odd_inputs(batch)
        losses, norms = _gradients(model, batch)
        bad = [name for name, values in norms.items() if not np.isfinite([losses[name], *values.values()]).all()]
        if odd:
            head = bad[0] if bad else next(iter(losses))
            return f"First bad: feature {odd}, seen in head {head!r}."
        if bad:
            branches = [branch for branch, norm in norms[bad[0]].items() if not np.isfinite(norm)]
            where = f"the branch {branches[0]!r}" if branches else "the head itself, not a branch"
            return f"First bad: head {bad[0]!r}, in {where}; the inputs of this worker are finite."
    head = max(losses, key=losses.__getitem__)
    steepest = max(norms[head], key=norms[head].__getitem__)
    return f"First bad: head {head!r}; its steepest branch is {steepest!r} (gradient norm {norms[head][steepest]:.3g})."


def _odd_inputs(batch: Mapping[str, Any]) -> str:
    """The first feature with a value that is no number, and in which row of the store; "" if there is none."""
    for side, key in _KEYS.items():
        for name, values in batch[key].items():
            values = np.asarray(values)
            if values.dtype.kind != "f" or np.isfinite(values).all():
                continue
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            place = f" (store row {int(batch['item_rows'][row])})" if side is Side.ITEM else ""
            return f"{name!r} of the {side.value} side{place}"
    return ""


def _gradients(model: TwoTower, batch: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The loss of each head, and by head and branch the norm of the gradient of that branch's weights."""
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
    return {task: float(loss) for task, loss in losses.items()}, norms
