"""Nearest-neighbour libraries without TensorFlow: ScaNN's bare searcher, hnswlib, faiss."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.retrieval.models import K

Search = Callable[[np.ndarray], np.ndarray]
TARGET = 0.99
HNSW_M, HNSW_EF_CONSTRUCTION = 16, 120


class TunedSearch(NamedTuple):
    """A search with the setting that was chosen for it."""

    search: Search
    setting: str


LIBRARIES = ("scann bare", "hnswlib", "faiss ivf")


def recall(found: np.ndarray, wanted: np.ndarray) -> float:
    """Share of the wanted rows [query, k] that are among the found ones."""
    hits = [len(set(row) & set(good)) for row, good in zip(found.tolist(), wanted.tolist(), strict=True)]
    return sum(hits) / wanted.size


def build(name: str, vectors: np.ndarray, folder: Path) -> None:
    """Builds and saves one of `LIBRARIES`."""
    folder.mkdir(parents=True)
    if name == "hnswlib":
        import hnswlib

        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(len(vectors), M=HNSW_M, ef_construction=HNSW_EF_CONSTRUCTION, random_seed=7)
        index.add_items(vectors)
        index.save_index(str(folder / "index.bin"))
    elif name == "faiss ivf":
        import faiss

        index = faiss.index_factory(
            vectors.shape[1], f"IVF{round(4 * len(vectors) ** 0.5)},Flat", faiss.METRIC_INNER_PRODUCT
        )
        index.train(vectors[:: max(1, len(vectors) // 200_000)])
        index.add(vectors)
        faiss.write_index(index, str(folder / "index.bin"))
    else:
        from scann import scann_ops_pybind

        leaves = round(len(vectors) ** 0.5)
        searcher = (
            scann_ops_pybind.builder(vectors, K, "dot_product")
            .tree(leaves, max(1, leaves // 8), training_sample_size=min(len(vectors), 250_000))
            .score_ah(2, anisotropic_quantization_threshold=0.2)
            .reorder(200)
            .build()
        )
        searcher.serialize(str(folder))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    (folder / "facts.json").write_text(json.dumps({"bytes_per_item": round(size / len(vectors), 1)}))


def load(name: str, folder: Path, *, trials: np.ndarray, wanted: np.ndarray) -> TunedSearch:
    """Loads one of `LIBRARIES`, set to the minimum effort that reaches the target recall on trial queries."""
    if name == "hnswlib":
        import hnswlib

        index = hnswlib.Index(space="ip", dim=trials.shape[1])
        index.load_index(str(folder / "index.bin"))

        def with_ef(ef: int) -> Search:
            index.set_ef(ef)
            return lambda queries: index.knn_query(queries, k=K)[0].astype(np.int64)

        return _minimum_effort(with_ef, "ef", trials, wanted)
    if name == "faiss ivf":
        import faiss

        lists: Any = faiss.read_index(str(folder / "index.bin"))

        def with_probes(probes: int) -> Search:
            lists.nprobe = probes
            return lambda queries: lists.search(queries, K)[1]

        return _minimum_effort(with_probes, "nprobe", trials, wanted)
    from scann import scann_ops_pybind

    searcher = scann_ops_pybind.load_searcher(str(folder))

    def with_leaves(leaves: int) -> Search:
        return lambda queries: searcher.search_batched_parallel(
            queries, final_num_neighbors=K, pre_reorder_num_neighbors=200, leaves_to_search=leaves
        )[0].astype(np.int64)

    return _minimum_effort(with_leaves, "leaves", trials, wanted)


def _minimum_effort(made: Callable[[int], Search], setting: str, trials: np.ndarray, wanted: np.ndarray) -> TunedSearch:
    effort = 1
    while recall(made(effort)(trials), wanted) < TARGET and effort < 2000:
        effort = effort + max(1, effort // 4)
    return TunedSearch(made(effort), f"{setting} {effort}")
