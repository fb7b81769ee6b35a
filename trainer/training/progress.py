"""Training progress: log lines with speed and time left, TensorBoard scalars, and the history of epochs."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.spec.branches import branches_of
from trainer.spec.features import Side
from trainer.training.schedule import TrainingPlan
from trainer.training.snapshot import METRIC
from trainer.training.steps import StepMetrics

_LOG = logging.getLogger(__name__)
_LINE_SECONDS = 30.0


class TrainingProgress:
    """The progress of a run.

    Attributes:
      history: One entry for each finished epoch: `epoch`, `step`, `seconds`, `examples_per_second`, `losses` by task
        (mean over the epoch) and, where it was measured, `recall@10`.
    """

    def __init__(self, plan: TrainingPlan, *, rows_per_step: int, log_dir: str, log_steps: int, writes: bool) -> None:
        """Opens the TensorBoard log.

        Args:
          plan: Number of updates.
          rows_per_step: Training rows of one update, all replicas together.
          log_dir: Folder for TensorBoard.
          log_steps: Updates between scalars.
          writes: Whether this process logs; the others stay silent.
        """
        self.history: list[dict[str, Any]] = []
        self._plan = plan
        self._rows = rows_per_step
        self._log_steps = log_steps
        self._writes = writes
        self._writer = tf.summary.create_file_writer(log_dir) if writes else tf.summary.create_noop_writer()
        self._losses: list[Mapping[str, float]] = []

    def start(self, step: int, history: list[dict[str, Any]]) -> None:
        """Starts the clock at `step`, after the epochs of `history`."""
        self.history = list(history)
        self._first = self._epoch_first = step
        self._started = self._epoch_started = self._last_line = time.monotonic()
        if step and self._writes:
            _LOG.info("continuing at step %d of %d", step, self._plan.steps)

    def step(self, step: int, metrics: StepMetrics, *, rate: float) -> None:
        """Records update `step` with its metrics and learning rate."""
        self._losses.append(metrics.losses)
        if self._writes and step % self._log_steps == 0:
            self._write_scalars(step, metrics, rate)
        if time.monotonic() - self._last_line > _LINE_SECONDS and step % self._plan.epoch_steps:
            self._log_line(step, metrics.total)

    def shares(self, step: int, shares: Mapping[str, float]) -> None:
        """Records the gradient share of each head after `step` updates."""
        with self._writer.as_default(step):
            for task, share in shares.items():
                tf.summary.scalar(f"gradient_share/{task}", share)

    def epoch(self, step: int, *, total: float, recall: float) -> None:
        """Records the end of an epoch at `step`.

        Args:
          step: Updates done.
          total: The last weighted loss.
          recall: Held-out recall@10, NaN where it was not measured.
        """
        now = time.monotonic()
        seconds = now - self._epoch_started
        entry: dict[str, Any] = {
            "epoch": -(-step // self._plan.epoch_steps),
            "step": step,
            "seconds": round(seconds, 2),
            "examples_per_second": round((step - self._epoch_first) * self._rows / max(seconds, 1e-9), 1),
            "losses": {task: float(np.mean([one[task] for one in self._losses])) for task in self._losses[0]},
        }
        if not np.isnan(recall):
            entry[METRIC] = recall
        self.history.append(entry)
        if self._writes:
            with self._writer.as_default(step):
                for task, loss in entry["losses"].items():
                    tf.summary.scalar(f"epoch_loss/{task}", loss)
                if METRIC in entry:
                    tf.summary.scalar(f"held_out/{METRIC}", recall)
            self._writer.flush()
        self._log_line(step, total, recall)
        self._losses, self._epoch_first, self._epoch_started = [], step, time.monotonic()

    def _write_scalars(self, step: int, metrics: StepMetrics, rate: float) -> None:
        seconds = max(time.monotonic() - self._started, 1e-9)
        with self._writer.as_default(step):
            tf.summary.scalar("loss/total", metrics.total)
            for task, loss in metrics.losses.items():
                tf.summary.scalar(f"loss/{task}", loss)
            for side in (Side.ITEM, Side.QUERY):
                for modality, weight in zip(branches_of(side), metrics.weights[side], strict=True):
                    tf.summary.scalar(f"weight/{side.value}/{modality.value}", weight)
            tf.summary.scalar("gradient_norm", metrics.gradient_norm)
            tf.summary.scalar("learning_rate", rate)
            tf.summary.scalar("examples_per_second", (step - self._first) * self._rows / seconds)

    def _log_line(self, step: int, loss: float, recall: float = float("nan")) -> None:
        self._last_line = time.monotonic()
        if not self._writes:
            return
        seconds = max(self._last_line - self._started, 1e-9)
        per_second = (step - self._first) / seconds
        left = (self._plan.steps - step) / per_second if per_second else float("nan")
        epoch = -(-step // self._plan.epoch_steps)
        held_out = "" if np.isnan(recall) else f", held-out {METRIC} {recall:.3f}"
        _LOG.info(
            "epoch %d/%d, step %d/%d: loss %.3f%s, %.0f examples/s, about %.0f s left",
            *(epoch, self._plan.epochs, step, self._plan.steps, loss, held_out, per_second * self._rows, left),
        )
