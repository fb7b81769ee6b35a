"""Kinds of index and the choice among them by catalogue size. No TensorFlow here."""

import enum

from trainer.spec.config import INDEXED, IndexChoice, SearchConfig
from trainer.spec.tower import SimilarityKind

MIN_APPROXIMATE_ITEMS = 16  # fewer items, and ScaNN refuses to build; exact search costs nothing there
TREE_MIN_ITEMS = 100_000  # from ScaNN's rules of thumb: below, hashing without a tree


class IndexKind(enum.StrEnum):
    """Kind of an index."""

    EXACT = "exact"
    IVF = "ivf"  # exact in the nearest of many lists, in stock ops
    BINARY = "binary"  # bits compared by Hamming distance, then exact reordering, in stock ops
    SCANN_BRUTE_FORCE = "scann_brute_force"  # exact, by the ScaNN ops
    SCANN_HASHED = "scann_hashed"  # asymmetric hashing, then exact reordering
    SCANN_TREE = "scann_tree"  # only some leaves of a tree, then as above


EXACT_KINDS = frozenset({IndexKind.EXACT, IndexKind.SCANN_BRUTE_FORCE})
SCANN_KINDS = frozenset({IndexKind.SCANN_BRUTE_FORCE, IndexKind.SCANN_HASHED, IndexKind.SCANN_TREE})


def choose_kind(
    num_items: int, *, flavour: str, search: SearchConfig, similarity: SimilarityKind = SimilarityKind.COSINE
) -> IndexKind:
    """Chooses the kind of index of `num_items` items in one flavour of a bundle.

    Exact where the other kinds do not support the similarity.
    """
    if num_items < MIN_APPROXIMATE_ITEMS or search.index is IndexChoice.EXACT:
        return IndexKind.EXACT
    if search.index is IndexChoice.IVF:
        return IndexKind.IVF
    if search.index is IndexChoice.BINARY:
        return IndexKind.BINARY
    if similarity not in INDEXED[IndexChoice.IVF if flavour == "stock" else IndexChoice.SCANN]:
        return IndexKind.EXACT
    small = num_items < search.ann_min_items
    if flavour == "stock":
        return IndexKind.EXACT if small else IndexKind.IVF
    if small and search.index is IndexChoice.AUTO:
        return IndexKind.SCANN_BRUTE_FORCE
    return IndexKind.SCANN_HASHED if num_items < TREE_MIN_ITEMS else IndexKind.SCANN_TREE
