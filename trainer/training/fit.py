"""Training entry point: fits the model of a configuration to the tables of a data set."""

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
from trainer.spec.training import Precision, RunConfig
from trainer.tables.open import DatasetPaths, TrainingTables, open_tables
from trainer.training.batches import Batches
from trainer.training.calibration import calibrate
from trainer.training.checkpoints import Checkpoints
from trainer.training.distributed.preemption import Preemption
from trainer.training.distributed.strategy import is_chief, make_strategy
from trainer.training.loop import LoopContext, TrainingLoop
from trainer.training.progress import TrainingProgress
from trainer.training.schedule import TrainingPlan, make_learning_rate, make_optimizer
from trainer.training.snapshot import Snapshots, Validation
from trainer.training.steps import TrainStep
from trainer.training.warm_start import PublishedModel, check_contract, extend_subwords, restore_published_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A trained model and everything that evaluation and export need beside it.

    Attributes:
      model: The two towers and heads; its snapshot holds the final item vectors.
      tables: Items and events that it was trained on, and the ops that made them.
      config: The configuration.
      model_id: Hash of what decides the weights in the configuration, of the vocabulary and of every weight.
      history: One entry for each epoch, see `trainer.training.progress.TrainingProgress`.
      is_chief: Whether this process is the one of several workers that writes the model.
    """

    model: TwoTower
    tables: TrainingTables
    config: Config
    model_id: str
    history: tuple[dict[str, Any], ...] = ()
    is_chief: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPaths:
    """Checkpoint folder, preemption listener and published model that a run resumes from.

    Attributes:
      checkpoints: Folder, local or remote, that every worker reaches; checkpoints of other inputs may lie beside.
      preemption: Listens for the request to stop.
      published: The model of a warm start.
    """

    checkpoints: str
    preemption: Preemption
    published: PublishedModel | None = None


def fit(
    config: Config,
    inputs: DatasetPaths,
    *,
    work_dir: str | pathlib.Path,
    log_dir: str | pathlib.Path,
    paths: RunPaths | None = None,
) -> TrainedModel:
    """Trains the model of `config`; a run that was killed resumes from its last checkpoint.

    The same inputs, configuration and code find it.

    Args:
      config: The configuration.
      inputs: Patterns of the Examples.
      work_dir: Local folder for tables, which can be built again.
      log_dir: Folder for TensorBoard.
      paths: Checkpoints and warm start; below `work_dir` when None.

    Raises:
      ValueError: The inputs hold nothing to train on (see `trainer.tables.open.open_tables`,
        `trainer.training.batches.Batches`), or the model of the warm start has another contract.
      FloatingPointError: A loss became NaN or infinite, or exploded.
      Preempted: The run was asked to stop.
      CheckpointError: A checkpoint could not be written.
    """
    strategy = make_strategy(config.run.strategy)
    tf.keras.utils.set_random_seed(config.train.seed)
    if config.train.deterministic:
        tf.config.experimental.enable_op_determinism()
    work_dir = pathlib.Path(work_dir)
    paths = paths or RunPaths(checkpoints=str(work_dir), preemption=Preemption(config.run.grace_seconds))
    if paths.published is not None:
        check_contract(paths.published, config)
    extend = None if paths.published is None else functools.partial(extend_subwords, paths.published.subwords)
    tables = open_tables(inputs, config=config, work_dir=work_dir, extend_subwords=extend)
    loop = make_loop(config, tables, strategy=strategy, log_dir=str(log_dir), paths=paths)
    loop.run()
    return _finished(loop, tables, is_chief=is_chief(strategy))


def _finished(loop: TrainingLoop, tables: TrainingTables, *, is_chief: bool) -> TrainedModel:
    """Snapshot, calibration and hash of the final weights."""
    config = loop.context.config
    final = as_float32(loop.context.model, config, num_subwords=len(tables.ops.subwords))
    snapshots = Snapshots(final, tables.items)
    snapshots.refresh()
    calibrate(final, tables, items=snapshots.current(), seed=config.train.seed)
    return TrainedModel(
        model=final,
        tables=tables,
        config=config,
        model_id=model_id(final, config=config, subwords=tables.ops.subwords),
        history=tuple(loop.context.progress.history),
        is_chief=is_chief,
    )


def make_loop(config: Config, tables: TrainingTables, *, strategy: Any, log_dir: str, paths: RunPaths) -> TrainingLoop:
    """Builds the training loop of a run: batches, model, optimizer, checkpoints and progress."""
    train, replicas = config.train, strategy.num_replicas_in_sync
    batches = make_batches(config, tables, replicas=replicas)
    plan = TrainingPlan.from_config(train, batches.batches_per_epoch)
    rate = make_learning_rate(train, plan.steps, replicas=replicas)
    with strategy.scope():
        model = build_model(config, num_subwords=len(tables.ops.subwords), precision=train.precision)
        optimizer = make_optimizer(train, rate, pretrained=model.pretrained_variables)
        if paths.published is not None:
            restore_published_weights(paths.published, model, config, tables=tables)
        optimizer.build(model.trainable_variables)  # or a checkpoint of it would find nothing to fill
        train_step = TrainStep(model, optimizer, train=train, strategy=strategy)
    key = run_key(config, tables, replicas=replicas, published=paths.published)
    folder = f"{paths.checkpoints.rstrip('/')}/checkpoints-{key}"
    saved = {"model": model, "optimizer": optimizer}
    snapshots = Snapshots(model, tables.items)
    return TrainingLoop(
        LoopContext(
            config=config,
            plan=plan,
            model=model,
            rate=rate,
            batches=batches,
            train_step=train_step,
            snapshots=snapshots,
            validation=Validation(model, tables.evaluation, snapshots=snapshots, num_items=tables.items.num_items),
            checkpoints=Checkpoints(folder, keep=config.run.max_checkpoints, **saved),
            best=Checkpoints(f"{folder}/best", keep=1, **saved),
            progress=_make_progress(config, plan, strategy=strategy, log_dir=log_dir),
            preemption=paths.preemption,
            is_chief=is_chief(strategy),
        )
    )


def _make_progress(config: Config, plan: TrainingPlan, *, strategy: Any, log_dir: str) -> TrainingProgress:
    rows = config.train.batch_size * strategy.num_replicas_in_sync
    return TrainingProgress(
        plan,
        rows_per_step=rows * config.train.gradient_accumulation_steps,
        log_dir=log_dir,
        log_steps=config.run.log_every_steps,
        writes=is_chief(strategy),
    )


def make_batches(config: Config, tables: TrainingTables, *, replicas: int) -> Batches:
    """Returns the training batches, those of all replicas joined."""
    train = config.train
    return Batches(
        tables.train,
        items=tables.items,
        batch_size=train.batch_size * replicas,
        seed=train.seed,
        num_replicas=replicas,
        num_uniform_negatives=train.num_uniform_negatives * replicas,
    )


def weights_config(config: Config) -> str:
    """JSON of the part of the configuration that determines the weights: all but the `run` section."""
    return to_json(dataclasses.replace(config, run=RunConfig()))


def run_key(config: Config, tables: TrainingTables, *, replicas: int, published: PublishedModel | None) -> str:
    """Key of everything a checkpoint depends on: inputs, configuration, code, replicas, the model of the warm start."""
    start = published.model_id if published is not None else ""
    parts = (tables.key, weights_config(config), source_hash(["trainer.training.fit"]), str(replicas), start)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:24]


def as_float32(model: TwoTower, config: Config, *, num_subwords: int) -> TwoTower:
    """Returns a model of the same weights that computes in float32 on one device, for evaluation and export.

    It is the model itself where it does so already: its compiled functions are there.
    """
    is_distributed = isinstance(model.trainable_variables[0], tf.distribute.DistributedValues)
    if config.train.precision is Precision.FLOAT32 and not is_distributed:
        return model
    plain = build_model(config, num_subwords=num_subwords)
    for to, source in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        to.assign(source.numpy())
    return plain


def model_id(model: TwoTower, *, config: Config, subwords: Sequence[str]) -> str:
    """Hash of weights, configuration and vocabulary."""
    digest = hashlib.sha256(weights_config(config).encode())
    digest.update("\n".join(subwords).encode())
    for variable in model.trainable_variables:  # not by name: Keras numbers the models of a process
        digest.update(f"{variable.shape}".encode() + np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()
