import collections

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_shop
from trainer.batch_inference import map_rows
from trainer.ops import examples
from trainer.spec.features import Side
from trainer.spec.tasks import EVENT_TASKS
from trainer.tables.open import DatasetPaths, open_tables
from trainer.training.batches import Batches, Shard, distinct_items


def test_items_are_sorted_by_id_whatever_their_order_on_disk(tables):
    assert tables.items.num_items == 24
    assert tables.items.ids == sorted(tables.items.ids)
    assert tables.items.row_of[b"item-07"] == 7
    assert tables.items.texts()[7].split() == ["colour1", "thing1"]


def test_the_store_holds_the_model_form_bit_for_bit(tables):
    serialized = [tiny_shop.example(row, Side.ITEM) for row in tiny_shop.items()]
    wire = examples.parse(tf.constant(serialized), sides=[Side.ITEM], wire=tiny_shop.CONFIG.wire)
    direct = tables.ops.item_model_inputs(wire)
    stored = tables.items.content(np.arange(24))
    assert set(stored) == set(direct) - {"status"}
    for name, values in stored.items():
        np.testing.assert_array_equal(values, direct[name], err_msg=name)
        assert values.dtype == direct[name].dtype.as_numpy_dtype
    # Every second item has a photo.
    assert stored["image_present"][:, 0].tolist() == [True, False] * 12


def test_events_hold_rows_of_the_store_and_each_query_once(tables):
    train = tables.train
    assert train.num_rows == 10 * 24 * 3
    assert train.queries.num_rows == 24
    assert train.values("item_row")[:3].tolist() == [0, 1, 5]
    # Round 0 has no history; round 1 has the item before and one that the shop no longer has.
    assert train.values("history_rows")[0].tolist() == [-1, -1, -1, -1, -1]
    row = 24 * 3 + 2 * 3  # round 1, target 2
    query = train.gather_queries(np.array([row]))
    assert query["history_rows"].tolist() == [[1, -1, -1, -1, -1]]
    assert query["history_age_days"].tolist() == [[1.5, 1.5, 0.0, 0.0, 0.0]]
    assert query["history_counts"].tolist() == [[2.0, 2.0, 1.0, 1.0, 1.0]]
    assert train.query_texts(np.array([row])) == ["colour2 thing0"]
    assert train.request_ids()[row] == b"request-1-2"
    assert set(query) == {
        *("text_tokens", "image_pixels", "image_present", "video_pixels", "video_present", "audio_mel"),
        *("audio_present", "status"),
        *(
            "history_rows",
            "history_age_days",
            "history_counts",
            "search_words",
            "search_history_age_days",
            "profile_ids",
        ),
    }
    assert query["search_history_age_days"].tolist() == [[0.5, 0.0]]
    assert (query["search_words"][0] > 0).tolist() == [[True, True, *[False] * 4], [False] * 6]
    assert (query["profile_ids"][0] > 0).tolist() == [True, False]


def test_tables_are_made_once_for_each_content(shop, tables, work_dir, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in work_dir.glob("*/**/*")}
    assert open_tables(shop, config=tiny_shop.CONFIG, work_dir=work_dir).key == tables.key
    assert {path: path.stat().st_mtime_ns for path in work_dir.glob("*/**/*")} == before
    # Fewer events are another content: same items, new events.
    changed = tmp_path / "events-tfrecord"
    tiny_shop.write_records(changed, [tiny_shop.example(tiny_shop.events(range(1))[0], Side.QUERY, Side.EVENT)])
    other = DatasetPaths(items=shop.items, train=(str(changed),), evaluation=(), transform_graph=shop.transform_graph)
    opened = open_tables(other, config=tiny_shop.CONFIG, work_dir=work_dir)
    assert (opened.train.num_rows, opened.evaluation.num_rows) == (1, 0)
    assert opened.key.split("-")[0] == tables.key.split("-")[0]
    assert opened.key != tables.key


def test_events_of_unknown_items_are_dropped_and_counted(shop, work_dir, tmp_path):
    rows = tiny_shop.events(range(1))[:3]
    rows[1]["event_item_id"] = "item-gone"
    path = tmp_path / "train.tfrecord"
    tiny_shop.write_records(path, [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in rows])
    inputs = DatasetPaths(items=shop.items, train=(str(path),), evaluation=(), transform_graph=shop.transform_graph)
    train = open_tables(inputs, config=tiny_shop.CONFIG, work_dir=work_dir).train
    assert (train.num_rows, train.num_dropped) == (2, 1)


def test_what_cannot_be_trained_on_is_refused(shop, tmp_path):
    def open_with(**changes):
        fields = {"items": shop.items, "train": shop.train, "evaluation": (), "transform_graph": shop.transform_graph}
        return open_tables(DatasetPaths(**{**fields, **changes}), config=tiny_shop.CONFIG, work_dir=tmp_path)

    with pytest.raises(ValueError, match="No item Examples match .*nowhere"):
        open_with(items=("/nowhere/*",))
    with pytest.raises(
        ValueError, match="No training events in .*nowhere.* for the 24 items; 0 events are held out .*=4"
    ):
        open_with(train=("/nowhere/*",))
    twice = tmp_path / "twice.tfrecord"
    tiny_shop.write_records(twice, [tiny_shop.example(tiny_shop.items()[3], Side.ITEM)] * 2)
    with pytest.raises(ValueError, match="Item ids .*item-03.* occur twice"):
        open_with(items=(str(twice),))


def test_rows_are_mapped_piece_by_piece():
    doubled = map_rows(lambda f: f["x"] * 2.0, np.arange(5), gather=lambda rows: {"x": rows}, size=2)
    assert doubled.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert map_rows(lambda f: f["x"], np.arange(0), gather=lambda rows: {"x": rows}, size=2).shape == (0,)


@pytest.fixture(scope="module")
def batches(tables):
    return Batches(tables.train, items=tables.items, batch_size=32, seed=5)


def test_an_epoch_goes_through_every_positive(tables, batches):
    # 240 positives, 24 of the 32 rows of a batch: 10 steps, each positive exactly once.
    assert (batches.num_positives, batches.num_negatives, batches.batches_per_epoch) == (24, 8, 10)
    positive = tables.train.values("positive") > 0
    seen = collections.Counter(row for step in range(10) for row in batches.rows(step)[:24])
    assert sorted(seen) == np.flatnonzero(positive).tolist()
    assert set(seen.values()) == {1}
    assert not any(positive[batches.rows(step)[24:]].any() for step in range(10))


def test_the_order_is_a_function_of_seed_and_step(tables, batches):
    again = Batches(tables.train, items=tables.items, batch_size=32, seed=5)
    other = Batches(tables.train, items=tables.items, batch_size=32, seed=6)
    for step in (137, 3, 4):  # in any order
        assert again.rows(step).tolist() == batches.rows(step).tolist()
    assert other.rows(3).tolist() != batches.rows(3).tolist()
    assert batches.rows(3).tolist() != batches.rows(13).tolist()


def test_a_batch_has_every_distinct_item_once(tables, batches):
    rows, batch = batches.rows(2), batches.batch(2)
    assert len(batch["item_rows"]) == len(set(batch["item_rows"])) <= 24
    np.testing.assert_array_equal(batch["item_rows"][batch["item_index"]], tables.train.values("item_row")[rows])
    np.testing.assert_array_equal(batch["items"]["text_tokens"], tables.items.gather(batch["item_rows"])["text_tokens"])
    assert set(batch["labels"]) == {task.label for task in EVENT_TASKS}
    # Every item is clicked 10 times of 240 and shown in vain 20 times of 480: 24 and 8 rows of each 32 are one of 24.
    np.testing.assert_allclose(batch["sampling_probability"], 1 / 24, rtol=1e-6)


def test_the_dataset_continues_at_any_step(batches):
    (second,) = batches.dataset(7).take(1).as_numpy_iterator()
    tf.nest.map_structure(np.testing.assert_array_equal, second, batches.batch(7))
    ahead = batches.dataset(5, parallel=3, prefetch=1).take(3).as_numpy_iterator()
    assert [int(b["item_rows"].sum()) for b in ahead] == [
        int(batches.batch(number)["item_rows"].sum()) for number in (5, 6, 7)
    ]


def test_replicas_share_a_batch_and_no_row_is_seen_twice_in_an_epoch(tables):
    batches = Batches(tables.train, items=tables.items, batch_size=32, seed=5, num_replicas=2)
    whole = batches.rows(3)
    parts = [batches.rows(3, replica=replica, num_replicas=2) for replica in (0, 1)]
    assert sorted(np.concatenate(parts)) == sorted(whole)
    # Each replica has its 12 positives first, then its 4 other rows.
    assert [int((tables.train.values("positive")[part] > 0).sum()) for part in parts] == [12, 12]
    seen = [
        row
        for number in range(10)
        for replica in (0, 1)
        for row in batches.rows(number, replica=replica, num_replicas=2)
    ]
    assert len(seen) == len(set(seen)) == 10 * 32
    # One pipeline that feeds both replicas gives their parts in turn.
    both = batches.dataset(3, shard=Shard(replicas=(0, 1), num_replicas=2)).take(2).as_numpy_iterator()
    assert [len(b["item_index"]) for b in both] == [16, 16]


def test_items_of_the_whole_catalogue_join_a_batch_as_negatives(tables):
    batches = Batches(tables.train, items=tables.items, batch_size=32, seed=5, num_replicas=2, num_uniform_negatives=16)
    rows, batch = batches.rows(2), batches.batch(2)
    np.testing.assert_array_equal(batch["item_rows"][batch["item_index"]], tables.train.values("item_row")[rows])
    further = np.setdiff1d(np.arange(len(batch["item_rows"])), batch["item_index"])
    # Distinct items on distinct days; some of the sixteen are drawn twice, or acted on in the batch on that day.
    assert 0 < len(further) <= 16
    assert set(batch["item_rows"][further]) <= set(range(24))
    drawn = {batches.batch(number)["item_rows"].tobytes() for number in range(3)}
    assert len(drawn) == 3
    # 32 rows and 16 drawn items of 24: each item is in 48 / 24 places, of 32 rows that is a sixteenth.
    np.testing.assert_allclose(batch["sampling_probability"], 1 / 16, rtol=1e-6)

    def looked_at(part):
        days = part["items"]["trend"][: len(part["item_rows"])]
        return {(row, day.tobytes()) for row, day in zip(part["item_rows"].tolist(), days, strict=True)}

    # Each replica brings half of them.
    left, right = (batches.batch(2, replica=replica, num_replicas=2) for replica in (0, 1))
    assert looked_at(left) | looked_at(right) == looked_at(batch)


def test_distinct_items_lead_from_rows_to_pairs_to_items():
    # Item 7 on days 1 and 2, item 3 on day 5 twice.
    found = distinct_items(np.array([[7, 2], [3, 5], [7, 1], [3, 5]]))
    assert found.pairs.tolist() == [[3, 5], [7, 1], [7, 2]]
    assert found.pair_of.tolist() == [2, 0, 1, 0]
    assert found.item_rows.tolist() == [3, 7]
    assert found.item_of.tolist() == [0, 1, 1]


def test_a_shop_without_a_positive_cannot_be_trained_on(tables):
    class Shown:
        num_rows = 2

        def values(self, name):
            return np.zeros(2)

    with pytest.raises(ValueError, match="None of the 2 training events is a positive.*data.pseudo_queries=4"):
        Batches(Shown(), items=tables.items, batch_size=4, seed=1)


def test_days_are_found_by_item_and_day(tables):
    days, items = tables.items.days, np.array([0, 1, 2, 2])
    rows = days.rows_at(items, np.array([0, 0, 1, 7]))
    assert rows.tolist() == [0, -1, 3, -1]  # every second item has a record of day 0 and one of day 1
    assert days.latest[:4].tolist() == [1, -1, 3, -1]
    drawn = days.draw_regular(np.arange(4), np.random.default_rng(0))
    assert drawn.tolist() == [0, -1, 2, -1]


def test_an_item_day_has_series_neighbours_and_the_last_price(tables):
    found = tables.items.days.gather(np.array([2, -1]), item_rows=np.array([2, 3]))
    units = found["trend"][0, :, 0]
    np.testing.assert_allclose(units, np.log(3.0), rtol=1e-6)  # two units a day
    assert not found["trend"][1].any()
    # The relation to the next item, then what it was bought with; one of them is not in the catalogue.
    assert found["neighbour_rows"].tolist() == [[3, -1, 5, -1], [4, -1, -1, -1]]
    level = np.log(np.arange(1.0, 25.0)).mean()  # item i costs 1 + i
    np.testing.assert_allclose(found["last_price"], [np.log(4.0) - level, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(found["last_price_present"], [1.0, 0.0])


def test_labels_of_days_are_those_of_events_and_prices_also_of_the_catalogue(tables):
    labels = tables.items.days.labels(np.array([2, 3, -1]), item_rows=np.array([2, 2, 3]))
    np.testing.assert_allclose(labels["label_units"], [2.0, 2.0, np.nan])
    level = np.log(np.arange(1.0, 25.0)).mean()
    # Day 0 tells no price: that of the catalogue, 3; day 1 tells 4; item 3 has no day and costs 4.
    np.testing.assert_allclose(labels["label_price"], np.log([3.0, 4.0, 4.0]) - level, rtol=1e-5)


def test_two_replicas_learn_of_the_days_of_one_batch_together(tables):
    batches = Batches(tables.train, items=tables.items, batch_size=32, seed=3, num_replicas=2)

    def learned(**share):
        batch = batches.batch(1, **share)
        rows = batch["item_rows"][
            np.unique(batch["items"]["content_of"][: len(batch["item_rows"])], return_index=True)[1]
        ]
        return [
            (name, row, float(label))
            for name, labels in batch["day_labels"].items()
            for row, label in zip(rows.tolist(), labels, strict=True)
            if np.isfinite(label)
        ]

    parts = learned(replica=0, num_replicas=2), learned(replica=1, num_replicas=2)
    assert all(parts)
    assert sorted(parts[0] + parts[1]) == sorted(learned())


def test_a_batch_has_each_item_on_the_day_of_each_event_and_on_one_more(tables):
    batch = Batches(tables.train, items=tables.items, batch_size=32, seed=3).batch(0)
    seen, distinct = len(batch["item_rows"]), len(batch["items"]["text_tokens"])
    assert len(batch["items"]["content_of"]) == len(batch["items"]["trend"]) == seen + distinct
    assert all(len(values) == distinct for values in batch["day_labels"].values())
    by_content = batch["items"]["content_of"]
    np.testing.assert_array_equal(by_content[seen:], np.arange(distinct))
    rows = Batches(tables.train, items=tables.items, batch_size=32, seed=3).rows(0)
    np.testing.assert_array_equal(batch["item_rows"][batch["item_index"]], tables.train.values("item_row")[rows])
