"""Training schedule: number of updates, learning rate and optimizer."""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import tensorflow as tf

from trainer.spec.training import LrScaling, Schedule, TrainConfig

_SCALING_POWER = {LrScaling.NONE: 0.0, LrScaling.SQRT: 0.5, LrScaling.LINEAR: 1.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Number of updates of a run.

    Attributes:
      epochs: Rounds between snapshots of the item vectors.
      epoch_steps: Updates of an epoch.
      steps: Updates of the run.
    """

    epochs: int
    epoch_steps: int
    steps: int

    @classmethod
    def from_config(cls, train: TrainConfig, batches_per_epoch: int) -> "TrainingPlan":
        """Returns the plan of a configuration: its epochs, cut at `max_steps` where that is given."""
        epoch_steps = -(-batches_per_epoch // train.gradient_accumulation_steps)
        steps = train.epochs * epoch_steps
        if train.max_steps:
            steps = min(steps, train.max_steps)
        return cls(epochs=-(-steps // epoch_steps), epoch_steps=epoch_steps, steps=steps)


def peak_learning_rate(train: TrainConfig, *, replicas: int) -> float:
    """Returns the peak learning rate of a run, scaled by its effective batch size.

    An update takes replicas × gradient_accumulation_steps batches. Scaling by the square root of that is the rule for
    Adam (https://arxiv.org/abs/2205.10287), linear scaling that of SGD (https://arxiv.org/abs/1706.02677).
    """
    return float(
        train.learning_rate * (replicas * train.gradient_accumulation_steps) ** _SCALING_POWER[train.lr_scaling]
    )


class LearningRate(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate schedule: linear warmup from 0 to `peak`, then `schedule`, which reaches 0 at `steps`."""

    def __init__(self, *, peak: float, steps: int, warmup_fraction: float, schedule: Schedule) -> None:
        super().__init__()
        self.peak = peak
        self.steps = steps
        self.warmup_fraction = warmup_fraction
        self.schedule = schedule

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of update `step`, counted from 0."""
        warmup = max(1, int(self.steps * self.warmup_fraction)) if self.warmup_fraction else 0
        step = tf.cast(step, tf.float32)
        done = tf.clip_by_value((step - warmup) / max(1, self.steps - warmup), 0.0, 1.0)
        remaining = {
            Schedule.COSINE: lambda: 0.5 * (1.0 + tf.cos(math.pi * done)),
            Schedule.LINEAR: lambda: 1.0 - done,
            Schedule.CONSTANT: lambda: tf.ones_like(done),
        }[self.schedule]()
        warmed_up = tf.minimum(step / warmup, 1.0) if warmup else 1.0
        return self.peak * tf.where(step < warmup, warmed_up, remaining)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = ("peak", "steps", "warmup_fraction", "schedule")
        return {name: getattr(self, name) for name in names}


def make_learning_rate(train: TrainConfig, steps: int, *, replicas: int = 1) -> LearningRate:
    """Returns the learning rate schedule of a run of `steps` updates."""
    return LearningRate(
        peak=peak_learning_rate(train, replicas=replicas),
        steps=steps,
        warmup_fraction=train.warmup_fraction,
        schedule=train.schedule,
    )


class AdamW(tf.keras.optimizers.AdamW):
    """Keras's AdamW with a learning rate multiplier for some variables."""

    def __init__(
        self, rate: LearningRate, *, scaled: Collection[tf.Variable], multiplier: float, weight_decay: float
    ) -> None:
        super().__init__(rate, weight_decay=weight_decay)
        self._scaled = {self._var_key(variable) for variable in scaled}
        self._multiplier = multiplier

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """See Keras."""
        if self._var_key(variable) not in self._scaled:
            super().update_step(gradient, variable)
            return
        before = tf.identity(variable)
        super().update_step(gradient, variable)
        variable.assign(before + self._multiplier * (variable - before))


def make_optimizer(
    train: TrainConfig, rate: LearningRate, *, pretrained: Collection[tf.Variable] = ()
) -> tf.keras.optimizers.Optimizer:
    """Returns AdamW for clipped gradients, with `pretrained_lr_multiplier` for the variables of `pretrained`."""
    optimizer = AdamW(
        rate, scaled=pretrained, multiplier=train.pretrained_lr_multiplier, weight_decay=train.weight_decay
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
