"""Training loop: steps, snapshots, checkpoints, early stopping and preemption."""

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
from trainer.training.divergence_guard import DivergenceGuard, stop_message
from trainer.training.gradient_shares import GradientShares
from trainer.training.progress import TrainingProgress
from trainer.training.schedule import LearningRate, TrainingPlan
from trainer.training.snapshot import Snapshots, Validation
from trainer.training.steps import StepMetrics, TrainStep

# Errors of the operations between workers when one of them does not answer.
_CONNECTION_ERRORS = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError)


class WorkerLostError(RuntimeError):
    """Another worker of the job does not answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopContext:
    """Everything a training loop works with.

    Attributes:
      config: The configuration.
      plan: Number of updates.
      model: Its variables are trained.
      rate: The learning rate of each update.
      batches: Training rows.
      train_step: The compiled step of model and optimizer.
      snapshots: Refreshes the item vectors that histories are read from.
      validation: Measures the held-out recall, for early stopping.
      checkpoints: Newest states.
      best: The state with the best held-out recall.
      progress: Record of the run.
      preemption: Whether the run was asked to stop.
      is_chief: Whether this process writes checkpoints.
    """

    config: Config
    plan: TrainingPlan
    model: TwoTower
    rate: LearningRate
    batches: Batches
    train_step: TrainStep
    snapshots: Snapshots
    validation: Validation
    checkpoints: Checkpoints
    best: Checkpoints
    progress: TrainingProgress
    preemption: Preemption
    is_chief: bool


class TrainingLoop:
    """Trains to the end of the plan, from the last checkpoint.

    A checkpoint holds everything that the rest of a run follows from: weights, optimizer, snapshot, the number of
    updates (from which data order and random numbers follow), the state of the divergence guard and of early stopping.

    Attributes:
      context: Everything the loop works with.
    """

    def __init__(self, context: LoopContext) -> None:
        self.context = context
        self._measures_recall = context.config.train.patience > 0
        self._step = 0
        self._shares = GradientShares(context.model)
        self._guard = DivergenceGuard(max_growth=context.config.train.max_loss_growth)
        self._best_recall = -math.inf
        self._best_step = 0
        self._ended = False

    def run(self) -> None:
        """Restores the last checkpoint and trains to the end; a run that has ended is left as it ended.

        Raises:
          Preempted: The run was asked to stop; a checkpoint was written.
          FloatingPointError: A loss is NaN or infinite, or has exploded; the last good checkpoint is kept.
          CheckpointError: A checkpoint could not be written; the last good one is kept.
          WorkerLostError: Another worker of the job is gone. Its connections show it at once; where they do not,
            TensorFlow's check of the cluster does, every 30 s.
        """
        try:
            self._run()
        except _CONNECTION_ERRORS as error:
            if cluster_size() < 2:
                raise
            kept = self.context.checkpoints.steps()
            last = f"the checkpoint of step {kept[-1]} is intact" if kept else "there is no checkpoint yet"
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise WorkerLostError(
                f"Another worker of the job is gone ({reason}); {last}. Start all workers again to continue."
            ) from error

    def _run(self) -> None:
        context = self.context
        state = context.checkpoints.restore()
        self._restore_state(state or {})
        if state is None:
            context.snapshots.refresh()
        context.progress.start(self._step, (state or {}).get("history", []))
        if not self._ended:
            iterator = context.train_step.batches(context.batches, self._step, context.config.run)
            with context.preemption.deferred():
                while not self._ended:
                    self._train_step(iterator)
        if self._measures_recall and self._best_step:
            context.best.restore()

    def _train_step(self, iterator: Any) -> None:
        """One update, then its checkpoint, epoch end and gradient shares where they are due."""
        context, run = self.context, self.context.config.run
        metrics = context.train_step.step(iterator, self._step, stopping=context.preemption.requested)
        self._check_finite(metrics)
        rate = float(context.rate(self._step))
        context.train_step.update()
        self._step += 1
        context.progress.step(self._step, metrics, rate=rate)
        if context.is_chief and run.gradient_share_every_steps and self._step % run.gradient_share_every_steps == 0:
            batch = context.batches.batch((self._step - 1) * context.config.train.gradient_accumulation_steps)
            context.progress.shares(self._step, self._shares.measure(batch))
        self._ended = self._step >= context.plan.steps
        if self._ended or self._step % context.plan.epoch_steps == 0:
            self._end_epoch(metrics)
        if self._ended or metrics.stopping or self._step % run.checkpoint_every_steps == 0:
            self._save(context.checkpoints)
        if metrics.stopping and not self._ended:
            raise Preempted(
                f"The run was asked to stop and stopped after step {self._step} of {context.plan.steps}; "
                "its checkpoint is written. Start again to continue."
            )

    def _end_epoch(self, metrics: StepMetrics) -> None:
        context = self.context
        context.snapshots.refresh()
        recall = (
            context.train_step.all_reduce_mean(context.validation.recall()) if self._measures_recall else float("nan")
        )
        context.progress.epoch(self._step, total=metrics.total, recall=recall)
        if recall > self._best_recall:
            self._best_recall, self._best_step = recall, self._step
            self._save(context.best)
        elif self._measures_recall and self._step - self._best_step >= (
            context.config.train.patience * context.plan.epoch_steps
        ):
            self._ended = True

    def _check_finite(self, metrics: StepMetrics) -> None:
        problem = self._guard.problem(metrics)
        if not problem:
            return
        context = self.context
        accumulate = context.config.train.gradient_accumulation_steps
        numbers = range(self._step * accumulate, (self._step + 1) * accumulate)
        rows = [context.batches.batch(number) for number in numbers]
        raise FloatingPointError(stop_message(context.model, rows, problem=problem, step=self._step))

    def _save(self, checkpoints: Checkpoints) -> None:
        if not self.context.is_chief:
            return
        best = {"recall": self._best_recall, "step": self._best_step} if self._best_step else {}
        checkpoints.save(
            self._step,
            {
                "guard": self._guard.state(),
                "best": best,
                "ended": self._ended,
                "history": self.context.progress.history,
            },
        )

    def _restore_state(self, state: dict[str, Any]) -> None:
        self._step = state.get("step", 0)
        self._guard = DivergenceGuard(max_growth=self.context.config.train.max_loss_growth, state=state.get("guard"))
        best = state.get("best") or {}
        self._best_recall, self._best_step = best.get("recall", -math.inf), best.get("step", 0)
        self._ended = bool(state.get("ended")) or self._step >= self.context.plan.steps
