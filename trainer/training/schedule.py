"""How many updates a run makes, and with which learning rate."""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import tensorflow as tf

from trainer.spec.training import LrScaling, Schedule, TrainConfig

_SCALING_POWER = {LrScaling.NONE: 0.0, LrScaling.SQRT: 0.5, LrScaling.LINEAR: 1.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How many updates a run makes.

    Attributes:
      epochs: Rounds between snapshots of the item vectors.
      epoch_steps: Updates in each.
      steps: All of them.
    """

    epochs: int
    epoch_steps: int
    steps: int

    @classmethod
    def of(cls, train: TrainConfig, batches_per_epoch: int) -> "Plan":
        """The plan of a configuration: its epochs, cut at `max_steps` where that is given."""
        epoch_steps = -(-batches_per_epoch // train.gradient_accumulation_steps)
        steps = train.epochs * epoch_steps
        if train.max_steps:
            steps = min(steps, train.max_steps)
        return cls(epochs=-(-steps // epoch_steps), epoch_steps=epoch_steps, steps=steps)


def peak_rate(train: TrainConfig, *, replicas: int) -> float:
    """The highest learning rate of a run.

    An update sees replicas × accumulate times the rows of one batch. The square root of that is the rule for Adam
    (https://arxiv.org/abs/2205.10287); linear is that of plain gradient descent (https://arxiv.org/abs/1706.02677).
    """
    return float(
        train.learning_rate * (replicas * train.gradient_accumulation_steps) ** _SCALING_POWER[train.lr_scaling]
    )


class Rate(tf.keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each update: a climb from 0 to `peak`, then what `schedule` says, to 0 at `steps`."""

    def __init__(self, *, peak: float, steps: int, warmup_fraction: float, schedule: Schedule) -> None:
        super().__init__()
        self.peak = peak
        self.steps = steps
        self.warmup_fraction = warmup_fraction
        self.schedule = schedule

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of update `step`, from 0."""
        warmup = max(1, int(self.steps * self.warmup_fraction)) if self.warmup_fraction else 0
        step = tf.cast(step, tf.float32)
        done = tf.clip_by_value((step - warmup) / max(1, self.steps - warmup), 0.0, 1.0)
        left = {
            Schedule.COSINE: lambda: 0.5 * (1.0 + tf.cos(math.pi * done)),
            Schedule.LINEAR: lambda: 1.0 - done,
            Schedule.CONSTANT: lambda: tf.ones_like(done),
        }[self.schedule]()
        climbed = tf.minimum(step / warmup, 1.0) if warmup else 1.0
        return self.peak * tf.where(step < warmup, climbed, left)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("peak", "steps", "warmup_fraction", "schedule")
        return {name: getattr(self, name) for name in names}


def make_rate(train: TrainConfig, steps: int, *, replicas: int = 1) -> Rate:
    """The learning rate of a run of `steps` updates."""
    return Rate(
        peak=peak_rate(train, replicas=replicas),
        steps=steps,
        warmup_fraction=train.warmup_fraction,
        schedule=train.schedule,
    )


class AdamW(tf.keras.optimizers.AdamW):
    """Keras's AdamW, which moves some variables by a share of what it finds for them only."""

    def __init__(self, rate: Rate, *, slow: Collection[tf.Variable], share: float, weight_decay: float) -> None:
        super().__init__(rate, weight_decay=weight_decay)
        self._slow = {self._var_key(variable) for variable in slow}
        self._share = share

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """See Keras."""
        if self._var_key(variable) not in self._slow:
            super().update_step(gradient, variable)
            return
        before = tf.identity(variable)
        super().update_step(gradient, variable)
        variable.assign(before + self._share * (variable - before))


def make_optimizer(
    train: TrainConfig, rate: Rate, *, pretrained: Collection[tf.Variable] = ()
) -> tf.keras.optimizers.Optimizer:
    """AdamW. Gradients are clipped before they reach it; `pretrained` moves at its share of the rate."""
    optimizer = AdamW(rate, slow=pretrained, share=train.pretrained_lr_multiplier, weight_decay=train.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer
