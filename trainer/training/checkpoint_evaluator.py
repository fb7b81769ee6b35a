"""Checkpoint evaluator of a multi-worker job: the held-out recall of each checkpoint while training goes on."""

import functools
import logging
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf

from trainer.model.build import build_model
from trainer.spec.config import Config
from trainer.tables.open import DatasetPaths, open_tables
from trainer.training.checkpoints import Checkpoints
from trainer.training.distributed.strategy import cluster_size
from trainer.training.fit import run_key
from trainer.training.snapshot import METRIC, Snapshots, Validation
from trainer.training.warm_start import PublishedModel, extend_subwords

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 10.0


def evaluate_checkpoints(
    config: Config,
    inputs: DatasetPaths,
    *,
    work_dir: pathlib.Path,
    log_dir: str,
    checkpoints: str,
    published: PublishedModel | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[int, float]:
    """Writes the held-out recall@10 of every checkpoint to TensorBoard until the run has ended.

    Args:
      config: The configuration of the run.
      inputs: Its inputs.
      work_dir: Local folder for tables, which can be built again.
      log_dir: Folder for TensorBoard; the scalars go to `evaluator` in it.
      checkpoints: The checkpoint folder of the training workers.
      published: The model of a warm start.
      sleep: Waits between polls.

    Returns:
      {step: recall}.
    """
    extend = None if published is None else functools.partial(extend_subwords, published.subwords)
    tables = open_tables(inputs, config=config, work_dir=work_dir, extend_subwords=extend)
    model = build_model(config, num_subwords=len(tables.ops.subwords))
    snapshots = Snapshots(model, tables.items)
    validation = Validation(model, tables.evaluation, snapshots=snapshots, num_items=tables.items.num_items)
    key = run_key(config, tables, replicas=max(1, cluster_size()), published=published)
    saved = Checkpoints(f"{checkpoints.rstrip('/')}/checkpoints-{key}", keep=1, model=model)
    writer = tf.summary.create_file_writer(f"{log_dir}/evaluator")
    recalls: dict[int, float] = {}
    for step, is_last in _new_checkpoints(saved, sleep):
        snapshots.refresh()
        recalls[step] = validation.recall()
        _record(writer, step, recalls[step])
        if is_last:
            break
    return recalls


class _Restored(NamedTuple):
    """Step of a checkpoint that was restored, and whether the run has ended with it."""

    step: int
    is_last: bool


def _new_checkpoints(saved: Checkpoints, sleep: Callable[[float], None]) -> Iterator[_Restored]:
    """Restores and yields each new checkpoint as it appears, without an end."""
    step = -1
    while True:
        state = saved.restore(partly=True) if saved.steps()[-1:] != [step] else None
        if state and state["step"] != step:
            step = state["step"]
            yield _Restored(step, state["ended"])
        sleep(_POLL_SECONDS)


def _record(writer: tf.summary.SummaryWriter, step: int, recall: float) -> None:
    with writer.as_default(step):
        tf.summary.scalar(f"held_out/{METRIC}", recall)
    writer.flush()
    _LOG.info("evaluator: step %d, held-out %s %.3f", step, METRIC, recall)
