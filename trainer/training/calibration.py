"""Calibration of the pair heads by Platt scaling on held-out requests, after training.

https://home.cs.colorado.edu/~mozer/Teaching/syllabi/6622/papers/Platt1999.pdf
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.batch_inference import compile_rows, map_rows
from trainer.model.two_tower import TwoTower
from trainer.spec.tasks import MAX_LABELS, PAIR_TASKS, Task
from trainer.tables.events import EventTable
from trainer.tables.open import TrainingTables

_MAX_ROWS = 8192
_MIN_ROWS = 200  # with fewer, the slope is not fitted
_SLOPES = (0.05, 5.0)
_ROWS_AT_ONCE = 256
_BLOCK_ROWS = 1 << 16


class PlattScaling(NamedTuple):
    """Affine map of a logit: slope · logit + shift."""

    slope: float
    shift: float


class LabelledSample(NamedTuple):
    """Sampled rows with a label, ascending [sample] int64, and the mean label of all rows that have one."""

    rows: np.ndarray
    mean: float


def calibrate(model: TwoTower, tables: TrainingTables, *, items: np.ndarray, seed: int) -> None:
    """Calibrates the logit of each pair task: its probability becomes the frequency of the action.

    A network is overconfident on the rows it was trained on, and its batches hold fewer rows without action than the
    log does. So slope and shift have the maximum likelihood on the held-out events that are reserved for it
    (`EventTable.for_calibration`). With fewer than 200 labelled ones the logit is only shifted, until the mean
    probability over training rows is their mean label. The order of items stays.

    Args:
      model: Its heads are changed in place.
      tables: Tables of the training.
      items: [items, dim] vectors by store row.
      seed: Seed of the sample of rows.
    """
    usable = tables.evaluation.for_calibration()
    encode = compile_rows(
        lambda features: model.encode_queries(features)["vector"], tables.train.gather_queries(np.arange(1))
    )

    def logits(task: Task, events: EventTable, rows: np.ndarray) -> np.ndarray:
        queries = map_rows(encode, rows, gather=events.gather_queries, size=_ROWS_AT_ONCE)
        acted = items[events.values("item_row")[rows]]
        probability = model.score_pairs(tf.constant(queries), tf.constant(acted[:, np.newaxis]))[task.name]
        probability = np.clip(np.asarray(probability, np.float64)[:, 0], 1e-7, 1.0 - 1e-7)
        return np.log(probability) - np.log1p(-probability)

    for index, task in enumerate(PAIR_TASKS):
        random, max_label = np.random.default_rng([seed, 2, index]), MAX_LABELS[task.kind]
        labels = np.where(usable, tables.evaluation.values(task.label), -1.0)
        rows = sample_labelled(labels, max_rows=_MAX_ROWS, random=random).rows
        targets = labels[rows] / max_label
        if len(rows) >= _MIN_ROWS and 0.0 < targets.mean() < 1.0:
            slope, shift = fit_platt(logits(task, tables.evaluation, rows), targets)
        else:
            rows, mean = sample_labelled(tables.train.values(task.label), max_rows=_MAX_ROWS, random=random)
            if not len(rows):
                continue
            slope, shift = 1.0, fit_shift(logits(task, tables.train, rows), mean / max_label)
        _rescale(model.heads[task.name].logit, slope, shift)


def _rescale(logit: tf.keras.layers.Dense, slope: float, shift: float) -> None:
    logit.kernel.assign(slope * logit.kernel)
    logit.bias.assign(slope * logit.bias + shift)


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> PlattScaling:
    """Fits slope and shift to `labels` [n] in 0..1 by maximum likelihood (Newton's method); the slope in 0.05..5."""
    slope, shift = 1.0, fit_shift(logits, float(labels.mean()))
    for _ in range(50):
        probability = 1.0 / (1.0 + np.exp(-(slope * logits + shift)))
        residual, weight = probability - labels, probability * (1.0 - probability)
        gradient = np.array([residual @ logits, residual.sum()])
        hessian = np.array([[weight @ logits**2, weight @ logits], [weight @ logits, weight.sum()]])
        step = np.linalg.solve(hessian + 1e-6 * len(logits) * np.eye(2), gradient)
        slope, shift = slope - float(np.clip(step[0], -1.0, 1.0)), shift - float(np.clip(step[1], -1.0, 1.0))
    slope = float(np.clip(slope, *_SLOPES))
    return PlattScaling(slope, fit_shift(slope * logits, float(labels.mean())))


def sample_labelled(labels: np.ndarray, *, max_rows: int, random: np.random.Generator) -> LabelledSample:
    """Samples rows with a label, without replacement; the mean is 0.0 where no row has one.

    The column is read in blocks, twice, so that memory does not grow with the number of events.

    Args:
      labels: [row] float32, below 0 = not labelled; it may be mapped from disk.
      max_rows: Maximum size of the sample.
      random: Generator of the sample.
    """
    starts = range(0, len(labels), _BLOCK_ROWS)
    blocks = [labels[start : start + _BLOCK_ROWS] for start in starts]
    counts = np.array([np.count_nonzero(block >= 0) for block in blocks], np.int64)
    total = int(counts.sum())
    if not total:
        return LabelledSample(np.empty(0, np.int64), 0.0)
    mean = sum(float(np.sum(block, where=block >= 0, dtype=np.float64)) for block in blocks) / total
    sample = np.sort(random.choice(total, size=min(max_rows, total), replace=False, shuffle=False))
    ends = np.cumsum(counts)
    rows = [
        start + np.flatnonzero(block >= 0)[sample[(sample >= end - count) & (sample < end)] - (end - count)]
        for start, block, count, end in zip(starts, blocks, counts, ends, strict=True)
    ]
    return LabelledSample(np.concatenate(rows), mean)


def fit_shift(logits: np.ndarray, mean: float) -> float:
    """Returns the shift of `logits` [n] that makes their mean probability `mean`, within 30 either way."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if np.mean(1.0 / (1.0 + np.exp(-(logits + middle)))) < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
