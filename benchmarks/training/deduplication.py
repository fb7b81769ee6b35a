"""Training steps with every distinct item of a batch encoded once, and with each row's item encoded anew, in turn.

    python -m benchmarks.training.deduplication --batch 4096 --items 10000

The same model, the same rows, the same loss: popularity falls as Zipf's law of exponent 1. Of each way the shortest
time counts. Prints one JSON line.
"""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from benchmarks.training import random_shop
from benchmarks.training.speed import relaxed
from trainer.model.build import build_model
from trainer.spec.config import Config, override
from trainer.spec.presets import base
from trainer.spec.tasks import EVENT_TASKS, ITEM_DAY_TASKS
from trainer.training.schedule import make_optimizer, make_rate
from trainer.training.steps import Steps

POSITIVE_SHARE = 0.75


def item_rows(batch: int, *, num_items: int, seed: int) -> np.ndarray:
    """[batch] int: the item of each row, drawn by Zipf's law of exponent 1."""
    shares = 1.0 / np.arange(1, num_items + 1)
    return np.random.default_rng(seed).choice(num_items, batch, p=shares / shares.sum())


def make_batch(
    config: Config, rows: np.ndarray, *, towers: str, photo_share: float, once: bool, seed: int
) -> dict[str, Any]:
    """A batch of the two-tower model about the items `rows` [batch].

    Args:
      config: Sizes of the model form.
      rows: Store row of each event's item.
      towers: What items and queries have; see `random_shop`.
      photo_share: Share of the queries that have a photo beside their text.
      once: Whether each distinct item comes once; else once for each row.
      seed: Of everything that is drawn.
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
    """The batch again and again, its number of rows unknown to the graph."""
    specs = tf.nest.map_structure(lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), batch)
    tensors = tf.data.Dataset.from_tensors(tf.nest.map_structure(tf.constant, batch))
    return iter(tensors.map(lambda one: relaxed(one, specs)).repeat())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--towers", choices=random_shop.TOWERS, default="image")
    parser.add_argument("--photo_share", type=float, default=0.0, help="share of the queries that have a photo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the configuration")
    given = parser.parse_args()
    config = override(base(), given.set)
    model = build_model(config, num_subwords=random_shop.NUM_SUBWORDS)
    optimizer = make_optimizer(config.train, make_rate(config.train, 1000))
    optimizer.build(model.trainable_variables)
    steps = Steps(model, optimizer, train=config.train, strategy=tf.distribute.get_strategy())
    rows = item_rows(given.batch, num_items=given.items, seed=3)
    streams = {
        name: repeated(
            make_batch(config, rows, towers=given.towers, photo_share=given.photo_share, once=name == "once", seed=5)
        )
        for name in ("once", "each_row")
    }
    seconds: dict[str, list[float]] = {name: [] for name in streams}
    processor: dict[str, list[float]] = {name: [] for name in streams}
    for number in range(given.rounds + 1):  # the first is not counted
        for name, stream in streams.items():
            start, used = time.perf_counter(), time.process_time()
            steps.step(stream, number)
            steps.update()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    shortest = {name: min(times[1:]) for name, times in seconds.items()}
    cpu = {name: min(times[1:]) for name, times in processor.items()}
    told = {
        "batch": given.batch,
        "items": given.items,
        "distinct_in_batch": len(np.unique(rows)),
        "towers": given.towers,
        "photo_share": given.photo_share,
        "set": given.set,
        "examples_per_second": {name: round(given.batch / value, 1) for name, value in shortest.items()},
        "times_as_fast": round(shortest["each_row"] / shortest["once"], 2),
        "times_less_processor": round(cpu["each_row"] / cpu["once"], 2),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
