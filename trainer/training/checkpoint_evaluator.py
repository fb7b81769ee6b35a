"""The evaluator of a multi-worker job: measures each checkpoint as it comes, beside the training."""

import functools
import pathlib
import time
from collections.abc import Callable

import tensorflow as tf

from trainer.model.build import build_model
from trainer.spec.config import Config
from trainer.tables.tables import Inputs, open_tables
from trainer.training.checkpoints import Checkpoints
from trainer.training.distributed.strategy import cluster_size
from trainer.training.snapshot import METRIC, Snapshots, Validation
from trainer.training.warm_start import Published, grown_subwords

_POLL_SECONDS = 10.0


def watch(
    config: Config,
    inputs: Inputs,
    *,
    work_dir: pathlib.Path,
    log_dir: str,
    checkpoints: str,
    published: Published | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[int, float]:
    """Writes the held-out recall@10 of every checkpoint to TensorBoard until the run has ended.

    Args:
      config: The configuration of the run.
      inputs: Its inputs.
      work_dir: Local folder for what can be made again.
      log_dir: Folder for TensorBoard; the scalars go to `evaluator` in it.
      checkpoints: The folder that the training workers were given.
      published: The model that the run goes on from.
      sleep: Waits between looks.

    Returns:
      {step: recall}.
    """
    from trainer.training.fit import run_key

    grow = None if published is None else functools.partial(grown_subwords, published.subwords)
    tables = open_tables(inputs, config=config, work_dir=work_dir, grow=grow)
    model = build_model(config, num_subwords=len(tables.ops.subwords))
    snapshots = Snapshots(model, tables.items)
    validation = Validation(model, tables.evaluation, snapshots=snapshots, num_items=tables.items.num_items)
    key = run_key(config, tables, replicas=max(1, cluster_size()), published=published)
    folder = f"{checkpoints.rstrip('/')}/checkpoints-{key}"
    saved = Checkpoints(folder, keep=1, model=model)
    writer = tf.summary.create_file_writer(f"{log_dir}/evaluator")
    found: dict[int, float] = {}
    while True:
        state = saved.restore(partly=True) if saved.steps()[-1:] != list(found)[-1:] else None
        if state and state["step"] not in found:
            snapshots.refresh()
            found[state["step"]] = validation.recall()
            with writer.as_default(state["step"]):
                tf.summary.scalar(f"held_out/{METRIC}", found[state["step"]])
            writer.flush()
            print(f"evaluator: step {state['step']}, held-out {METRIC} {found[state['step']]:.3f}", flush=True)
            if state["ended"]:
                return found
        sleep(_POLL_SECONDS)
