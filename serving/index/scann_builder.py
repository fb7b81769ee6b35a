"""ScaNN index build in this process; `serving.index.build_process` runs it in one of its own."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.index import clustering
from serving.index.checks import RECALL_AT, TARGET_RECALL, check_vectors
from serving.index.kinds import IndexKind
from serving.index.scann import num_reordered
from trainer.spec.config import VectorDtype


def build_state(vectors: np.ndarray, *, kind: IndexKind, k: int, reorders: bool = True) -> Any:
    """Returns a trackable ScaNN state over `vectors` [n, dim]; with `reorders` it keeps them for an exact comparison.

    Raises:
      ValueError: A vector is zero or not finite.
    """
    from scann.scann_ops.py import scann_ops

    check_vectors(vectors)
    count = len(vectors)
    builder = scann_ops.builder(vectors, min(k, count), "dot_product")
    if kind is IndexKind.SCANN_TREE:
        leaves = num_leaves(count)
        builder = builder.tree(
            num_leaves=leaves,
            num_leaves_to_search=max(1, leaves // 8),
            training_sample_size=min(count, 250_000),
        )
    if kind is IndexKind.SCANN_BRUTE_FORCE:
        builder = builder.score_brute_force()
    else:
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2)
        builder = builder.reorder(min(num_reordered(k), count)) if reorders else builder
    return builder.build().serialize_to_module()


def num_leaves(count: int) -> int:
    """Returns the number of leaves of a tree over `count` items."""
    return round(math.sqrt(count))


def tune_num_leaves(state: Any, vectors: np.ndarray, *, queries: np.ndarray, k: int) -> int:
    """Returns the fewest leaves to search for the target recall, with some reserve for `k` candidates."""
    from scann.scann_ops.py import scann_ops

    searcher = scann_ops.searcher_from_module(state)
    wanted = clustering.nearest_rows(queries, vectors, k=RECALL_AT)
    max_leaves = num_leaves(len(vectors))
    leaves = min(max_leaves, max(1, math.ceil(4 * k * max_leaves / len(vectors))))
    while leaves < max_leaves:
        found, scores = searcher.search_batched(
            queries,
            final_num_neighbors=num_reordered(k),
            pre_reorder_num_neighbors=num_reordered(k),
            leaves_to_search=leaves,
        )
        found = np.where(np.isnan(scores), -1, found).reshape(len(queries), -1)
        hits = [len(set(row) & set(good)) for row, good in zip(found.tolist(), wanted.tolist(), strict=True)]
        if sum(hits) >= TARGET_RECALL * wanted.size:
            return leaves
        leaves = min(max_leaves, math.ceil(1.3 * leaves))
    return max_leaves


def build(
    vectors: np.ndarray, *, queries: np.ndarray, kind: IndexKind, storage: VectorDtype, k: int, directory: Path
) -> dict[str, Any]:
    """Writes the SavedModel `index` into `directory`; returns the parameters that were chosen.

    With float32 storage ScaNN keeps the vectors itself; with a smaller one they are kept once, by the index's store.
    """
    reorders = storage is VectorDtype.FLOAT32 or kind is IndexKind.SCANN_BRUTE_FORCE
    holder = tf.Module()
    holder.state = build_state(vectors, kind=kind, k=k, reorders=reorders)
    leaves = tune_num_leaves(holder.state, vectors, queries=queries, k=k) if kind is IndexKind.SCANN_TREE else 0
    options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
    tf.saved_model.save(holder, str(directory / "index"), options=options)
    return {"leaves": leaves, "reorders": reorders}
