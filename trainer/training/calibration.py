"""After training: probabilities whose mean is that of the log."""

import numpy as np
import tensorflow as tf

from trainer.data import Tables, compile_rows, map_rows
from trainer.model.two_tower import TwoTower
from trainer.spec.tasks import LARGEST_LABEL, PAIR_TASKS

_CALIBRATION_ROWS = 4096
_ROWS_AT_ONCE = 256
_BLOCK_ROWS = 1 << 16


def calibrate(model: TwoTower, tables: Tables, *, items: np.ndarray, seed: int) -> None:
    """Shifts the logit of each pair task so that its mean probability over all training rows is the mean label.

    Batches hold fewer rows without action than the log does; ranking does not suffer from that, probabilities do.
    `items` are [items, dim] vectors by store row.
    """
    events = tables.train
    encode = compile_rows(
        lambda features: model.encode_queries(features)["vector"], events.gather_queries(np.arange(1))
    )
    for index, task in enumerate(PAIR_TASKS):
        labels = events.values(task.label)
        chosen, mean = sample_known(labels, most=_CALIBRATION_ROWS, random=np.random.default_rng([seed, 2, index]))
        if not len(chosen):
            continue
        queries = map_rows(encode, chosen, gather=events.gather_queries, size=_ROWS_AT_ONCE)
        acted = items[events.values("item_row")[chosen]]
        probability = model.score_pairs(tf.constant(queries), tf.constant(acted[:, np.newaxis]))[task.name]
        probability = np.clip(np.asarray(probability, np.float64)[:, 0], 1e-7, 1.0 - 1e-7)
        logits = np.log(probability) - np.log1p(-probability)
        model.heads[task.name].logit.bias.assign_add([mean_shift(logits, mean / LARGEST_LABEL[task.kind])])


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
