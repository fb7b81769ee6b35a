"""Search as a person would write it down: every item scored in float64, sorted, one of each group, then the page."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    ids: list[bytes]
    scores: list[float]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-values))


def unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors, dtype=np.float64), where=lengths > 0)


def fake_parts(query: np.ndarray, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """The score components of `tests.support.fake_towers`, of one query [dim] with items [n, dim]."""
    dot = vectors @ query
    return {
        "dense": dot,
        "click": sigmoid(2.0 * dot),
        "purchase": sigmoid(dot - 3.0 * vectors[:, 0]),
        "relevance": sigmoid(3.0 * dot),
    }


def search(
    parts: Mapping[str, np.ndarray],
    *,
    ids: Sequence[bytes],
    groups: Sequence[bytes],
    weights: Mapping[str, float],
    depth: int,
) -> Page:
    """All results of one query, in order; `parts` are {part: [n]}."""
    scores = sum(np.float64(weight) * parts[part] for part, weight in weights.items())
    chosen: list[int] = []
    seen: set[bytes] = set()
    for row in sorted(range(len(ids)), key=lambda row: (-scores[row], ids[row])):
        group = groups[row] or b"alone:" + ids[row]
        if group not in seen:
            seen.add(group)
            chosen.append(row)
    chosen = chosen[:depth]
    return Page(ids=[ids[row] for row in chosen], scores=[float(scores[row]) for row in chosen])
