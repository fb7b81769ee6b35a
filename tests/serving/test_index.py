from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving import scann_build
from serving.index import ExactIndex, IndexKind, ScannIndex, scann_kind
from tests.support.numpy_search import unit

SIZES = [0, 1, 5, 15, 16, 50, 99, 100]


def vectors_of(num_items: int, dim: int = 8) -> np.ndarray:
    return unit(np.random.default_rng(num_items).normal(size=[num_items, dim])).astype(np.float32)


def exact(vectors: np.ndarray, **more: int) -> ExactIndex:
    table = np.pad(vectors, [(0, 1), (0, 0)])  # a bundle's table ends in a blank row
    return ExactIndex(tf.Variable(table), num_items=len(vectors), **more)


def best_rows(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]
    return np.pad(order, [(0, 0), (0, k - order.shape[1])], constant_values=-1)


def scann_index(vectors: np.ndarray, *, kind: IndexKind, k: int) -> ScannIndex:
    return ScannIndex(scann_build.build_state(vectors, kind=kind, k=k), kind=kind, exact=exact(vectors))


@pytest.mark.parametrize("num_items", SIZES)
def test_exact_gives_the_nearest_and_says_where_there_are_no_more(num_items):
    vectors, queries = vectors_of(num_items), vectors_of(3)
    rows = exact(vectors).propose(tf.constant(queries), 20)
    assert rows.dtype == tf.int32
    np.testing.assert_array_equal(rows, best_rows(queries, vectors, 20))


@pytest.mark.parametrize("num_items", [1, 7, 50, 99])
def test_blocks_change_nothing(num_items):
    vectors, queries = vectors_of(num_items), vectors_of(4)
    rows = exact(vectors, block_rows=7).propose(tf.constant(queries), 12)
    np.testing.assert_array_equal(rows, best_rows(queries, vectors, 12))


def test_equal_scores_come_in_row_order_across_blocks():
    vectors = np.tile(np.float32([[0.6, 0.8]]), [10, 1])
    rows = exact(vectors, block_rows=3).propose(tf.constant([[1.0, 0.0]]), 10)
    np.testing.assert_array_equal(rows, [range(10)])


def test_an_empty_batch_gives_no_rows():
    assert exact(vectors_of(5)).propose(tf.zeros([0, 8]), 3).shape == [0, 3]


def test_the_blank_row_is_never_proposed():
    # The only item points away from the query; the blank row after it would score higher.
    rows = exact(np.float32([[-1.0, 0.0]])).propose(tf.constant([[1.0, 0.0]]), 2)
    np.testing.assert_array_equal(rows, [[0, -1]])


@pytest.mark.parametrize(
    ("num_items", "kind"),
    [
        (0, IndexKind.EXACT),
        (15, IndexKind.EXACT),
        (16, IndexKind.SCANN_BRUTE_FORCE),
        (19_999, IndexKind.SCANN_BRUTE_FORCE),
        (20_000, IndexKind.SCANN_HASHED),
        (100_000, IndexKind.SCANN_TREE),
    ],
)
def test_the_catalogue_size_decides_the_kind(num_items, kind):
    assert scann_kind(num_items, scann_from_items=20_000) is kind


@pytest.mark.parametrize("num_items", [16, 50, 99, 100])
def test_scann_brute_force_agrees_with_exact(num_items):
    vectors, queries = vectors_of(num_items), vectors_of(9)
    index = scann_index(vectors, kind=IndexKind.SCANN_BRUTE_FORCE, k=60)
    np.testing.assert_array_equal(index.propose(tf.constant(queries), 60), best_rows(queries, vectors, 60))


def test_scann_hashing_finds_nearly_all_and_repeats_none():
    vectors, queries = vectors_of(2000), vectors_of(50)
    index = scann_index(vectors, kind=IndexKind.SCANN_HASHED, k=40)
    rows = index.propose(tf.constant(queries), 40).numpy()
    assert all(len(set(row)) == 40 for row in rows)
    want = best_rows(queries, vectors, 10)
    assert np.mean([len(set(row[:10]) & set(good)) / 10 for row, good in zip(rows, want, strict=True)]) >= 0.95


def test_rows_that_the_leaves_leave_short_are_answered_exactly():
    # 14 leaves of about 14 items, of which one is searched: far fewer than the 100 asked for.
    vectors, queries = vectors_of(200), vectors_of(5)
    index = scann_index(vectors, kind=IndexKind.SCANN_TREE, k=100)
    np.testing.assert_array_equal(index.propose(tf.constant(queries), 100), best_rows(queries, vectors, 100))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_vectors_that_would_abort_scann_are_refused(bad):
    vectors = vectors_of(20)
    vectors[7] = bad
    with pytest.raises(ValueError, match="must be finite and not zero; got 1 others, first in row 7"):
        scann_build.build_state(vectors, kind=IndexKind.SCANN_BRUTE_FORCE, k=10)


def test_an_abort_in_the_child_is_an_error_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    aborts = tmp_path / "aborts"
    aborts.write_text("#!/bin/sh\necho 'F0000 check failed' >&2\nkill -ABRT $$\n")
    aborts.chmod(0o755)
    monkeypatch.setattr(scann_build.sys, "executable", str(aborts))
    with pytest.raises(RuntimeError, match="failed with exit code -6; wanted 0(.|\n)*check failed"):
        scann_build.build_apart(vectors_of(20), kind=IndexKind.SCANN_BRUTE_FORCE, k=10, directory=tmp_path / "index")


@pytest.mark.parametrize("kind", [None, IndexKind.SCANN_BRUTE_FORCE, IndexKind.SCANN_TREE])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_only_what_passes_is_proposed_and_no_less_than_there_is(kind, share):
    vectors, queries = vectors_of(200), vectors_of(7)
    allowed = np.random.default_rng(1).random([7, 200]) < share
    allowed[0] = True
    index = exact(vectors, block_rows=64) if kind is None else scann_index(vectors, kind=kind, k=30)
    rows = index.propose(tf.constant(queries), 30, tf.constant(allowed)).numpy()
    for row, query, mask in zip(rows, queries, allowed, strict=True):
        found = row[row >= 0].tolist()
        assert len(found) == len(set(found)) == min(30, mask.sum())
        assert (row[len(found) :] == -1).all()
        assert mask[found].all()
        if len(found) == mask.sum() or kind is None:
            good = [item for item in best_rows(query[None], vectors, 200)[0] if mask[item]][:30]
            assert sorted(found) == sorted(good)
