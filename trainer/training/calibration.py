"""After training: probabilities that keep what they say, by held-out events."""

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower
from trainer.spec.tasks import MAX_LABELS, PAIR_TASKS, Task
from trainer.tables.tables import EventTable, Tables, compile_rows, map_rows

_MOST_ROWS = 8192
_LEAST_ROWS = 200  # below, a slope would be guessed
_SLOPES = (0.05, 5.0)
_ROWS_AT_ONCE = 256
_BLOCK_ROWS = 1 << 16


def calibrate(model: TwoTower, tables: Tables, *, items: np.ndarray, seed: int) -> None:
    """Scales and shifts the logit of each pair task, so that what it calls probable happens as often as it says.

    A network is too sure of the rows it was trained on, and its batches hold fewer rows without action than the log
    does. So slope and shift are those of the largest likelihood on the held-out events that are set apart for it
    (`EventTable.for_calibration`). With fewer than 200 labelled ones the logit is only shifted, until the mean
    probability over training rows is their mean label. The order of items stays.

    Platt scaling: https://home.cs.colorado.edu/~mozer/Teaching/syllabi/6622/papers/Platt1999.pdf

    Args:
      model: Its heads are changed.
      tables: Of the training.
      items: [items, dim] vectors by store row.
      seed: Of the rows that are drawn where there are many.
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
        random, most = np.random.default_rng([seed, 2, index]), MAX_LABELS[task.kind]
        labels = np.where(usable, tables.evaluation.values(task.label), -1.0)
        chosen, _ = sample_known(labels, most=_MOST_ROWS, random=random)
        shares = labels[chosen] / most
        if len(chosen) >= _LEAST_ROWS and 0.0 < shares.mean() < 1.0:
            slope, shift = fit_platt(logits(task, tables.evaluation, chosen), shares)
        else:
            chosen, mean = sample_known(tables.train.values(task.label), most=_MOST_ROWS, random=random)
            if not len(chosen):
                continue
            slope, shift = 1.0, mean_shift(logits(task, tables.train, chosen), mean / most)
        logit = model.heads[task.name].logit
        logit.kernel.assign(slope * logit.kernel)
        logit.bias.assign(slope * logit.bias + shift)


def fit_platt(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope and shift of the largest likelihood of `labels` [n] in 0..1 by Newton's method; the slope in 0.05..5."""
    slope, shift = 1.0, mean_shift(logits, float(labels.mean()))
    for _ in range(50):
        told = 1.0 / (1.0 + np.exp(-(slope * logits + shift)))
        off, weight = told - labels, told * (1.0 - told)
        gradient = np.array([off @ logits, off.sum()])
        curvature = np.array([[weight @ logits**2, weight @ logits], [weight @ logits, weight.sum()]])
        step = np.linalg.solve(curvature + 1e-6 * len(logits) * np.eye(2), gradient)
        slope, shift = slope - float(np.clip(step[0], -1.0, 1.0)), shift - float(np.clip(step[1], -1.0, 1.0))
    slope = float(np.clip(slope, *_SLOPES))
    return slope, mean_shift(slope * logits, float(labels.mean()))


def sample_known(labels: np.ndarray, *, most: int, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Rows that are labelled, drawn at random, and the mean label of all that are.

    The column is read in blocks, twice, so that memory does not grow with the number of events.

    Args:
      labels: [row] float32, below 0 = not labelled; it may be mapped from disk.
      most: How many rows to draw.
      random: What draws them.

    Returns:
      [at most `most`] int64, ascending; the mean, 0.0 where nothing is labelled.
    """
    starts = range(0, len(labels), _BLOCK_ROWS)
    blocks = [labels[start : start + _BLOCK_ROWS] for start in starts]
    counts = np.array([np.count_nonzero(block >= 0) for block in blocks], np.int64)
    total = int(counts.sum())
    if not total:
        return np.empty(0, np.int64), 0.0
    mean = sum(float(np.sum(block, where=block >= 0, dtype=np.float64)) for block in blocks) / total
    places = np.sort(random.choice(total, size=min(most, total), replace=False, shuffle=False))
    ends = np.cumsum(counts)
    rows = [
        start + np.flatnonzero(block >= 0)[places[(places >= end - count) & (places < end)] - (end - count)]
        for start, block, count, end in zip(starts, blocks, counts, ends, strict=True)
    ]
    return np.concatenate(rows), mean


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
