"""Index factory: item vectors to an index of any kind, and an index restored from a SavedModel."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.index import clustering
from serving.index.binary import BinaryIndex
from serving.index.build_process import build_in_subprocess
from serving.index.checks import RECALL_AT, check_vectors
from serving.index.exact import ApproximateIndex, ExactFallbackIndex, ExactIndex, Index
from serving.index.ivf import IvfIndex
from serving.index.kinds import IndexKind
from serving.index.scann import ScannIndex
from serving.index.vector_store import VectorStore
from trainer.plain_paths import plain_path
from trainer.spec.config import VectorDtype

_SCANN_VARIABLES = (
    *("scann_config", "serialized_partitioner", "datapoint_to_token", "ah_codebook", "hashed_dataset"),
    *("int8_dataset", "int8_multipliers", "dp_norms", "dataset"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltIndex:
    """Index with its metadata.

    Attributes:
      index: The index.
      metadata: As JSON, for the manifest: `kind`, `storage`, `items`, `recall_at_10`, `bytes_per_item`, and the
        parameters of the kind.
      keep_alive: An object that must stay alive as long as `index` is used.
    """

    index: Index
    metadata: Mapping[str, Any]
    keep_alive: Any = None


def build_index(
    vectors: np.ndarray, *, queries: np.ndarray, kind: IndexKind, storage: VectorDtype, k: int, work_dir: Path
) -> BuiltIndex:
    """Indexes `vectors` [n, dim] float32 by dot product; anything but exact is built in a child process.

    Args:
      vectors: Rows in the order of the catalogue.
      queries: [query, dim] float32, a sample of the queries to come: half of them decide how much an index reads,
        over the others its recall is measured. See `sample_queries`.
      kind: Which index.
      storage: How the vectors are stored.
      k: How many candidates are retrieved.
      work_dir: Folder for temporary files; the caller removes it.

    Raises:
      ValueError: A vector is zero or not finite.
      RuntimeError: The child process failed.
    """
    check_vectors(vectors)
    parameters: dict[str, Any] = {}
    keep_alive = None
    if kind is IndexKind.EXACT:
        index: Index = ExactIndex(VectorStore.of(vectors, storage=storage))
    else:
        folder = work_dir / kind.value
        parameters = build_in_subprocess(
            vectors, queries=queries[::2], kind=kind, storage=storage, k=k, directory=folder
        )
        loaded = _load_parts(folder, vectors, kind=kind, storage=storage, parameters=parameters)
        index, keep_alive = loaded.index, loaded.keep_alive
    metadata = {
        "kind": kind.value,
        "storage": storage.value,
        "items": len(vectors),
        "recall_at_10": measured_recall(index, vectors, queries[1::2]),
        "bytes_per_item": round(size_of(index) / max(1, len(vectors)), 1),
        **parameters,
    }
    return BuiltIndex(index=index, metadata=metadata, keep_alive=keep_alive)


def restore_index(saved: Any, metadata: Mapping[str, Any]) -> Index:
    """Restores the index that a SavedModel holds as `saved`, with its variables: nothing is built or copied."""
    kind = IndexKind(metadata["kind"])
    if kind is IndexKind.EXACT:
        return ExactIndex(_restore_store(saved.store))
    old = saved.approximate
    return _assemble(_restore_store(old.store), kind=kind, parameters=metadata, parts=old)


@dataclasses.dataclass(frozen=True)
class _LoadedIndex:
    """An index, and an object that must stay alive with it."""

    index: Index
    keep_alive: Any


def _load_parts(
    folder: Path, vectors: np.ndarray, *, kind: IndexKind, storage: VectorDtype, parameters: Mapping[str, Any]
) -> _LoadedIndex:
    """Loads the result of the child process."""
    if not (folder / "parts.npz").exists():
        from scann.scann_ops.py import scann_ops  # noqa: F401  registers the ops, without which it does not load

        loaded = tf.saved_model.load(plain_path(folder / "index"))
        store = VectorStore.of(vectors, storage=storage)
        return _LoadedIndex(_assemble(store, kind=kind, parameters=parameters, parts=loaded), loaded)
    with np.load(folder / "parts.npz", allow_pickle=False) as arrays:
        parts = tf.Module()
        for name in arrays.files:
            setattr(parts, name, arrays[name])
    store = VectorStore.of(vectors, storage=storage, order=getattr(parts, "order", None))
    return _LoadedIndex(_assemble(store, kind=kind, parameters=parameters, parts=parts), None)


def _assemble(store: VectorStore, *, kind: IndexKind, parameters: Mapping[str, Any], parts: Any) -> Index:
    approximate: ApproximateIndex
    if kind is IndexKind.IVF:
        numbers = {name: parameters[name] for name in ("longest", "probes")}
        approximate = IvfIndex(store, centres=parts.centres, starts=parts.starts, **numbers)
    elif kind is IndexKind.BINARY:
        arrays = {"words": parts.words, "rotation": parts.rotation, "mean": parts.mean}
        approximate = BinaryIndex(store, **arrays, share=parameters["share"])
    else:
        settings = {name: parameters[name] for name in ("leaves", "reorders")}
        approximate = ScannIndex(store, state=parts.state, kind=kind, **settings)
    return ExactFallbackIndex(approximate, exact=ExactIndex(store))


def _restore_store(saved: Any) -> VectorStore:
    parts = {name: getattr(saved, name, None) for name in ("scales", "rotation", "rows_at")}
    return VectorStore(saved.codes, **parts)


def measured_recall(index: Index, vectors: np.ndarray, queries: np.ndarray) -> float:
    """Returns the share of the exact nearest ten of `queries` that are the first ten of `index`."""
    if not len(vectors) or not len(queries):
        return 1.0
    wanted = clustering.nearest_rows(queries, vectors, k=RECALL_AT)
    found = index.retrieve(tf.constant(queries), wanted.shape[1]).numpy()
    hits = 0
    for query, rows, good in zip(queries, found, wanted, strict=True):
        threshold = (vectors[good] @ query).min() - 1e-6  # of equal scores any will do
        hits += int((vectors[rows[rows >= 0]] @ query >= threshold).sum())
    return hits / wanted.size


def size_of(index: Any) -> int:
    """Returns the bytes of all variables of `index`, those of ScaNN included."""
    seen: dict[int, int] = {}
    for variable in _variables(index):
        value = variable.read_value()
        if value.dtype is tf.string:
            size = sum(len(text) for text in np.ravel(value.numpy()))
        else:
            size = math.prod(value.shape) * value.dtype.size
        seen[id(variable)] = size
    return sum(seen.values())


def _variables(index: Any) -> list[tf.Variable]:
    found = list(index.variables)
    state = getattr(getattr(index, "approximate", None), "state", None)
    return found + [getattr(state, name) for name in _SCANN_VARIABLES if state is not None]
