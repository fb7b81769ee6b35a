"""Training: optimizer, schedule, snapshots of the item vectors, checkpoints, and what stops a run."""

import dataclasses
import hashlib
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.batches import Batches
from trainer.data import Inputs, ItemStore, Tables, compile_rows, map_rows, open_tables
from trainer.job.source_hash import source_hash
from trainer.model.build import build_model
from trainer.model.two_tower import TwoTower
from trainer.spec.config import Config, TrainConfig, to_json
from trainer.spec.tasks import PAIR_TASKS

_WARMUP_SHARE = 0.1
_GRADIENT_NORM = 1.0
_ITEMS_AT_ONCE = 256
_CALIBRATION_ROWS = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What training leaves.

    Attributes:
      model: The two towers and heads; its snapshot holds the final item vectors.
      tables: Items and events that it was trained on, and the ops that made them.
      config: The configuration.
      model_id: Hash of the configuration, the vocabulary and every weight.
    """

    model: TwoTower
    tables: Tables
    config: Config
    model_id: str


def fit(config: Config, inputs: Inputs, *, work_dir: str | pathlib.Path, log_dir: str | pathlib.Path) -> TrainedModel:
    """Trains the model of `config`.

    Tables and checkpoints are kept under `work_dir`: a run that was killed continues from its last epoch.

    Args:
      config: The configuration.
      inputs: Where the Examples are.
      work_dir: Local folder for what can be made again.
      log_dir: Folder for TensorBoard.

    Raises:
      ValueError: The inputs hold nothing to train on (see `trainer.data.open_tables`, `trainer.batches.Batches`).
      FloatingPointError: The loss became NaN or infinite.
    """
    tf.keras.utils.set_random_seed(config.train.seed)
    work_dir = pathlib.Path(work_dir)
    tables = open_tables(inputs, config=config, work_dir=work_dir)
    batches = Batches(tables.train, items=tables.items, batch_size=config.train.batch_size, seed=config.train.seed)
    model = build_model(config, num_subwords=len(tables.ops.subwords))
    plan = Plan.of(config.train, batches.steps_per_epoch)
    model.compile(optimizer=make_optimizer(config.train, plan.steps))
    model.optimizer.build(model.trainable_variables)  # or a checkpoint of it would find nothing to fill
    snapshots = SnapshotCallback(tables.items)
    key = hashlib.sha256((tables.key + to_json(config) + source_hash(["trainer.train"])).encode()).hexdigest()[:24]
    checkpoints = CheckpointCallback(model, work_dir / f"checkpoints-{key}")
    done = min(checkpoints.restore() * plan.epoch_steps, plan.steps)
    if done < plan.steps:
        model.fit(
            batches.dataset(done, plan.steps),
            epochs=plan.epochs,
            initial_epoch=done // plan.epoch_steps,
            steps_per_epoch=plan.epoch_steps,
            callbacks=[
                StopOnBadLoss(),
                snapshots,
                checkpoints,
                EpochLines(),
                tf.keras.callbacks.TensorBoard(str(log_dir), write_graph=False, profile_batch=0),
            ],
            verbose=1 if sys.stdout.isatty() else 0,
        )
    snapshots.refresh(model)
    calibrate(model, tables, seed=config.train.seed)
    identity = model_id(model, config=config, subwords=tables.ops.subwords)
    return TrainedModel(model=model, tables=tables, config=config, model_id=identity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How many steps a run takes.

    Attributes:
      epochs: Rounds between snapshots and checkpoints.
      epoch_steps: Steps in each.
      steps: All of them.
    """

    epochs: int
    epoch_steps: int
    steps: int

    @classmethod
    def of(cls, train: TrainConfig, steps_per_epoch: int) -> "Plan":
        """The plan of a configuration: its epochs, cut at `max_steps` where that is given."""
        if not train.max_steps or train.max_steps >= train.epochs * steps_per_epoch:
            epochs, steps = train.epochs, steps_per_epoch
        else:
            steps = min(steps_per_epoch, train.max_steps)
            epochs = max(1, train.max_steps // steps)
        return cls(epochs=epochs, epoch_steps=steps, steps=epochs * steps)


def make_optimizer(train: TrainConfig, steps: int) -> tf.keras.optimizers.Optimizer:
    """AdamW with gradients clipped by their global norm; warm-up, then a cosine down to 0 at step `steps`."""
    warmup = max(1, int(steps * _WARMUP_SHARE))
    schedule = tf.keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=train.learning_rate, warmup_steps=warmup
    )
    optimizer = tf.keras.optimizers.AdamW(schedule, weight_decay=train.weight_decay, global_clipnorm=_GRADIENT_NORM)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return optimizer


class SnapshotCallback(tf.keras.callbacks.Callback):
    """Refreshes the item vectors that histories are read from, before training and after every epoch."""

    def __init__(self, items: ItemStore) -> None:
        super().__init__()
        self._items = items
        self._encode: Any = None

    def refresh(self, model: TwoTower) -> None:
        """Encodes the whole store by content and gives it to the model."""
        if self._encode is None:
            self._encode = compile_rows(
                lambda features: model.encode_items(features)["vector"], self._items.gather(np.arange(1))
            )
        rows = np.arange(self._items.num_items)
        model.set_snapshot(map_rows(self._encode, rows, gather=self._items.gather, size=_ITEMS_AT_ONCE))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before the first step."""
        del logs
        self.refresh(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After each epoch."""
        del epoch, logs
        self.refresh(self.model)


class CheckpointCallback(tf.keras.callbacks.Callback):
    """Saves model and optimizer after every epoch; the number of a checkpoint is the epochs done."""

    def __init__(self, model: TwoTower, directory: pathlib.Path) -> None:
        super().__init__()
        self._done = tf.Variable(0, dtype=tf.int64, trainable=False)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, done=self._done)
        self._manager = tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=1)

    def restore(self) -> int:
        """Takes up the last checkpoint, if there is one; returns how many epochs it has done."""
        self._manager.restore_or_initialize()
        return int(self._done.numpy())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After each epoch."""
        del logs
        self._done.assign(epoch + 1)
        self._manager.save(checkpoint_number=epoch + 1)


class EpochLines(tf.keras.callbacks.Callback):
    """One line for each epoch: its loss and how long is left; where Keras has no terminal to draw its bar on."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        del logs
        self._start, self._done = time.monotonic(), 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the line of the epoch."""
        self._done += 1
        epochs, seconds = self.params["epochs"], time.monotonic() - self._start
        left = seconds / self._done * (epochs - epoch - 1)
        if not sys.stdout.isatty():
            loss = float((logs or {}).get("loss", float("nan")))
            print(f"epoch {epoch + 1}/{epochs}: loss {loss:.3f}, {seconds:.0f} s, about {left:.0f} s left", flush=True)


class StopOnBadLoss(tf.keras.callbacks.Callback):
    """Stops the run with an error when the loss is no longer a number."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After each step."""
        loss = float(np.asarray((logs or {}).get("loss", 0.0)))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"The training loss is {loss} at step {batch} of the epoch; it must be finite. Lower "
                "train.learning_rate, or look for odd values in the data; the last epoch's checkpoint is kept."
            )


def calibrate(model: TwoTower, tables: Tables, *, seed: int) -> None:
    """Shifts the logit of each pair task so that its mean probability over all training rows is the mean label.

    Batches hold fewer rows without action than the log does; ranking does not suffer from that, probabilities do.
    """
    events = tables.train
    item_vectors = model.snapshot.numpy()
    encode = compile_rows(
        lambda features: model.encode_queries(features)["vector"], events.gather_queries(np.arange(1))
    )
    for index, task in enumerate(PAIR_TASKS):
        labels = events.values(task.label)
        known = np.flatnonzero(labels >= 0)
        if not len(known):
            continue
        chosen = np.random.default_rng([seed, 2, index]).permutation(known)[:_CALIBRATION_ROWS]
        queries = map_rows(encode, chosen, gather=events.gather_queries, size=_ITEMS_AT_ONCE)
        items = item_vectors[events.values("item_row")[chosen]]
        probability = model.score_pairs(tf.constant(queries), tf.constant(items[:, np.newaxis]))[task.name]
        probability = np.clip(np.asarray(probability, np.float64)[:, 0], 1e-7, 1.0 - 1e-7)
        logits = np.log(probability) - np.log1p(-probability)
        model.heads[task.name].logit.bias.assign_add([mean_shift(logits, float(np.mean(labels[known])))])


def mean_shift(logits: np.ndarray, mean: float) -> float:
    """What must be added to `logits` [n] so that their mean probability is `mean`, within 30 either way."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if np.mean(1.0 / (1.0 + np.exp(-(logits + middle)))) < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def model_id(model: TwoTower, *, config: Config, subwords: Sequence[str]) -> str:
    """A name for this model: equal weights, configuration and vocabulary give an equal one."""
    digest = hashlib.sha256(to_json(config).encode())
    digest.update("\n".join(subwords).encode())
    for variable in model.trainable_variables:  # not by name: Keras numbers the models of a process
        digest.update(f"{variable.shape}".encode() + np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()
