"""Index build in a process of its own: memory goes back to the system, and a crash is an error and no more.

A failed check in ScaNN aborts the process without an exception. The result is a folder: `built.json` with the
parameters that were chosen, and `parts.npz` or, for ScaNN, the SavedModel `index`.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from serving.index import clustering
from serving.index.checks import RECALL_AT, TARGET_RECALL
from serving.index.kinds import SCANN_KINDS, IndexKind
from trainer.spec.config import VectorDtype


def build_in_subprocess(
    vectors: np.ndarray, *, queries: np.ndarray, kind: IndexKind, storage: VectorDtype, k: int, directory: Path
) -> dict[str, Any]:
    """Builds an index into `directory` and returns the parameters that were chosen.

    Args:
      vectors: [n, dim] float32 of length 1.
      queries: [query, dim] float32 of length 1, for which the index is tuned; they decide how much it reads.
      kind: Anything but exact.
      storage: How the vectors are stored.
      k: How many candidates are retrieved.
      directory: A new folder.

    Raises:
      RuntimeError: The child process failed.
    """
    directory.mkdir(parents=True)
    np.save(directory / "vectors.npy", vectors.astype(np.float32), allow_pickle=False)
    np.save(directory / "queries.npy", queries.astype(np.float32), allow_pickle=False)
    command = [sys.executable, "-m", "serving.index.build_process", str(directory)]
    command += ["--kind", kind.value, "--storage", storage.value, "--k", str(k)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if child.returncode != 0:
        raise RuntimeError(
            f"Building the {kind} index of {len(vectors)} items failed with exit code {child.returncode}; wanted 0. "
            f"The last lines: {child.stderr[-1000:]}"
        )
    built: dict[str, Any] = json.loads((directory / "built.json").read_text())
    return built


class IndexParts(NamedTuple):
    """Parts of an index: {name: array}, and {name: parameter} as JSON."""

    arrays: dict[str, np.ndarray]
    parameters: dict[str, Any]


def build_ivf(vectors: np.ndarray, queries: np.ndarray) -> IndexParts:
    """Builds an inverted file: about 4 √n lists, and as many probes as the target needs."""
    lists = clustering.build_inverted_lists(vectors, num_lists=max(1, round(4 * math.sqrt(len(vectors)))))
    list_of = np.empty(len(vectors), np.int64)
    list_of[lists.order] = np.repeat(np.arange(len(lists.centres)), np.diff(lists.starts))
    wanted = list_of[clustering.nearest_rows(queries, vectors, k=RECALL_AT)]
    order = np.argsort(-(queries @ lists.centres.T), axis=1, kind="stable")
    places = np.argsort(order, axis=1)  # [query, list]: how many lists are nearer
    reads = int(np.quantile(np.take_along_axis(places, wanted, axis=1), TARGET_RECALL, method="higher")) + 1
    arrays = {"centres": lists.centres, "starts": lists.starts, "order": lists.order}
    return IndexParts(arrays, {"probes": reads, "longest": int(np.diff(lists.starts).max())})


def build_binary(vectors: np.ndarray, queries: np.ndarray) -> IndexParts:
    """Builds binary codes: two bits per dimension, and as many comparisons as the target needs."""
    rotation = clustering.learn_rotation(vectors, words=-(-2 * vectors.shape[1] // 64))
    words = clustering.pack_signs(vectors, rotation)
    wanted = clustering.nearest_rows(queries, vectors, k=RECALL_AT)
    ranks = []
    for bits, rows in zip(clustering.pack_signs(queries, rotation).T, wanted, strict=True):
        distance = np.bitwise_count(words ^ bits[:, None]).sum(axis=0, dtype=np.int32)
        at = np.searchsorted(np.sort(distance), distance[rows], side="right")  # the worst place among equals
        ranks += at.tolist()
    share = float(np.quantile(ranks, TARGET_RECALL)) / len(vectors)
    arrays = {"words": words.view(np.int64), "rotation": rotation.matrix, "mean": rotation.mean}
    return IndexParts(arrays, {"share": share})


def main() -> None:
    """Runs the child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kind", type=IndexKind, required=True)
    parser.add_argument("--storage", type=VectorDtype, required=True)
    parser.add_argument("--k", type=int, required=True)
    arguments = parser.parse_args()
    vectors = np.load(arguments.directory / "vectors.npy", allow_pickle=False)
    queries = np.load(arguments.directory / "queries.npy", allow_pickle=False)
    if arguments.kind in SCANN_KINDS:
        from serving.index import scann_builder  # TensorFlow, needed for this alone

        setting = {"kind": arguments.kind, "storage": arguments.storage, "k": arguments.k}
        parameters = scann_builder.build(vectors, queries=queries, directory=arguments.directory, **setting)
    else:
        arrays, parameters = (build_ivf if arguments.kind is IndexKind.IVF else build_binary)(vectors, queries)
        np.savez(arguments.directory / "parts.npz", allow_pickle=False, **arrays)
    (arguments.directory / "built.json").write_text(json.dumps(parameters))


if __name__ == "__main__":
    main()
