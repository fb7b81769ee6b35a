"""Exact evaluation by counting ranks beside TF-Recommenders' FactorizedTopK, in one process and in turn.

    python -m benchmarks.training.evaluation --queries 1024 --items 100000

FactorizedTopK as the TF-Recommenders tutorial runs it: candidates in batches of 128, inside one compiled function;
their vectors are ready here, where the tutorial computes them again each time. Of each the shortest time counts.
Prints one JSON line.
"""

import argparse
import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
import tensorflow_recommenders as tfrs  # isort: skip

from benchmarks.timing import time_in_turn
from trainer import metrics

KS = (1, 5, 10, 50, 100)
CANDIDATES_AT_ONCE = 128
QUERIES_AT_ONCE = 4096


class RandomShop(NamedTuple):
    """Queries [query, dim] near their items, items [item, dim], and the item [query] of each query."""

    queries: np.ndarray
    items: np.ndarray
    wanted: np.ndarray


def random_shop(num_queries: int, num_items: int, dim: int) -> RandomShop:
    """Draws a shop with a fixed seed."""
    random = np.random.default_rng(7)
    items = exact(random.normal(size=[num_items, dim]))
    wanted = random.integers(0, num_items, num_queries)
    queries = exact(items[wanted] + 1.5 * random.normal(size=[num_queries, dim]))
    return RandomShop(queries=queries, items=items, wanted=wanted)


def exact(vectors: np.ndarray) -> np.ndarray:
    """Rounds vectors to multiples of 1/64 within 4, so that dot products are exact in float32 in any order.

    FactorizedTopK computes the score of the wanted item differently from those of the candidates. Where the two differ
    in the last bit it misses the item.
    """
    return (np.clip(np.round(64.0 * vectors), -256, 256) / 64.0).astype(np.float32)


def counted(queries: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> list[float]:
    """Returns the share of queries whose item is among the best k, as the trainer's evaluation computes it."""
    rows = np.arange(len(queries))
    relevant = metrics.Relevant(
        request=rows, item=wanted, gain=np.ones(len(rows)), is_relevant=np.ones(len(rows), dtype=bool)
    )
    no_history = np.zeros([len(rows), 0], np.int32)
    scorer = metrics.similarity_scorer(queries, items, history_rows=no_history, repeats=no_history.astype(np.float32))
    ranks = metrics.count_ranks(scorer, relevant, num_items=len(items))
    return [float(np.mean(ranks <= k)) for k in KS]


def tutorial(queries: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> Callable[[], list[float]]:
    """Returns the same computation by FactorizedTopK."""
    candidates = tf.data.Dataset.from_tensor_slices(items).batch(CANDIDATES_AT_ONCE)
    metric = tfrs.metrics.FactorizedTopK(candidates=candidates, ks=KS)
    batches = tf.data.Dataset.from_tensor_slices((queries, items[wanted])).batch(QUERIES_AT_ONCE).cache()

    @tf.function
    def update(query: tf.Tensor, candidate: tf.Tensor) -> None:
        metric.update_state(query, candidate)

    def run() -> list[float]:
        metric.reset_states()
        for query, candidate in batches:
            update(query, candidate)
        return [float(value) for value in metric.result()]

    return run


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1024)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    queries, items, wanted = random_shop(options.queries, options.items, options.dim)
    factorized = tutorial(queries, items, wanted)
    hits: dict[str, list[float]] = {}

    def run_counted() -> None:
        hits["counted"] = counted(queries, items, wanted)

    def run_factorized() -> None:
        hits["factorized_top_k"] = factorized()

    timings = time_in_turn({"counted": run_counted, "factorized_top_k": run_factorized}, rounds=options.rounds)
    ours, theirs = timings["counted"], timings["factorized_top_k"]
    is_identical = np.array_equal(np.array(hits["counted"], np.float32), np.array(hits["factorized_top_k"], np.float32))
    figures = {
        "queries": options.queries,
        "items": options.items,
        "hits": dict(zip(map(str, KS), hits["counted"], strict=True)),
        "identical_hits": is_identical,
        "seconds": {name: round(one.seconds, 3) for name, one in timings.items()},
        "times_as_fast": round(theirs.seconds / ours.seconds, 1),
        "processor_seconds": {name: round(one.processor_seconds, 3) for name, one in timings.items()},
        "times_less_processor": round(theirs.processor_seconds / ours.processor_seconds, 1),
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
