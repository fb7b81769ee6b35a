"""The loop of a run: steps, snapshots, checkpoints, and the four ways in which it ends."""

import dataclasses
import math
from typing import Any

import tensorflow as tf

from trainer.model.two_tower import TwoTower
from trainer.spec.config import Config
from trainer.training.batches import Batches
from trainer.training.checkpoints import Checkpoints
from trainer.training.distributed.preemption import Preempted, Preemption
from trainer.training.distributed.strategy import cluster_size
from trainer.training.divergence_guard import Guard, stop_message
from trainer.training.gradient_shares import GradientShares
from trainer.training.progress import Progress
from trainer.training.schedule import Plan, Rate
from trainer.training.snapshot import Snapshots, Validation
from trainer.training.steps import Measured, Steps

# What the operations between workers end with when one of them does not answer.
_CONNECTION_ERRORS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError)


class WorkerGone(RuntimeError):
    """Another worker of the job does not answer any more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What a loop works with.

    Attributes:
      config: The configuration.
      plan: How many updates.
      model: Its variables are trained.
      rate: The learning rate of each update.
      batches: Training rows.
      steps: The compiled step of `model` and `optimizer`.
      snapshots: Refreshes the vectors that histories are read from.
      validation: Measures the held-out recall, for early stopping.
      checkpoints: Newest states.
      best: The state with the best held-out recall.
      progress: What a person sees.
      preemption: Whether the run was asked to stop.
      is_chief: Whether this process writes checkpoints.
    """

    config: Config
    plan: Plan
    model: TwoTower
    rate: Rate
    batches: Batches
    steps: Steps
    snapshots: Snapshots
    validation: Validation
    checkpoints: Checkpoints
    best: Checkpoints
    progress: Progress
    preemption: Preemption
    is_chief: bool


class Loop:
    """Trains to the end of the plan, from wherever the last checkpoint is.

    Everything that the rest of a run follows from is in a checkpoint: weights, optimizer, snapshot, the number of
    updates (from which data order and random numbers follow), the guard's and early stopping's memory.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wants_recall = parts.config.train.patience > 0
        self._step = 0
        self._shares = GradientShares(parts.model)
        self._guard = Guard(max_growth=parts.config.train.max_loss_growth)
        self._best_recall = -math.inf
        self._best_step = 0
        self._ended = False

    def run(self) -> None:
        """Restores the last checkpoint and goes on to the end; a run that has ended is left as it ended.

        Raises:
          Preempted: The run was asked to stop; a checkpoint was written.
          FloatingPointError: A loss is no number or has exploded; the last good checkpoint is kept.
          CheckpointError: A checkpoint could not be written; the last good one is kept.
          WorkerGone: Another worker of the job is gone. Its connections tell at once; where they do not, TensorFlow's
            check of the cluster does, every 30 s.
        """
        try:
            self._run()
        except _CONNECTION_ERRORS as error:
            if cluster_size() < 2:
                raise
            kept = self._parts.checkpoints.steps()
            last = f"the checkpoint of step {kept[-1]} is intact" if kept else "there is no checkpoint yet"
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise WorkerGone(
                f"Another worker of the job is gone ({reason}); {last}. Start all workers again to continue."
            ) from error

    def _run(self) -> None:
        parts = self._parts
        state = parts.checkpoints.restore()
        self._take_up(state or {})
        if state is None:
            parts.snapshots.refresh()
        parts.progress.start(self._step, (state or {}).get("history", []))
        if not self._ended:
            iterator = parts.steps.batches(parts.batches, self._step, parts.config.run)
            with parts.preemption.deferred():
                while not self._ended:
                    self._one(iterator)
        if self._wants_recall and self._best_step:
            parts.best.restore()

    def _one(self, iterator: Any) -> None:
        """One update, and what is due after it."""
        parts, run = self._parts, self._parts.config.run
        measured = parts.steps.step(iterator, self._step, stopping=parts.preemption.requested)
        self._refuse_bad(measured)
        rate = float(parts.rate(self._step))
        parts.steps.update()
        self._step += 1
        parts.progress.step(self._step, measured, rate=rate)
        if parts.is_chief and run.gradient_share_every_steps and self._step % run.gradient_share_every_steps == 0:
            batch = parts.batches.batch((self._step - 1) * parts.config.train.gradient_accumulation_steps)
            parts.progress.shares(self._step, self._shares.of(batch))
        self._ended = self._step >= parts.plan.steps
        if self._ended or self._step % parts.plan.epoch_steps == 0:
            self._end_epoch(measured)
        if self._ended or measured.stopping or self._step % run.checkpoint_every_steps == 0:
            self._save(parts.checkpoints)
        if measured.stopping and not self._ended:
            raise Preempted(
                f"The run was asked to stop and stopped after step {self._step} of {parts.plan.steps}; "
                "its checkpoint is written. Start again to continue."
            )

    def _end_epoch(self, measured: Measured) -> None:
        parts = self._parts
        parts.snapshots.refresh()
        recall = parts.steps.agree(parts.validation.recall()) if self._wants_recall else float("nan")
        parts.progress.epoch(self._step, total=measured.total, recall=recall)
        if recall > self._best_recall:
            self._best_recall, self._best_step = recall, self._step
            self._save(parts.best)
        elif self._wants_recall and self._step - self._best_step >= (
            parts.config.train.patience * parts.plan.epoch_steps
        ):
            self._ended = True

    def _refuse_bad(self, measured: Measured) -> None:
        fault = self._guard.fault(measured)
        if not fault:
            return
        parts, accumulate = self._parts, self._parts.config.train.gradient_accumulation_steps
        numbers = range(self._step * accumulate, (self._step + 1) * accumulate)
        rows = [parts.batches.batch(number) for number in numbers]
        raise FloatingPointError(stop_message(parts.model, rows, fault=fault, step=self._step))

    def _save(self, checkpoints: Checkpoints) -> None:
        if not self._parts.is_chief:
            return
        best = {"recall": self._best_recall, "step": self._best_step} if self._best_step else {}
        checkpoints.save(
            self._step,
            {
                "guard": self._guard.state(),
                "best": best,
                "ended": self._ended,
                "history": self._parts.progress.history,
            },
        )

    def _take_up(self, state: dict[str, Any]) -> None:
        self._step = state.get("step", 0)
        self._guard = Guard(max_growth=self._parts.config.train.max_loss_growth, state=state.get("guard"))
        best = state.get("best") or {}
        self._best_recall, self._best_step = best.get("recall", -math.inf), best.get("step", 0)
        self._ended = bool(state.get("ended")) or self._step >= self._parts.plan.steps
