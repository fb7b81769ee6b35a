from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.bundle.op_check import unsupported_ops
from serving.index import build_process, scann_builder
from serving.index.binary import BinaryIndex
from serving.index.clustering import sample_queries
from serving.index.exact import ExactFallbackIndex, ExactIndex
from serving.index.factory import build_index, measured_recall, restore_index
from serving.index.ivf import IvfIndex
from serving.index.kinds import IndexKind, choose_kind
from serving.index.scann import ScannIndex
from serving.index.vector_store import VectorStore, quantize
from tests.support.numpy_search import unit
from trainer.spec.config import IndexChoice, SearchConfig, VectorDtype

SIZES = [0, 1, 5, 15, 16, 50, 99, 100]


def vectors_of(num_items: int, dim: int = 8) -> np.ndarray:
    return unit(np.random.default_rng(num_items).normal(size=[num_items, dim])).astype(np.float32)


def exact(vectors: np.ndarray, storage: VectorDtype = VectorDtype.FLOAT32, **more: int) -> ExactIndex:
    return ExactIndex(VectorStore.of(vectors, storage=storage), **more)


def best_rows(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]
    return np.pad(order, [(0, 0), (0, k - order.shape[1])], constant_values=-1)


def scann_index(vectors: np.ndarray, *, kind: IndexKind, k: int, reorders: bool = True) -> ExactFallbackIndex:
    store = VectorStore.of(vectors, storage=VectorDtype.FLOAT32)
    state = scann_builder.build_state(vectors, kind=kind, k=k, reorders=reorders)
    return ExactFallbackIndex(
        ScannIndex(store, state=state, kind=kind, leaves=0, reorders=reorders), exact=ExactIndex(store)
    )


def ivf_index(
    vectors: np.ndarray, *, storage: VectorDtype = VectorDtype.FLOAT32, probes: int | None = None
) -> ExactFallbackIndex:
    arrays, numbers = build_process.build_ivf(vectors, sample_queries(vectors, count=200))
    store = VectorStore.of(vectors, storage=storage, order=arrays.pop("order"))
    numbers["probes"] = probes or numbers["probes"]
    return ExactFallbackIndex(IvfIndex(store, **arrays, **numbers), exact=ExactIndex(store, block_rows=64))


def binary_index(vectors: np.ndarray, *, storage: VectorDtype = VectorDtype.FLOAT32) -> ExactFallbackIndex:
    arrays, numbers = build_process.build_binary(vectors, sample_queries(vectors, count=200))
    store = VectorStore.of(vectors, storage=storage)
    return ExactFallbackIndex(BinaryIndex(store, **arrays, **numbers), exact=ExactIndex(store))


def index_of(kind: IndexKind, vectors: np.ndarray, k: int = 30):
    if kind is IndexKind.EXACT:
        return exact(vectors, block_rows=64)
    if kind in (IndexKind.IVF, IndexKind.BINARY):
        return {IndexKind.IVF: ivf_index, IndexKind.BINARY: binary_index}[kind](vectors)
    return scann_index(vectors, kind=kind, k=k)


def clustered(num_items: int, dim: int = 16) -> np.ndarray:
    """Items as towers place them: many near each other."""
    random = np.random.default_rng(num_items)
    centres = random.normal(size=[max(1, num_items // 20), dim])
    return unit(
        centres[random.integers(0, len(centres), num_items)] + 0.4 * random.normal(size=[num_items, dim])
    ).astype(np.float32)


@pytest.mark.parametrize("num_items", SIZES)
def test_exact_gives_the_nearest_and_says_where_there_are_no_more(num_items):
    vectors, queries = vectors_of(num_items), vectors_of(3)
    rows = exact(vectors).retrieve(tf.constant(queries), 20)
    assert rows.dtype == tf.int32
    np.testing.assert_array_equal(rows, best_rows(queries, vectors, 20))


@pytest.mark.parametrize("num_items", [1, 7, 50, 99])
def test_blocks_change_nothing(num_items):
    vectors, queries = vectors_of(num_items), vectors_of(4)
    rows = exact(vectors, block_rows=7).retrieve(tf.constant(queries), 12)
    np.testing.assert_array_equal(rows, best_rows(queries, vectors, 12))


@pytest.mark.parametrize("num_items", [64 * 12, 64 * 12 + 1, 64 * 33 - 5])
@pytest.mark.parametrize("block_rows", [64 * 10, 1 << 17])
def test_looking_in_groups_first_changes_nothing(num_items, block_rows):
    # Whole numbers, so that many scores are equal and all are exact.
    vectors, queries = np.rint(4.0 * vectors_of(num_items)), np.rint(4.0 * vectors_of(4))
    rows = exact(vectors, block_rows=block_rows).retrieve(tf.constant(queries), 3)
    np.testing.assert_array_equal(rows, best_rows(queries, vectors, 3))
    allowed = np.random.default_rng(0).random([4, num_items]) < 0.01
    rows = exact(vectors, block_rows=block_rows).retrieve(tf.constant(queries), 3, tf.constant(allowed))
    masked = np.where(allowed, queries @ vectors.T, -np.inf)
    want = np.argsort(-masked, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(rows, np.where(np.take_along_axis(allowed, want, 1), want, -1))


def test_equal_scores_come_in_row_order_across_blocks():
    vectors = np.tile(np.float32([[0.6, 0.8]]), [10, 1])
    rows = exact(vectors, block_rows=3).retrieve(tf.constant([[1.0, 0.0]]), 10)
    np.testing.assert_array_equal(rows, [range(10)])


def test_an_empty_batch_gives_no_rows():
    assert exact(vectors_of(5)).retrieve(tf.zeros([0, 8]), 3).shape == [0, 3]


@pytest.mark.parametrize(
    ("num_items", "stock", "scann"),
    [
        (0, IndexKind.EXACT, IndexKind.EXACT),
        (15, IndexKind.EXACT, IndexKind.EXACT),
        (16, IndexKind.EXACT, IndexKind.SCANN_BRUTE_FORCE),
        (19_999, IndexKind.EXACT, IndexKind.SCANN_BRUTE_FORCE),
        (20_000, IndexKind.IVF, IndexKind.SCANN_HASHED),
        (100_000, IndexKind.IVF, IndexKind.SCANN_TREE),
    ],
)
def test_the_catalogue_size_decides_the_kind(num_items, stock, scann):
    assert choose_kind(num_items, flavour="stock", search=SearchConfig()) is stock
    assert choose_kind(num_items, flavour="scann", search=SearchConfig()) is scann


@pytest.mark.parametrize(
    ("choice", "stock", "scann"),
    [
        (IndexChoice.EXACT, IndexKind.EXACT, IndexKind.EXACT),
        (IndexChoice.IVF, IndexKind.IVF, IndexKind.IVF),
        (IndexChoice.BINARY, IndexKind.BINARY, IndexKind.BINARY),
        (IndexChoice.SCANN, IndexKind.EXACT, IndexKind.SCANN_HASHED),
    ],
)
def test_the_configuration_decides_where_it_says_so(choice, stock, scann):
    search = SearchConfig(index=choice)
    assert choose_kind(100, flavour="stock", search=search) is stock
    assert choose_kind(100, flavour="scann", search=search) is scann


@pytest.mark.parametrize("num_items", [16, 50, 99, 100])
def test_scann_brute_force_agrees_with_exact(num_items):
    vectors, queries = vectors_of(num_items), vectors_of(9)
    index = scann_index(vectors, kind=IndexKind.SCANN_BRUTE_FORCE, k=60)
    np.testing.assert_array_equal(index.retrieve(tf.constant(queries), 60), best_rows(queries, vectors, 60))


@pytest.mark.parametrize("num_items", [1, 5, 16, 99])
@pytest.mark.parametrize("kind", [IndexKind.IVF, IndexKind.BINARY])
def test_small_catalogues_are_found_whole(kind, num_items):
    vectors, queries = vectors_of(num_items), vectors_of(9)
    rows = index_of(kind, vectors).retrieve(tf.constant(queries), 120).numpy()
    assert all(sorted(row[row >= 0]) == list(range(num_items)) for row in rows)


@pytest.mark.parametrize("reorders", [True, False])
def test_scann_hashing_finds_nearly_all_and_repeats_none(reorders):
    vectors, queries = vectors_of(2000), vectors_of(50)
    index = scann_index(vectors, kind=IndexKind.SCANN_HASHED, k=40, reorders=reorders)
    rows = index.retrieve(tf.constant(queries), 40).numpy()
    assert all(len(set(row)) == 40 for row in rows)
    want = best_rows(queries, vectors, 10)
    assert np.mean([len(set(row[:10]) & set(good)) / 10 for row, good in zip(rows, want, strict=True)]) >= 0.95


@pytest.mark.parametrize("storage", list(VectorDtype))
@pytest.mark.parametrize("make", [ivf_index, binary_index, exact])
def test_nearly_all_of_the_nearest_are_found_whatever_the_storage(make, storage):
    vectors = clustered(3000)
    assert measured_recall(make(vectors, storage=storage), vectors, sample_queries(vectors, count=99)) >= 0.97


def test_ivf_reads_a_small_part_and_says_so_by_missing_what_is_far():
    vectors = vectors_of(2000)
    queries = sample_queries(vectors, count=31)  # fewer than the batch from which everything is read
    full, one = ivf_index(vectors), ivf_index(vectors, probes=1)
    assert measured_recall(full, vectors, queries) > measured_recall(one, vectors, queries) + 0.05


def test_a_large_batch_is_read_in_parts_with_the_same_answers(monkeypatch):
    vectors, queries = clustered(1000), tf.constant(clustered(11))
    want = ivf_index(vectors).retrieve(queries, 5)
    monkeypatch.setattr("serving.index.ivf.MAX_GATHERED_VECTORS", 1000)  # fewer than the lists of three queries
    np.testing.assert_array_equal(ivf_index(vectors).retrieve(queries, 5), want)


def test_a_large_batch_that_would_read_most_of_a_small_catalogue_reads_it_all_once():
    vectors, queries = vectors_of(500), vectors_of(40)
    one_list = ivf_index(vectors, probes=1)  # alone, a query misses much of what is far
    rows = one_list.retrieve(tf.constant(queries), 20).numpy()
    np.testing.assert_array_equal(rows, best_rows(queries, vectors, 20))
    assert (one_list.retrieve(tf.constant(queries[:4]), 20).numpy() != rows[:4]).any()


def test_the_lists_hold_every_item_once_and_none_is_much_longer_than_the_mean():
    vectors = np.repeat(clustered(40), 50, axis=0)  # 40 heaps of equal items
    arrays, numbers = build_process.build_ivf(vectors, sample_queries(vectors, count=200))
    assert sorted(arrays["order"]) == list(range(2000))
    assert arrays["starts"][0] == 0
    assert arrays["starts"][-1] == 2000
    # 4 √2000 = 179 lists, 11.2 items each on average; 5/4 of that, rounded up, is 14.
    assert numbers["longest"] <= 14


def test_int8_is_off_by_about_half_a_step():
    vectors = vectors_of(50)
    codes, scales = quantize(np.append(vectors, np.zeros([1, 8], np.float32), axis=0))
    # The largest number of each vector becomes 127, so that a step is about a 127th of it.
    assert np.abs(codes[:50]).max(axis=1).tolist() == [127] * 50
    np.testing.assert_allclose(scales[:50], np.abs(vectors).max(axis=1) / 127.0, rtol=0.01)
    assert np.abs(codes[:50] * scales[:50, None] - vectors).max() <= 0.6 * scales.max()
    assert not codes[50].any()


def test_the_scale_of_int8_has_the_least_error():
    # 1 and 0.5 become 127 and 64 (63.5 to the even number); (127 * 1 + 64 * 0.5) / (127^2 + 64^2) = 0.0078616.
    codes, scales = quantize(np.array([[1.0, 0.5]], np.float32))
    assert codes.tolist() == [[127, 64]]
    assert scales[0] == pytest.approx(0.0078616, abs=1e-7)


def test_int8_compares_as_the_vectors_do():
    vectors, queries = vectors_of(64, dim=64), vectors_of(9, dim=64)
    store = VectorStore.of(vectors, storage=VectorDtype.INT8)
    found = store.block_scores(tf.constant(queries), 0, 64).numpy()
    assert np.abs(found - queries @ vectors.T).max() < 0.004
    places = tf.tile([[5, 60, 0]], [9, 1])
    np.testing.assert_allclose(store.scores_at(tf.constant(queries), places), found[:, [5, 60, 0]], atol=1e-6)


@pytest.mark.parametrize("storage", [VectorDtype.FLOAT32, VectorDtype.INT8])
def test_blocks_are_compared_as_their_places(storage):
    vectors, queries = vectors_of(21, dim=16), vectors_of(3, dim=16)
    store = VectorStore.of(vectors, storage=storage, order=np.random.default_rng(0).permutation(21))
    assert store.num_items == 21
    found = store.scores_of_blocks(tf.constant(queries), tf.constant([[2, 0], [1, 1], [0, 2]])).numpy()
    want = store.scores_at(tf.constant(queries), tf.constant([[*range(16, 24), *range(8)]] * 3)).numpy()
    # The third block has five places and is filled up to eight.
    np.testing.assert_allclose(found[0], want[0], atol=1e-6)
    np.testing.assert_allclose(found[2, :8], want[2, 8:], atol=1e-6)
    assert not found[0, 5:8].any()
    one = store.scores_of_blocks(tf.constant(queries[1:2]), tf.constant([[1, 1]])).numpy()
    np.testing.assert_allclose(one, found[1:2], atol=1e-6)


def test_binary_codes_compare_a_small_share_of_the_items_exactly():
    vectors = clustered(3000)
    arrays, numbers = build_process.build_binary(vectors, sample_queries(vectors, count=100))
    assert numbers["share"] < 0.25  # bits counted wrong in some words would make it 1


def test_hamming_distance_is_the_number_of_signs_that_differ():
    # Two words of 64 bits; every item is a query rotated by nothing, with some of its signs turned.
    signs = np.where(np.random.default_rng(0).random([128]) < 0.5, -1.0, 1.0).astype(np.float32)
    turned = np.stack([np.where(np.arange(128) < count, -signs, signs) for count in (3, 0, 90, 2)])
    store = VectorStore.of(turned, storage=VectorDtype.FLOAT32)
    unturned = build_process.clustering.Rotation(np.eye(128, dtype=np.float32), np.zeros(128, np.float32))
    words = build_process.clustering.pack_signs(turned, unturned).view(np.int64)
    index = BinaryIndex(
        store, words=words, rotation=np.eye(128, dtype=np.float32), mean=np.zeros(128, np.float32), share=0.0
    )
    np.testing.assert_array_equal(sorted(index._nearest_codes(tf.constant(signs[None]), 2)[0].numpy()), [1, 3])
    np.testing.assert_array_equal(index.nearest(tf.constant(signs[None]), 3), [[1, 3, 0]])


def test_rows_that_the_leaves_leave_short_are_answered_exactly():
    # 14 leaves of about 14 items, of which one is searched: far fewer than the 100 asked for.
    vectors, queries = vectors_of(200), vectors_of(5)
    index = scann_index(vectors, kind=IndexKind.SCANN_TREE, k=100)
    np.testing.assert_array_equal(index.retrieve(tf.constant(queries), 100), best_rows(queries, vectors, 100))


@pytest.mark.parametrize("kind", list(IndexKind))
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_only_what_passes_is_retrieved_and_no_less_than_there_is(kind, share):
    vectors, queries = vectors_of(200), vectors_of(7)
    allowed = np.random.default_rng(1).random([7, 200]) < share
    allowed[0] = True
    rows = index_of(kind, vectors).retrieve(tf.constant(queries), 30, tf.constant(allowed)).numpy()
    for row, query, mask in zip(rows, queries, allowed, strict=True):
        found = row[row >= 0].tolist()
        assert len(found) == len(set(found)) == min(30, mask.sum())
        assert (row[len(found) :] == -1).all()
        assert mask[found].all()
        if len(found) == mask.sum() or kind is IndexKind.EXACT:
            good = [item for item in best_rows(query[None], vectors, 200)[0] if mask[item]][:30]
            assert sorted(found) == sorted(good)


def test_only_short_requests_are_answered_again():
    class Never(ExactIndex):
        def retrieve(self, query_vectors, k, allowed=None):
            asked.append(query_vectors.shape[0])
            return super().retrieve(query_vectors, k, allowed)

    asked: list[int] = []
    vectors = vectors_of(200)
    index = ivf_index(vectors)
    index.exact = Never(index.exact.store)
    queries = tf.constant(vectors_of(4))
    index.retrieve(queries, 10)
    assert asked == []
    allowed = np.ones([4, 200], bool)
    allowed[2] = np.arange(200) % 25 == 0  # eight items pass, of which the nearest lists hold hardly any
    index.retrieve(queries, 10, tf.constant(allowed))
    assert asked == [1]


@pytest.mark.parametrize("kind", [IndexKind.IVF, IndexKind.BINARY, IndexKind.SCANN_HASHED])
def test_an_index_built_apart_is_read_back_from_a_saved_model_unchanged(kind, tmp_path):
    vectors = clustered(600)
    sample = sample_queries(vectors)
    built = build_index(vectors, queries=sample, kind=kind, storage=VectorDtype.INT8, k=20, work_dir=tmp_path)
    assert built.metadata["kind"] == kind.value
    assert built.metadata["items"] == 600
    assert built.metadata["recall_at_10"] >= 0.95
    holder = tf.Module()
    holder.index = built.index
    spec = tf.TensorSpec([None, 16], tf.float32)
    holder.retrieve = tf.function(lambda queries: built.index.retrieve(queries, 20), input_signature=[spec])
    options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
    tf.saved_model.save(holder, str(tmp_path / "saved"), options=options)
    assert bool(unsupported_ops(tmp_path / "saved", flavour="stock")) == (kind is IndexKind.SCANN_HASHED)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    queries = tf.constant(clustered(9))
    again = restore_index(loaded.index, built.metadata)
    np.testing.assert_array_equal(again.retrieve(queries, 20), built.index.retrieve(queries, 20))
    np.testing.assert_array_equal(loaded.retrieve(queries), built.index.retrieve(queries, 20))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_vectors_that_would_abort_scann_are_refused(bad, tmp_path):
    vectors = vectors_of(20)
    vectors[7] = bad
    with pytest.raises(ValueError, match="must be finite and not zero; got 1 others, first in row 7"):
        scann_builder.build_state(vectors, kind=IndexKind.SCANN_BRUTE_FORCE, k=10)
    with pytest.raises(ValueError, match="must be finite and not zero; got 1 others, first in row 7"):
        build_index(
            vectors, queries=vectors_of(9), kind=IndexKind.IVF, storage=VectorDtype.INT8, k=10, work_dir=tmp_path
        )


def test_an_abort_in_the_child_is_an_error_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    aborts = tmp_path / "aborts"
    aborts.write_text("#!/bin/sh\necho 'F0000 check failed' >&2\nkill -ABRT $$\n")
    aborts.chmod(0o755)
    monkeypatch.setattr(build_process.sys, "executable", str(aborts))
    with pytest.raises(RuntimeError, match="failed with exit code -6; wanted 0(.|\n)*check failed"):
        build_index(
            vectors_of(20),
            queries=vectors_of(9),
            kind=IndexKind.SCANN_BRUTE_FORCE,
            storage=VectorDtype.FLOAT32,
            k=10,
            work_dir=tmp_path,
        )
