"""Exact evaluation by counting ranks beside TF-Recommenders' FactorizedTopK, in one process and in turn.

    python -m benchmarks.training.evaluation --queries 1024 --items 100000

FactorizedTopK as the TF-Recommenders tutorial runs it: candidates in batches of 128, inside one compiled function;
their vectors are ready here, where the tutorial computes them again each time. Of each way the shortest time counts.
Prints one JSON line.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
import tensorflow_recommenders as tfrs  # isort: skip

from trainer import metrics

KS = (1, 5, 10, 50, 100)
CANDIDATES_AT_ONCE = 128
QUERIES_AT_ONCE = 4096


def shop(num_queries: int, num_items: int, dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries [query, dim] near their items, items [item, dim], and the item [query] of each."""
    random = np.random.default_rng(7)
    items = exact(random.normal(size=[num_items, dim]))
    wanted = random.integers(0, num_items, num_queries)
    return exact(items[wanted] + 1.5 * random.normal(size=[num_queries, dim])), items, wanted


def exact(vectors: np.ndarray) -> np.ndarray:
    """Vectors as multiples of 1/64 within 4, so that dot products are exact in float32 in any order of adding up.

    FactorizedTopK computes the score of the wanted item in another way than those of the candidates. Where the two
    differ in the last bit it misses the item at its own place.
    """
    return (np.clip(np.round(64.0 * vectors), -256, 256) / 64.0).astype(np.float32)


def counted(queries: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> list[float]:
    """Share of the queries whose item is among the best k, as the trainer's evaluation finds it."""
    rows = np.arange(len(queries))
    relevant = metrics.Relevant(
        request=rows, item=wanted, gain=np.ones(len(rows)), is_relevant=np.ones(len(rows), dtype=bool)
    )
    nobody = np.zeros([len(rows), 0], np.int32)  # no shopper has a history
    scorer = metrics.similarity_scorer(queries, items, history_rows=nobody, repeats=nobody.astype(np.float32))
    ranks = metrics.count_ranks(scorer, relevant, num_items=len(items))
    return [float(np.mean(ranks <= k)) for k in KS]


def tutorial(queries: np.ndarray, items: np.ndarray, wanted: np.ndarray) -> Callable[[], list[float]]:
    """The same by FactorizedTopK, ready to run."""
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
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1024)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    queries, items, wanted = shop(given.queries, given.items, given.dim)
    theirs = tutorial(queries, items, wanted)
    seconds: dict[str, list[float]] = {"counted": [], "factorized_top_k": []}
    processor: dict[str, list[float]] = {"counted": [], "factorized_top_k": []}
    found = {}
    for _ in range(given.rounds + 1):  # the first is not counted
        for name, run in (("counted", lambda: counted(queries, items, wanted)), ("factorized_top_k", theirs)):
            start, used = time.perf_counter(), time.process_time()
            found[name] = run()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    shortest = {name: min(times[1:]) for name, times in seconds.items()}
    cpu = {name: min(times[1:]) for name, times in processor.items()}
    told = {
        "queries": given.queries,
        "items": given.items,
        "hits": dict(zip(map(str, KS), found["counted"], strict=True)),
        "identical_hits": np.array_equal(np.float32(found["counted"]), np.float32(found["factorized_top_k"])),
        "seconds": {name: round(value, 3) for name, value in shortest.items()},
        "times_as_fast": round(shortest["factorized_top_k"] / shortest["counted"], 1),
        "processor_seconds": {name: round(value, 3) for name, value in cpu.items()},
        "times_less_processor": round(cpu["factorized_top_k"] / cpu["counted"], 1),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
