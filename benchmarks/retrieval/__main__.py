"""Indexes compared on one catalogue: recall@10, and the time of a call at batch 1, 32 and 256, in one process.

    python -m benchmarks.retrieval make --bundle runs/demo/bundle/stock/1 --items 100000 --work runs/retrieval
    python -m benchmarks.retrieval measure --items 100000 --work runs/retrieval

`make` builds everything once; `measure` loads it and queries one contender after the other, round by round, so that
other load of the machine affects all alike.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from benchmarks.retrieval import libraries, models, vectors
from serving.index.clustering import nearest_rows

BATCHES = (1, 32, 256)
NUM_QUERIES = 512  # half to set the libraries' effort, half to measure
MAX_ROUNDS = 400
Search = Callable[[np.ndarray], np.ndarray]


def make(bundle: Path, count: int, work: Path) -> None:
    """Builds everything that is not there yet."""
    folder = (work / str(count)).resolve()  # ScaNN keeps the paths of what it saves
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "queries.npy").exists():
        items, titles = vectors.read_items(bundle)
        np.save(folder / "vectors.npy", vectors.replicate(items, count))
        np.save(folder / "queries.npy", vectors.make_queries(bundle, titles, NUM_QUERIES))
    made, trials = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")[: NUM_QUERIES // 2]
    for name in (models.GATHER, models.BRUTE_FORCE, *models.OURS, *libraries.LIBRARIES):
        target, started = folder / name.replace(" ", "_"), time.monotonic()
        if (target / "facts.json").exists() or (name == models.GATHER and target.exists()):
            continue
        if name == models.GATHER:
            models.save_gather(made, target)
        elif name == models.BRUTE_FORCE:
            models.save_brute_force(made, target)
        elif name in models.OURS:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                models.save_ours(name, made, target, queries=trials, scratch=Path(scratch))
        else:
            libraries.build(name, made, target)
        print(f"{name}: built in {time.monotonic() - started:.1f} s", flush=True)


def measure(count: int, work: Path, *, only: Sequence[str], seconds: float) -> dict[str, dict[str, float]]:
    """{contender: figures}; prints the table."""
    folder = (work / str(count)).resolve()  # ScaNN keeps the paths of what it saves
    made, queries = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy").astype(np.float32)
    trials, measured = queries[: NUM_QUERIES // 2], queries[NUM_QUERIES // 2 :]
    wanted_trials, wanted = (nearest_rows(some, made, k=models.K) for some in (trials, measured))
    del made
    searches, results = {}, {}
    for name in only or (models.BRUTE_FORCE, models.GATHER, *models.OURS, *libraries.LIBRARIES):
        target = folder / name.replace(" ", "_")
        if not target.exists():
            continue
        facts = json.loads((target / "facts.json").read_text()) if (target / "facts.json").exists() else {}
        if name in libraries.LIBRARIES:
            search, setting = libraries.load(name, target, trials=trials, wanted=wanted_trials)
        else:
            search, setting = _signature(target), _setting(facts)
        searches[name] = search
        results[name] = {"bytes": facts.get("bytes_per_item", 0.0), "setting": setting}
        found = search(measured)
        results[name]["recall"] = libraries.recall(found, wanted) if name != models.GATHER else 0.0
    for batch in BATCHES:
        for name, times in _interleaved(searches, measured[:batch], seconds=seconds).items():
            results[name][f"p50 {batch}"] = 1000 * float(np.median(times))
            results[name][f"p99 {batch}"] = 1000 * float(np.quantile(times, 0.99))
            results[name][f"calls {batch}"] = len(times)
    print(table(results))
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    return results


def _signature(folder: Path) -> Search:
    from scann.scann_ops.py import scann_ops  # noqa: F401  registers the ops

    loaded = tf.saved_model.load(str(folder))
    search = loaded.signatures["search"]

    def rows(queries: np.ndarray) -> np.ndarray:
        ids = search(queries=tf.constant(queries))["ids"].numpy()
        return ids if len(ids) < NUM_QUERIES // 2 else _rows_of(ids)

    rows.keep = loaded  # type: ignore[attr-defined]
    return rows


def _rows_of(ids: np.ndarray) -> np.ndarray:
    return np.array([[int(name.split(b"-")[1]) if name else -1 for name in row] for row in ids.tolist()])


def _setting(facts: dict[str, object]) -> str:
    return " ".join(f"{name} {facts[name]}" for name in ("probes", "share", "leaves") if facts.get(name))


def _interleaved(searches: dict[str, Search], queries: np.ndarray, *, seconds: float) -> dict[str, list[float]]:
    """Times of single calls, one of each contender a round, until the time is up."""
    times: dict[str, list[float]] = {name: [] for name in searches}
    for search in searches.values():
        search(queries)
    started = time.monotonic()
    while time.monotonic() - started < seconds and len(next(iter(times.values()))) < MAX_ROUNDS:
        for name, search in searches.items():
            before = time.perf_counter()
            search(queries)
            times[name].append(time.perf_counter() - before)
    return times


def table(results: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table; times in ms, in brackets how many times faster than TFRS BruteForce."""
    first = results.get(models.BRUTE_FORCE)
    lines = ["| contender | recall@10 | bytes an item | " + " | ".join(f"batch {b}: p50 / p99" for b in BATCHES) + " |"]
    lines.append("|---" * (3 + len(BATCHES)) + "|")
    for name, figures in results.items():
        cells = []
        for batch in BATCHES:
            faster = f" ({first[f'p50 {batch}'] / figures[f'p50 {batch}']:.1f}×)" if first else ""
            cells.append(f"{figures[f'p50 {batch}']:.3f} / {figures[f'p99 {batch}']:.3f}{faster}")
        head = f"{name}, {figures['setting']}" if figures["setting"] else name
        lines.append(f"| {head} | {figures['recall']:.3f} | {figures['bytes']:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["make", "measure"])
    parser.add_argument("--bundle", type=Path, help="a version folder; its item vectors are replicated")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--work", type=Path, default=Path("runs/retrieval"))
    parser.add_argument("--only", action="append", default=[], help="measure these alone")
    parser.add_argument("--seconds", type=float, default=40.0, help="for each batch size")
    options = parser.parse_args()
    if options.step == "make":
        make(options.bundle, options.items, options.work)
    else:
        measure(options.items, options.work, only=options.only, seconds=options.seconds)


if __name__ == "__main__":
    main()
