"""Item vectors to an index of any kind, and an index back from a SavedModel with the numbers of its manifest."""

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
from trainer.spec.config import VectorDtype

_SCANN_VARIABLES = (
    *("scann_config", "serialized_partitioner", "datapoint_to_token", "ah_codebook", "hashed_dataset"),
    *("int8_dataset", "int8_multipliers", "dp_norms", "dataset"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltIndex:
    """An index and what the manifest says about it.

    Attributes:
      index: The index.
      facts: As JSON: `kind`, `storage`, `items`, `recall_at_10`, `bytes_per_item`, and the numbers of the kind.
      keep: What must stay alive as long as `index` is used.
    """

    index: Index
    facts: Mapping[str, Any]
    keep: Any = None


def build_index(
    vectors: np.ndarray,
    *,
    queries: np.ndarray | None = None,
    kind: IndexKind,
    storage: VectorDtype,
    k: int,
    work_dir: Path,
) -> BuiltIndex:
    """Indexes `vectors` [n, dim] float32 by dot product; anything but exact is built in a child process.

    Args:
      vectors: Rows in the order of the catalogue.
      queries: [query, dim] float32, like those that will come: half of them decide how much an index reads,
        over the others its recall is measured. None = items moved by noise.
      kind: Which index.
      storage: How the vectors are stored.
      k: How many candidates will be asked for.
      work_dir: Where files lie meanwhile; the caller removes it.

    Raises:
      ValueError: A vector is zero or not finite.
      RuntimeError: The child process failed.
    """
    check_vectors(vectors)
    if queries is None or not len(queries):
        queries = clustering.sample_queries(vectors)
    numbers: dict[str, Any] = {}
    keep = None
    if kind is IndexKind.EXACT:
        index: Index = ExactIndex(VectorStore.of(vectors, storage=storage))
    else:
        folder = work_dir / kind.value
        numbers = build_in_subprocess(vectors, queries=queries[::2], kind=kind, storage=storage, k=k, directory=folder)
        approximate, keep = _load_parts(folder, vectors, kind=kind, storage=storage, numbers=numbers)
        index = ExactFallbackIndex(approximate, exact=ExactIndex(approximate.store))  # type: ignore[attr-defined]
    facts = {
        "kind": kind.value,
        "storage": storage.value,
        "items": len(vectors),
        "recall_at_10": measured_recall(index, vectors, queries[1::2]),
        "bytes_per_item": round(size_of(index) / max(1, len(vectors)), 1),
        **numbers,
    }
    return BuiltIndex(index=index, facts=facts, keep=keep)


def restore_index(saved: Any, facts: Mapping[str, Any]) -> Index:
    """The index that a SavedModel holds as `saved`, with the variables it has: nothing is built or copied."""
    kind = IndexKind(facts["kind"])
    if kind is IndexKind.EXACT:
        return ExactIndex(_restore_store(saved.store))
    old = saved.approximate
    approximate = _assemble(_restore_store(old.store), kind=kind, numbers=facts, parts=old)
    return ExactFallbackIndex(approximate, exact=ExactIndex(approximate.store))  # type: ignore[attr-defined]


def _load_parts(
    folder: Path, vectors: np.ndarray, *, kind: IndexKind, storage: VectorDtype, numbers: Mapping[str, Any]
) -> tuple[ApproximateIndex, Any]:
    """What the child process left, and what must stay alive."""
    if not (folder / "parts.npz").exists():
        from scann.scann_ops.py import scann_ops  # noqa: F401  registers the ops, without which it does not load

        loaded = tf.saved_model.load(str(folder / "index"))
        return _assemble(VectorStore.of(vectors, storage=storage), kind=kind, numbers=numbers, parts=loaded), loaded
    with np.load(folder / "parts.npz", allow_pickle=False) as arrays:
        parts = tf.Module()
        for name in arrays.files:
            setattr(parts, name, arrays[name])
    store = VectorStore.of(vectors, storage=storage, order=getattr(parts, "order", None))
    return _assemble(store, kind=kind, numbers=numbers, parts=parts), None


def _assemble(store: VectorStore, *, kind: IndexKind, numbers: Mapping[str, Any], parts: Any) -> ApproximateIndex:
    if kind is IndexKind.IVF:
        return IvfIndex(
            store,
            centres=parts.centres,
            starts=parts.starts,
            longest=numbers["longest"],
            probes=numbers["probes"],
        )
    if kind is IndexKind.BINARY:
        return BinaryIndex(store, words=parts.words, rotation=parts.rotation, mean=parts.mean, share=numbers["share"])
    return ScannIndex(store, state=parts.state, kind=kind, leaves=numbers["leaves"], reorders=numbers["reorders"])


def _restore_store(saved: Any) -> VectorStore:
    parts = {name: getattr(saved, name, None) for name in ("scales", "rotation", "rows_at")}
    return VectorStore(saved.codes, **parts)


def measured_recall(index: Index, vectors: np.ndarray, queries: np.ndarray) -> float:
    """Share of the exact nearest ten of `queries` that `index` proposes as its first ten."""
    if not len(vectors) or not len(queries):
        return 1.0
    wanted = clustering.nearest_rows(queries, vectors, k=RECALL_AT)
    found = index.propose(tf.constant(queries), wanted.shape[1]).numpy()
    hits = 0
    for query, rows, good in zip(queries, found, wanted, strict=True):
        threshold = (vectors[good] @ query).min() - 1e-6  # of equal scores any will do
        hits += int((vectors[rows[rows >= 0]] @ query >= threshold).sum())
    return hits / wanted.size


def size_of(index: Any) -> int:
    """Bytes of everything that `index` keeps in variables; what ScaNN keeps is counted by its own."""
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
