"""Clustering and binary codes: spherical k-means lists, iterative quantization, and sample queries. NumPy only."""

import dataclasses
from typing import NamedTuple

import numpy as np

SEED = 17
_BLOCK = 8192
_SAMPLES_PER_LIST = 32
_ITERATIONS = 6
_ROTATION_SAMPLES = 20_000
_ROTATION_ITERATIONS = 20
_QUERY_NOISE = 0.5
NUM_SAMPLE_QUERIES = 400


@dataclasses.dataclass(frozen=True, kw_only=True)
class InvertedLists:
    """Inverted lists of a catalogue.

    Attributes:
      centres: [list, dim] float32 of length 1.
      order: [n] int32 rows, list after list.
      starts: [list + 1] int32, where each list begins in `order`.
    """

    centres: np.ndarray
    order: np.ndarray
    starts: np.ndarray


def build_inverted_lists(vectors: np.ndarray, *, num_lists: int, seed: int = SEED) -> InvertedLists:
    """Builds inverted lists by spherical k-means; a list much longer than the mean is halved until it is not.

    Args:
      vectors: [n, dim] float32 of length 1, n at least 1.
      num_lists: How many lists to begin with.
      seed: Of the sample and the first centres.
    """
    random = np.random.default_rng(seed)
    num_lists = min(num_lists, len(vectors))
    sample = vectors[random.permutation(len(vectors))[: _SAMPLES_PER_LIST * num_lists]]
    centres = sample[:num_lists].copy()
    for _ in range(_ITERATIONS):
        nearest = nearest_centre(sample, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        empty = np.bincount(nearest, minlength=num_lists) == 0
        sums[empty] = sample[random.integers(0, len(sample), int(empty.sum()))]
        centres = _unit(sums)
    nearest = nearest_centre(vectors, centres)
    by_list = np.split(np.argsort(nearest, kind="stable"), np.cumsum(np.bincount(nearest, minlength=num_lists))[:-1])
    limit = max(2, -(-5 * len(vectors) // (4 * num_lists)))
    pieces = [piece for rows in by_list if len(rows) for piece in _split_large_list(vectors, rows, limit)]
    return InvertedLists(
        centres=_unit(np.stack([vectors[rows].mean(axis=0) for rows in pieces])),
        order=np.concatenate(pieces).astype(np.int32),
        starts=np.cumsum([0, *map(len, pieces)]).astype(np.int32),
    )


def nearest_centre(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns [n] int64, the centre with the largest dot product for each vector."""
    return np.concatenate(
        [(vectors[start : start + _BLOCK] @ centres.T).argmax(axis=1) for start in range(0, len(vectors), _BLOCK)]
    )


def _split_large_list(vectors: np.ndarray, rows: np.ndarray, limit: int) -> list[np.ndarray]:
    """Splits `rows` into pieces of at most `limit`, in the middle along the direction in which they differ most."""
    if len(rows) <= limit:
        return [rows]
    centred = vectors[rows] - vectors[rows].mean(axis=0)
    direction = np.linalg.svd(centred[:1024], full_matrices=False)[2][0]
    along = rows[np.argsort(centred @ direction, kind="stable")]
    half = len(rows) // 2
    return [*_split_large_list(vectors, along[:half], limit), *_split_large_list(vectors, along[half:], limit)]


class Rotation(NamedTuple):
    """Rotation of centred vectors.

    Attributes:
      matrix: [dim, bits] float32.
      mean: [dim] float32, subtracted before the rotation.
    """

    matrix: np.ndarray
    mean: np.ndarray


def learn_rotation(vectors: np.ndarray, *, words: int, seed: int = SEED) -> Rotation:
    """Learns a rotation to words * 64 dimensions whose signs lose as little of a vector as they can.

    Iterative quantization (https://slazebni.cs.illinois.edu/publications/cvpr11_small_code.pdf): from random orthogonal
    columns, each step turns them towards the corners of the cube of all sign patterns.
    """
    random = np.random.default_rng(seed)
    sample = vectors[random.permutation(len(vectors))[:_ROTATION_SAMPLES]]
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = (sample - mean).astype(np.float64)
    dim, bits = vectors.shape[1], 64 * words
    blocks: list[np.ndarray] = []
    while sum(block.shape[1] for block in blocks) < bits:
        rotation = np.linalg.qr(random.normal(size=[dim, dim]))[0]
        for _ in range(_ROTATION_ITERATIONS):
            signs = np.where(centred @ rotation > 0.0, 1.0, -1.0)
            left, _, right = np.linalg.svd(centred.T @ signs)
            rotation = left @ right
        blocks.append(rotation)
    return Rotation(matrix=np.concatenate(blocks, axis=1)[:, :bits].astype(np.float32), mean=mean)


def pack_signs(vectors: np.ndarray, rotation: Rotation) -> np.ndarray:
    """Returns [word, n] uint64: the signs of the rotated vectors, the first column lowest."""
    parts = []
    for start in range(0, len(vectors), _BLOCK):
        bits = (vectors[start : start + _BLOCK] - rotation.mean) @ rotation.matrix > 0.0
        parts.append(np.packbits(bits, axis=1, bitorder="little").view("<u8"))
    return np.ascontiguousarray(np.concatenate(parts).T)


def sample_queries(vectors: np.ndarray, *, count: int = NUM_SAMPLE_QUERIES, seed: int = SEED) -> np.ndarray:
    """Returns queries [at most count, dim] float32 of length 1: evenly spaced items plus noise of half their length."""
    chosen = vectors[:: max(1, len(vectors) // count)][:count]
    noise = _unit(np.random.default_rng(seed).normal(size=chosen.shape).astype(np.float32))
    return _unit(chosen + np.float32(_QUERY_NOISE) * noise)


def nearest_rows(queries: np.ndarray, vectors: np.ndarray, *, k: int) -> np.ndarray:
    """Returns [query, min(k, n)] int64, the rows with the largest dot product, in no order."""
    width = min(k, len(vectors))
    return np.stack([np.argpartition(-(vectors @ query), width - 1)[:width] for query in queries])


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)
