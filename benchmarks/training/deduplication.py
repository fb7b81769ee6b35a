"""Training steps with every distinct item of a batch encoded once, and with one item encoding per row, in turn.

    python -m benchmarks.training.deduplication --batch 4096 --items 10000

The same model, the same rows, the same loss: popularity falls as Zipf's law of exponent 1. Of each the shortest
time counts. Prints one JSON line.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from benchmarks.timing import time_in_turn
from benchmarks.training import random_shop
from benchmarks.training.speed import relaxed
from trainer.model.build import build_model
from trainer.spec.config import Config, override
from trainer.spec.presets import base
from trainer.spec.tasks import EVENT_TASKS, ITEM_DAY_TASKS
from trainer.training.schedule import make_learning_rate, make_optimizer
from trainer.training.steps import TrainStep

POSITIVE_SHARE = 0.75


def item_rows(batch: int, *, num_items: int, seed: int) -> np.ndarray:
    """Draws the item of each row by Zipf's law of exponent 1: [batch] int."""
    shares = 1.0 / np.arange(1, num_items + 1)
    return np.random.default_rng(seed).choice(num_items, batch, p=shares / shares.sum())


def make_batch(
    config: Config, rows: np.ndarray, *, towers: str, photo_share: float, once: bool, seed: int
) -> dict[str, Any]:
    """A batch of the two-tower model about the items `rows` [batch].

    Args:
      config: Sizes of the model inputs.
      rows: Store row of each event's item.
      towers: Modalities of items and queries; see `random_shop`.
      photo_share: Share of the queries that have a photo beside their text.
      once: Whether each distinct item comes once; else once for each row.
      seed: Seed of the random content.
    """
    random = np.random.default_rng(seed)
    distinct, index, counts = np.unique(rows, return_inverse=True, return_counts=True)
    items = random_shop.item_content(random, len(distinct), config, towers=towers)
    probability = (counts / len(rows)).astype(np.float32)
    if not once:
        items = {name: values[index] for name, values in items.items()}
        distinct, probability, index = distinct[index], probability[index], np.arange(len(rows))
    size, encoded = len(rows), len(distinct)
    # The day of each event and one day more, as training has them.
    days = random_shop.unknown_days(2 * encoded, config)
    items = {**items, **days, "content_of": np.tile(np.arange(encoded, dtype=np.int32), 2)}
    shopper = random_shop.shopper_content(random, size, config, towers="text", items=encoded)
    clicked = (np.arange(size) < POSITIVE_SHARE * size).astype(np.float32)
    unknown = np.full([size], -1.0, np.float32)
    labels = {task.label: unknown for task in EVENT_TASKS} | {"positive": clicked, "label_click": clicked}
    queries = random_shop.query_content(random, size, config, towers=towers, share=photo_share)
    return {
        "query": {**queries, **shopper},
        "items": items,
        "item_rows": distinct.astype(np.int32),
        "item_index": index.astype(np.int32),
        "sampling_probability": probability,
        "day_labels": {task.label: np.full([encoded], np.nan, np.float32) for task in ITEM_DAY_TASKS},
        "requests": np.arange(size, dtype=np.int32),
        "review_words": np.zeros([size, config.tower.review.max_words], np.int32),
        "labels": labels,
    }


def repeated(batch: dict[str, Any]) -> Iterator[Any]:
    """Repeats a batch, with its number of rows unknown to the graph."""
    specs = tf.nest.map_structure(lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), batch)
    tensors = tf.data.Dataset.from_tensors(tf.nest.map_structure(tf.constant, batch))
    return iter(tensors.map(lambda one: relaxed(one, specs)).repeat())


def make_steps(config: Config) -> TrainStep:
    """Builds the model, its optimizer and the training step."""
    model = build_model(config, num_subwords=random_shop.NUM_SUBWORDS)
    optimizer = make_optimizer(config.train, make_learning_rate(config.train, 1000))
    optimizer.build(model.trainable_variables)
    return TrainStep(model, optimizer, train=config.train, strategy=tf.distribute.get_strategy())


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--towers", choices=random_shop.TOWERS, default="image")
    parser.add_argument("--photo_share", type=float, default=0.0, help="share of the queries that have a photo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the configuration")
    options = parser.parse_args()
    config = override(base(), options.set)
    steps, numbers = make_steps(config), itertools.count()
    rows = item_rows(options.batch, num_items=options.items, seed=3)

    def step_of(name: str) -> Callable[[], None]:
        towers, share = options.towers, options.photo_share
        stream = repeated(make_batch(config, rows, towers=towers, photo_share=share, once=name == "once", seed=5))

        def run() -> None:
            steps.step(stream, next(numbers) // 2)  # both take the step of one number
            steps.update()

        return run

    timings = time_in_turn({name: step_of(name) for name in ("once", "each_row")}, rounds=options.rounds)
    once, each_row = timings["once"], timings["each_row"]
    figures = {
        "batch": options.batch,
        "items": options.items,
        "distinct_in_batch": len(np.unique(rows)),
        "towers": options.towers,
        "photo_share": options.photo_share,
        "set": options.set,
        "examples_per_second": {name: round(options.batch / one.seconds, 1) for name, one in timings.items()},
        "times_as_fast": round(each_row.seconds / once.seconds, 2),
        "times_less_processor": round(each_row.processor_seconds / once.processor_seconds, 2),
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
