"""After training: probabilities whose mean is that of the log."""

import numpy as np
import tensorflow as tf

from trainer.data import Tables, compile_rows, map_rows
from trainer.model.two_tower import TwoTower
from trainer.spec.tasks import LARGEST_LABEL, PAIR_TASKS

_CALIBRATION_ROWS = 4096
_ROWS_AT_ONCE = 256


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
        known = np.flatnonzero(labels >= 0)
        if not len(known):
            continue
        chosen = np.random.default_rng([seed, 2, index]).permutation(known)[:_CALIBRATION_ROWS]
        queries = map_rows(encode, chosen, gather=events.gather_queries, size=_ROWS_AT_ONCE)
        acted = items[events.values("item_row")[chosen]]
        probability = model.score_pairs(tf.constant(queries), tf.constant(acted[:, np.newaxis]))[task.name]
        probability = np.clip(np.asarray(probability, np.float64)[:, 0], 1e-7, 1.0 - 1e-7)
        logits = np.log(probability) - np.log1p(-probability)
        model.heads[task.name].logit.bias.assign_add(
            [mean_shift(logits, float(np.mean(labels[known])) / LARGEST_LABEL[task.kind])]
        )


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
