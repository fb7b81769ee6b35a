import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.bundle import refresh
from serving.bundle.build import build_bundle
from serving.bundle.publish import publish, read_manifest
from serving.bundle.refresh import refresh_bundle
from serving.catalogue.storage import CATALOGUE_PATH, read_catalogue
from serving.index.exact import ExactIndex
from serving.index.tiered import TieredIndex
from serving.index.vector_store import VectorStore
from serving.manifest import check_manifest
from tests.serving.conftest import make_shop
from tests.support.fake_towers import text_of, write_items
from tests.support.numpy_search import unit
from tests.support.only_signatures import only_signatures
from trainer.spec.config import VectorDtype

NUM_ITEMS = 60


def make_items() -> dict[bytes, dict[bytes, bytes]]:
    shop = make_shop(NUM_ITEMS)
    rows = zip(shop.ids, shop.groups, shop.branches, strict=True)
    return {
        item: {"item_id": item, "group_id": group, "title": text_of(branches[0]), "brand": text_of(branches[3])}
        for item, group, branches in rows
    }


def dense_order(items: dict, query: np.ndarray) -> list[bytes]:
    """Every item with a vector, nearest first, one of each group."""
    vectors = {}
    for name, item in items.items():
        parts = [[float(word) for word in item.get(key, b"").split()] for key in ("title", "brand")]
        parts = [np.pad(np.array(part, float), (0, 16 - len(part))) for part in parts]
        vectors[name] = unit(parts[0] + parts[1])
    order, seen = [], set()
    for name in sorted(vectors, key=lambda name: (-vectors[name] @ query, name)):
        group = items[name].get("group_id") or name
        if group not in seen and vectors[name].any():
            seen.add(group)
            order.append(name)
    return order


def answers(folder: Path, queries: np.ndarray) -> list[list[bytes]]:
    restored = tf.saved_model.load(str(folder))
    texts = tf.constant([text_of(query) for query in queries])
    answer = restored.search(query_text=texts, page_size=[20], weight_lexical=[0.0])
    return [
        row[:count].tolist() for row, count in zip(answer["ids"].numpy(), answer["num_results"].numpy(), strict=True)
    ]


def stock_alone(bundle: Path, folder: Path) -> Path:
    """One flavour of a bundle, so that a test waits for one build only."""
    (folder / "bundle").mkdir()
    (folder / "bundle/stock").symlink_to(bundle / "stock")
    return folder / "bundle"


@pytest.fixture(scope="module", autouse=True)
def one_signature() -> Iterator[None]:
    with only_signatures("search"):
        yield


@pytest.fixture(scope="module")
def built(towers_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    pattern = write_items(folder / "items", list(make_items().values()))
    build_bundle(towers_dir, pattern, folder / "out", version=1)
    return folder / "out"


@pytest.fixture(scope="module")
def changed() -> dict[bytes, dict[bytes, bytes]]:
    """One item gone, one with another text, one out of its group, two new ones of which one has no vector."""
    items = make_items()
    del items[b"item0003"]
    items[b"item0010"]["title"] = text_of(np.arange(16) - 7.5)
    items[b"item0020"]["group_id"] = b"alone"
    items[b"zebra"] = {"item_id": b"zebra", "title": text_of(-np.arange(16.0))}
    items[b"blank"] = {"item_id": b"blank"}
    return items


@pytest.fixture(scope="module")
def second(built: Path, changed, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("second")
    return refresh_bundle(built, write_items(folder / "items", list(changed.values())), folder / "out")


QUERIES = unit(np.random.default_rng(5).normal(size=[6, 16]))


def test_only_new_and_changed_items_are_encoded(second):
    assert (second.items, second.encoded, second.removed) == (61, 3, 1)
    assert (second.delta, second.tombstones, second.rebuilt) == (2, 2, False)  # the item without a vector is in neither


@pytest.mark.parametrize("flavour", ["stock", "scann"])
def test_a_refreshed_bundle_answers_as_one_that_was_built_from_scratch(second, changed, flavour):
    folder = second.paths[flavour]
    assert check_manifest(folder) == []
    manifest = read_manifest(folder)
    assert manifest["bundle_version"] == second.bundle_version
    assert manifest["n_items"] == 61
    assert manifest["quarantined"] == ["blank"]
    assert manifest["index"]["delta_items"] == 2
    near = unit(np.stack([np.arange(16) - 7.5, -np.arange(16.0)]))
    queries = np.concatenate([QUERIES, near])
    for row, query in zip(answers(folder, queries), queries, strict=True):
        assert row == dense_order(changed, query)[:20]


def test_what_did_not_change_has_the_same_bytes(built, second):
    before, after = read_catalogue(built / "stock/1"), read_catalogue(second.paths["stock"])
    same = [row for row, name in enumerate(before.ids) if name not in (b"item0003", b"item0010")]
    assert after.branches[same].tobytes() == before.branches[same].tobytes()
    assert [after.ids[row] for row in same] == [before.ids[row] for row in same]


def test_the_big_index_is_taken_as_it_was_built(built, second):
    for flavour in ("stock", "scann"):
        before = tf.saved_model.load(str(built / flavour / "1")).functions.index
        after = tf.saved_model.load(str(second.paths[flavour])).functions.index.base
        for old in (before, after):
            old.found = old.store if hasattr(old, "store") else old.exact.store
        np.testing.assert_array_equal(after.found.codes, before.found.codes)


def test_nothing_changed_means_no_new_version(built, tmp_path):
    report = refresh_bundle(built, write_items(tmp_path / "items", list(make_items().values())), tmp_path / "out")
    assert (report.changed, report.encoded, report.paths) == (False, 0, {})
    assert report.bundle_version == read_manifest(built / "stock/1")["bundle_version"]
    assert not (tmp_path / "out").exists()


def test_a_refresh_of_a_refresh_brings_back_what_was_gone_without_encoding_it(second, changed, tmp_path):
    items = {**changed, b"item0003": make_items()[b"item0003"]}
    del items[b"zebra"]
    bundle = stock_alone(second.paths["stock"].parents[1], tmp_path)
    report = refresh_bundle(bundle, write_items(tmp_path / "items", list(items.values())), tmp_path / "out")
    assert (report.items, report.encoded, report.removed) == (61, 0, 1)
    assert (report.delta, report.tombstones) == (1, 1)
    for row, query in zip(answers(report.paths["stock"], QUERIES), QUERIES, strict=True):
        assert row == dense_order(items, query)[:20]


def test_too_many_changes_build_the_big_index_again_without_encoding_what_is_known(built, tmp_path):
    items = dict(list(make_items().items())[:40])  # 20 of 60 gone: a third
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/stock").symlink_to(built / "stock")
    report = refresh_bundle(
        tmp_path / "bundle", write_items(tmp_path / "items", list(items.values())), tmp_path / "out"
    )
    assert (report.rebuilt, report.encoded, report.delta, report.tombstones) == (True, 0, 0, 0)
    assert read_manifest(report.paths["stock"])["index"]["items"] == 40
    for row, query in zip(answers(report.paths["stock"], QUERIES), QUERIES, strict=True):
        assert row == dense_order(items, query)[:20]


def test_the_command_line_refreshes_and_publishes(built, changed, tmp_path, capsys):
    published = tmp_path / "published"
    assert publish(stock_alone(built, tmp_path), published) == 1
    pattern = write_items(tmp_path / "items", list(changed.values()))
    command = ["--bundle", str(published), "--items", pattern, "--output", str(tmp_path / "out")]
    refresh.main([*command, "--publish", str(published)])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["encoded"], report["published"]) == (3, 2)
    assert read_manifest(published / "stock/2")["bundle_version"] == report["bundle_version"]


def test_a_bundle_without_a_catalogue_is_refused(built, tmp_path):
    (tmp_path / CATALOGUE_PATH).parent.mkdir()
    with pytest.raises(ValueError, match="has no assets.extra/catalogue.npz; it cannot be refreshed. Build it again"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize("num_removed", [0, 3, 40])
@pytest.mark.parametrize("num_new", [0, 7])
def test_tiers_give_what_exact_search_over_all_that_is_there_gives(num_removed, num_new):
    random = np.random.default_rng(num_removed + num_new)
    vectors = unit(random.normal(size=[50 + num_new, 8])).astype(np.float32)
    removed = np.zeros(50, bool)
    removed[random.permutation(50)[:num_removed]] = True
    alive = ~np.append(removed, np.zeros(num_new, bool))
    index = TieredIndex(
        ExactIndex(VectorStore.of(vectors[:50], storage=VectorDtype.FLOAT32)),
        removed=removed,
        delta=ExactIndex(VectorStore.of(vectors[50:], storage=VectorDtype.FLOAT32)),
        vectors_of=lambda rows: tf.gather(vectors, tf.maximum(rows, 0)),
    )
    queries = unit(random.normal(size=[4, 8])).astype(np.float32)
    allowed = random.random([4, 50 + num_new]) < 0.5
    for mask in (None, allowed):
        rows = index.retrieve(tf.constant(queries), 12, None if mask is None else tf.constant(mask)).numpy()
        passing = np.broadcast_to(alive, [4, 50 + num_new]) if mask is None else mask & alive
        for found, query, good in zip(rows, queries, passing, strict=True):
            want = [row for row in np.argsort(-(vectors @ query), kind="stable") if good[row]][:12]
            assert found[: len(want)].tolist() == want
            assert (found[len(want) :] == -1).all()
