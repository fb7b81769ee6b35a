import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_shop
from trainer.evaluation.evaluate import TowerEncoder
from trainer.model.build import build_model
from trainer.spec.features import Side
from trainer.tables.open import DatasetPaths, open_tables
from trainer.training import warm_start
from trainer.training.distributed.preemption import Preemption
from trainer.training.fit import RunPaths, fit

NEW = 6


def test_sub_words_only_grow_for_characters_that_could_not_be_read():
    known = ["[PAD]", "[UNK]", "r", "e", "d", "##r", "##e", "##d", "red"]
    counts = [("red", 9), ("deer", 4), ("bed", 3), ("zed", 1)]
    # `deer` is read in pieces as before; `b` is new; `z` was seen once only.
    grown = warm_start.extend_subwords(known, counts, min_count=2)
    assert grown == [*known, "b", "##b"]
    assert warm_start.extend_subwords(grown, counts, min_count=2) == grown


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    extra = folder / "stock" / "7" / "assets.extra"
    extra.mkdir(parents=True)
    config = tiny_shop.CONFIG
    files = warm_start.warm_start_files(trained.model, config, model_id=trained.model_id, tables=trained.tables)
    for name, content in files.items():
        (extra / name).write_bytes(content)
    (folder / "stock" / "6").mkdir()
    return warm_start.load_published_model(str(folder / "stock"))


def test_the_newest_published_version_is_read_back(published, trained):
    assert published.model_id == trained.model_id
    for kept, variable in zip(published.weights, trained.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(kept, variable.numpy())


def test_a_catalogue_that_gives_its_items_new_ids_changes_no_vector(published, trained, shop, tmp_path):
    graph = tmp_path / "transform_graph"
    tiny_shop.write_transform_graph(graph, is_reversed=True)
    again = dataclasses.replace(shop, transform_graph=str(graph))
    tables = open_tables(again, config=tiny_shop.CONFIG, work_dir=tmp_path)
    numbers = tables.items.gather(np.arange(tiny_shop.NUM_ITEMS))["item_number"]
    assert numbers.tolist() == list(range(tiny_shop.NUM_ITEMS, 0, -1))
    model = build_model(tiny_shop.CONFIG, num_subwords=len(tables.ops.subwords))
    warm_start.restore_published_weights(published, model, tiny_shop.CONFIG, tables=tables)
    model.set_snapshot(trained.model.snapshot.numpy())  # neighbours are read from it
    expected = TowerEncoder(trained.model).items(trained.tables.items)
    np.testing.assert_allclose(TowerEncoder(model).items(tables.items), expected, atol=1e-5)
    # What an item learned beyond its content counts: with the rows of others it would be elsewhere.
    rows = model.item_tower.encoders["identity"].rows.trainable_variables[0]
    rows.assign(rows.numpy()[::-1])
    assert np.abs(TowerEncoder(model).items(tables.items) - expected).max() > 1e-3


def test_names_that_are_gone_come_back_with_what_they_had_learned(published, trained, tmp_path):
    """Three catalogues: item-03 is in the first and the third."""

    def tables_with(names):
        folder = tmp_path / str(len(names))
        (folder / "transform_fn" / "assets").mkdir(parents=True)
        (folder / "transform_fn" / "assets" / "items").write_text("".join(f"{name}\n" for name in names))
        return dataclasses.replace(trained.tables, transform_graph=str(folder))

    first = list(published.vocabularies["items"])
    second = tables_with([name for name in first if name != "item-03"])
    third = tables_with([*first, "item-new"])
    model = build_model(tiny_shop.CONFIG, num_subwords=len(trained.tables.ops.subwords))
    rows = model.item_tower.encoders["identity"].rows.trainable_variables[0]
    warm_start.restore_published_weights(published, model, tiny_shop.CONFIG, tables=second)
    config = tiny_shop.CONFIG
    files = warm_start.warm_start_files(model, config, model_id="second", tables=second, published=published)
    (tmp_path / "assets.extra").mkdir()
    for name, content in files.items():
        (tmp_path / "assets.extra" / name).write_bytes(content)
    again = warm_start.load_published_model(str(tmp_path))
    assert list(again.retired["items"]) == ["item-03"]
    warm_start.restore_published_weights(again, model, config, tables=third)
    learned = trained.model.item_tower.encoders["identity"].rows.trainable_variables[0].numpy()
    np.testing.assert_array_equal(rows.numpy()[: len(first) + 1], learned[: len(first) + 1])
    assert np.abs(rows.numpy()[4]).max() > 0.0
    kept = warm_start.warm_start_files(model, config, model_id="third", tables=third, published=again)
    assert json.loads(kept["warm_start.json"])["retired"] == {}


def test_another_contract_is_refused(published, shop, tmp_path):
    tower = dataclasses.replace(tiny_shop.CONFIG.tower, dim=32)
    other = dataclasses.replace(tiny_shop.CONFIG, tower=tower)
    paths = RunPaths(checkpoints=str(tmp_path), preemption=Preemption(20.0), published=published)
    with pytest.raises(ValueError, match=r"another contract: tower.dim is 16 there and 32 here\. Train without"):
        fit(other, shop, work_dir=tmp_path, log_dir=tmp_path, paths=paths)
    without = dataclasses.replace(published, contract={**published.contract, "head gone": ["binary", "x"]})
    with pytest.raises(ValueError, match=r"head gone is \['binary', 'x'\] there and \(not there\) here"):
        warm_start.check_contract(without, tiny_shop.CONFIG)
    # What may differ: dropout, rates, sizes of vocabularies; not whether there is a branch.
    train = dataclasses.replace(tiny_shop.CONFIG.train, learning_rate=0.5)
    tabular = dataclasses.replace(tiny_shop.CONFIG.tower.tabular, brand_vocab_size=99)
    tower = dataclasses.replace(tiny_shop.CONFIG.tower, tabular=tabular)
    warm_start.check_contract(published, dataclasses.replace(tiny_shop.CONFIG, train=train, tower=tower))
    identity = dataclasses.replace(tiny_shop.CONFIG.tower.identity, item_embedding_rows=0)
    bare = dataclasses.replace(tiny_shop.CONFIG, tower=dataclasses.replace(tiny_shop.CONFIG.tower, identity=identity))
    with pytest.raises(ValueError, match="an identity branch is True there and False here"):
        warm_start.check_contract(published, bare)


def test_a_place_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"There is no model to start from in .*: wanted warm_start.json"):
        warm_start.load_published_model(str(tmp_path))


@pytest.fixture(scope="module")
def new_days(shop, tmp_path_factory):
    """The shop a day later: six more items with a letter of their own, and events about them alone."""
    folder = tmp_path_factory.mktemp("new-days")
    rows = tiny_shop.items()
    for index in range(NEW):
        rows.append({"item_id": f"item-new-{index}", "title": f"β{index} novelty{index}", "price": 3.0})
    examples = [tiny_shop.example(row, Side.ITEM) for row in rows]
    tiny_shop.write_records(folder / "items" / "items.tfrecord", examples)
    events = []
    for turn in range(10):
        for target in range(NEW):
            for position, index in enumerate([target, (target + 1) % NEW]):
                events.append(
                    {
                        "query_text": f"β{target} novelty{target}",
                        "event_item_id": f"item-new-{index}",
                        "request_id": f"new-{turn}-{target}",
                        "label_click": float(position == 0),
                        "positive": float(position == 0),
                    }
                )
    records = [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in events]
    tiny_shop.write_records(folder / "events" / "train" / "events.tfrecord", records)
    graph = folder / "transform_graph"
    tiny_shop.write_transform_graph(graph)
    words = graph / "transform_fn" / "assets" / "words"
    words.write_text(words.read_text() + "".join(f"4 β{i}\n4 novelty{i}\n" for i in range(NEW)), encoding="utf-8")
    return DatasetPaths(
        items=(f"{folder}/items",),
        train=(f"{folder}/events/train",),
        evaluation=shop.evaluation,
        transform_graph=str(graph),
    )


def recall_at_1(trained, texts, wanted):
    ops = trained.tables.ops
    from trainer.ops import text

    rows = trained.tables.evaluation.gather_queries(np.zeros(len(texts), int))
    tokens = text.to_model(
        [tf.constant(texts)], tokenizer=ops._tokenizer, length=ops.config.tower.text.max_query_tokens
    )
    rows = {**rows, "text_tokens": tokens, "history_rows": np.full_like(rows["history_rows"], -1)}
    queries = trained.model.encode_queries(rows)["vector"].numpy()
    items = TowerEncoder(trained.model).items(trained.tables.items)
    found = (queries @ items.T).argmax(axis=1)
    return np.mean([trained.tables.items.ids[i] == w.encode() for i, w in zip(found, wanted, strict=True)])


def test_old_items_keep_their_quality_and_new_ones_get_in(published, trained, new_days, tmp_path):
    old = [tiny_shop.item_name(i) for i in range(tiny_shop.NUM_ITEMS)]
    old_ids = [tiny_shop.item_id(i) for i in range(tiny_shop.NUM_ITEMS)]
    before = recall_at_1(trained, old, old_ids)
    train = dataclasses.replace(tiny_shop.CONFIG.train, epochs=8, learning_rate=0.003, batch_size=16)
    config = dataclasses.replace(tiny_shop.CONFIG, train=train)
    paths = RunPaths(checkpoints=str(tmp_path), preemption=Preemption(20.0), published=published)
    again = fit(config, new_days, work_dir=tmp_path, log_dir=tmp_path / "logs", paths=paths)
    subwords = again.tables.ops.subwords
    assert subwords[: len(published.subwords)] == published.subwords
    assert {"β", "##β"} <= set(subwords[len(published.subwords) :])
    assert again.tables.items.num_items == tiny_shop.NUM_ITEMS + NEW
    new = [f"β{i} novelty{i}" for i in range(NEW)]
    assert recall_at_1(again, new, [f"item-new-{i}" for i in range(NEW)]) > 0.9
    # Not one event of the new days is about an old item; of 24 at most one is lost.
    assert before > 0.95
    assert recall_at_1(again, old, old_ids) >= before - 0.05
    state = json.loads(
        warm_start.warm_start_files(again.model, config, model_id="x", tables=again.tables)["warm_start.json"]
    )
    assert state["subwords"] == list(subwords)
