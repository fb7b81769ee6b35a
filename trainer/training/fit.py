"""Training: puts the parts of a run together and leaves a model in float32."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.build import build_model
from trainer.model.two_tower import TwoTower
from trainer.source_hash import source_hash
from trainer.spec.config import Config, to_json
from trainer.spec.training import RunConfig
from trainer.tables.tables import Inputs, Tables, open_tables
from trainer.training.batches import Batches
from trainer.training.calibration import calibrate
from trainer.training.checkpoints import Checkpoints
from trainer.training.distributed.preemption import Preemption
from trainer.training.distributed.strategy import is_chief, make_strategy
from trainer.training.loop import Loop, Parts
from trainer.training.progress import Progress
from trainer.training.schedule import Plan, make_optimizer, make_rate
from trainer.training.snapshot import Snapshots, Validation
from trainer.training.steps import Steps
from trainer.training.warm_start import Published, grown_subwords, refuse_other_contract, start_from


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What training leaves.

    Attributes:
      model: The two towers and heads; its snapshot holds the final item vectors.
      tables: Items and events that it was trained on, and the ops that made them.
      config: The configuration.
      model_id: Hash of what decides the weights in the configuration, of the vocabulary and of every weight.
      history: What `trainer.training.progress.Progress` kept of each epoch.
      is_chief: Whether this process is the one of several workers that writes the model.
    """

    model: TwoTower
    tables: Tables
    config: Config
    model_id: str
    history: tuple[dict[str, Any], ...] = ()
    is_chief: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Places:
    """Where a run keeps what it needs to continue.

    Attributes:
      checkpoints: Folder, local or remote, that every worker reaches; checkpoints of other inputs may lie beside.
      preemption: Listens for the request to stop.
      published: The model to go on from.
    """

    checkpoints: str
    preemption: Preemption
    published: Published | None = None


def fit(
    config: Config,
    inputs: Inputs,
    *,
    work_dir: str | pathlib.Path,
    log_dir: str | pathlib.Path,
    places: Places | None = None,
) -> TrainedModel:
    """Trains the model of `config`.

    A run that was killed continues from its last checkpoint: the same inputs, configuration and code find it.

    Args:
      config: The configuration.
      inputs: Where the Examples are.
      work_dir: Local folder for what can be made again.
      log_dir: Folder for TensorBoard.
      places: Where checkpoints go; below `work_dir` when None.

    Raises:
      ValueError: The inputs hold nothing to train on (see `trainer.tables.tables.open_tables`,
        `trainer.training.batches.Batches`), or the model to go on from keeps to another contract.
      FloatingPointError: A loss became NaN or infinite, or exploded.
      Preempted: The run was asked to stop.
      CheckpointError: A checkpoint could not be written.
    """
    strategy = make_strategy(config.run.strategy)
    tf.keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    work_dir = pathlib.Path(work_dir)
    places = places or Places(checkpoints=str(work_dir), preemption=Preemption(config.run.grace_seconds))
    if places.published is not None:
        refuse_other_contract(places.published, config)
    grow = None if places.published is None else functools.partial(grown_subwords, places.published.subwords)
    tables = open_tables(inputs, config=config, work_dir=work_dir, grow=grow)
    loop, model, progress = make_loop(config, tables, strategy=strategy, log_dir=str(log_dir), places=places)
    loop.run()
    final = as_float32(model, config, num_subwords=len(tables.ops.subwords))
    snapshots = Snapshots(final, tables.items)
    snapshots.refresh()
    calibrate(final, tables, items=snapshots.current(), seed=config.train.seed)
    return TrainedModel(
        model=final,
        tables=tables,
        config=config,
        model_id=model_id(final, config=config, subwords=tables.ops.subwords),
        history=tuple(progress.history),
        is_chief=is_chief(strategy),
    )


def make_loop(
    config: Config, tables: Tables, *, strategy: Any, log_dir: str, places: Places
) -> tuple[Loop, TwoTower, Progress]:
    """The loop of a run, its model and its record."""
    train, replicas = config.train, strategy.num_replicas_in_sync
    rows = train.batch_size * replicas
    batches = Batches(
        tables.train,
        items=tables.items,
        batch_size=rows,
        seed=train.seed,
        replicas=replicas,
        uniform_negatives=train.num_uniform_negatives * replicas,
    )
    plan = Plan.of(train, batches.batches_per_epoch)
    rate = make_rate(train, plan.steps, replicas=replicas)
    with strategy.scope():
        model = build_model(config, num_subwords=len(tables.ops.subwords), precision=train.precision)
        optimizer = make_optimizer(train, rate, pretrained=model.pretrained_variables)
        if places.published is not None:
            start_from(places.published, model, config, tables=tables)
        optimizer.build(model.trainable_variables)  # or a checkpoint of it would find nothing to fill
        steps = Steps(model, optimizer, train=train, strategy=strategy)
    writes = is_chief(strategy)
    progress = Progress(
        plan,
        rows_per_step=rows * train.gradient_accumulation_steps,
        log_dir=log_dir,
        log_steps=config.run.log_every_steps,
        writes=writes,
    )
    key = run_key(config, tables, replicas=replicas, published=places.published)
    folder = f"{places.checkpoints.rstrip('/')}/checkpoints-{key}"
    saved = {"model": model, "optimizer": optimizer}
    snapshots = Snapshots(model, tables.items)
    parts = Parts(
        config=config,
        plan=plan,
        model=model,
        rate=rate,
        batches=batches,
        steps=steps,
        snapshots=snapshots,
        validation=Validation(model, tables.evaluation, snapshots=snapshots, num_items=tables.items.num_items),
        checkpoints=Checkpoints(folder, keep=config.run.max_checkpoints, **saved),
        best=Checkpoints(f"{folder}/best", keep=1, **saved),
        progress=progress,
        preemption=places.preemption,
        is_chief=writes,
    )
    return Loop(parts), model, progress


def deciding(config: Config) -> str:
    """The JSON of what decides the weights: the configuration without how the run is operated."""
    return to_json(dataclasses.replace(config, run=RunConfig()))


def run_key(config: Config, tables: Tables, *, replicas: int, published: Published | None) -> str:
    """A name for all that a checkpoint depends on: inputs, configuration, code, replicas, the model to go on from."""
    start = published.model_id if published is not None else ""
    parts = (tables.key, deciding(config), source_hash(["trainer.training.fit"]), str(replicas), start)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:24]


def as_float32(model: TwoTower, config: Config, *, num_subwords: int) -> TwoTower:
    """The same weights in a model that computes in float32 on one device: what is evaluated and exported."""
    plain = build_model(config, num_subwords=num_subwords)
    for to, source in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        to.assign(source.numpy())
    return plain


def model_id(model: TwoTower, *, config: Config, subwords: Sequence[str]) -> str:
    """A name for this model: equal weights, configuration and vocabulary give an equal one."""
    digest = hashlib.sha256(deciding(config).encode())
    digest.update("\n".join(subwords).encode())
    for variable in model.trainable_variables:  # not by name: Keras numbers the models of a process
        digest.update(f"{variable.shape}".encode() + np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()
