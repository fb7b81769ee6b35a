"""Builds a ScaNN index in a process of its own: a failed check in ScaNN aborts the process without an exception."""

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving.index import IndexKind, reordered

_RECALL_QUERIES = 100
_RECALL_AT = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltIndex:
    """An index that was built and read back.

    Attributes:
      state: What `serving.index.ScannIndex` wraps.
      recall: Share of the exact ten nearest items that it finds, over items of the catalogue as queries.
      keep: What must stay alive as long as `state` is used.
    """

    state: Any
    recall: float
    keep: Any


def check_vectors(vectors: np.ndarray) -> None:
    """Refuses what would abort ScaNN or be found by nobody.

    Raises:
      ValueError: A vector is zero or not finite.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise ValueError(
            f"Vectors to index must be finite and not zero; got {bad.size} others, first in row {bad[0]}. "
            "Quarantine them before building."
        )


def build_state(vectors: np.ndarray, *, kind: IndexKind, k: int) -> Any:
    """Builds in this process; see `build_apart`. Returns a trackable ScaNN state."""
    from scann.scann_ops.py import scann_ops

    check_vectors(vectors)
    count = len(vectors)
    builder = scann_ops.builder(vectors, min(k, count), "dot_product")
    if kind is IndexKind.SCANN_TREE:
        leaves = round(math.sqrt(count))
        builder = builder.tree(
            num_leaves=leaves,
            num_leaves_to_search=max(1, leaves // 8),
            training_sample_size=min(count, 250_000),
        )
    if kind is IndexKind.SCANN_BRUTE_FORCE:
        builder = builder.score_brute_force()
    else:
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(min(reordered(k), count))
    return builder.build().serialize_to_module()


def build_apart(vectors: np.ndarray, *, kind: IndexKind, k: int, directory: Path) -> BuiltIndex:
    """Builds in a child process, which cannot take this one with it.

    Args:
      vectors: [n, dim] float32.
      kind: A ScaNN kind.
      k: How many rows a search will ask for.
      directory: A folder for the index, made anew.

    Raises:
      ValueError: As `check_vectors`.
      RuntimeError: The child failed; the message ends with what it printed.
    """
    from scann.scann_ops.py import scann_ops  # noqa: F401  registers the ops, without which nothing is read back

    check_vectors(vectors)
    directory.mkdir(parents=True)
    np.save(directory / "vectors.npy", vectors.astype(np.float32))
    command = [sys.executable, "-m", "serving.scann_build", str(directory), "--kind", kind.value, "--k", str(k)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if child.returncode != 0:
        raise RuntimeError(
            f"Building the {kind} index of {len(vectors)} items failed with exit code {child.returncode}; wanted 0. "
            f"The last lines: {child.stderr[-1000:]}"
        )
    loaded = tf.saved_model.load(str(directory / "index"))
    recall = json.loads((directory / "built.json").read_text())["recall"]
    return BuiltIndex(state=loaded.state, recall=recall, keep=loaded)


def recall_of(state: Any, vectors: np.ndarray) -> float:
    """Share of the exact nearest items that the index finds, for evenly spaced items as queries."""
    from scann.scann_ops.py import scann_ops

    queries = vectors[:: max(1, len(vectors) // _RECALL_QUERIES)]
    width = min(_RECALL_AT, len(vectors))
    found, _ = scann_ops.searcher_from_module(state).search_batched(queries, final_num_neighbors=width)
    hits = 0
    for query, rows in zip(queries, found.numpy(), strict=True):
        scores = vectors @ query
        threshold = np.partition(scores, -width)[-width]
        hits += int((scores[np.unique(rows)] >= threshold - 1e-6).sum())  # of equal scores any will do
    return hits / (len(queries) * width)


def main() -> None:
    """The child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kind", type=IndexKind, required=True)
    parser.add_argument("--k", type=int, required=True)
    arguments = parser.parse_args()
    vectors = np.load(arguments.directory / "vectors.npy", allow_pickle=False)
    holder = tf.Module()
    holder.state = build_state(vectors, kind=arguments.kind, k=arguments.k)
    recall = recall_of(holder.state, vectors)
    options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
    tf.saved_model.save(holder, str(arguments.directory / "index"), options=options)
    (arguments.directory / "built.json").write_text(json.dumps({"recall": recall}))


if __name__ == "__main__":
    main()
