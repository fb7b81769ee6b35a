"""Batches of rows: their bounds, and groups by key that do not depend on them."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_preprocess import batches
from beam_preprocess.batches import MAX_ROWS, Batch, GroupBatches, Packing, batches_of, flat_map
from beam_preprocess.events.rows import CheckedEvent, Interaction, Observation, Purchase, TypedSearch
from beam_preprocess.items import ValidRecord
from beam_preprocess.outcomes import SourceRef


def test_batches_hold_every_row_in_order_and_at_most_so_much():
    made = list(batches_of(range(2 * MAX_ROWS + 1)))
    assert [len(batch) for batch in made] == [MAX_ROWS, MAX_ROWS, 1]
    assert [row for batch in made for row in batch] == list(range(2 * MAX_ROWS + 1))


def test_the_size_of_a_batch_is_estimated_without_encoding_it():
    coder = beam.coders.registry.get_coder(Batch)
    assert coder.estimate_size(Batch([lambda: None])) > 0  # a function of this kind has no pickle
    assert coder.decode(coder.encode(Batch(["a", 1]))) == ["a", 1]


@pytest.mark.parametrize("held", [1, 10_000])
def test_a_group_holds_the_values_of_all_batches(held, monkeypatch):
    monkeypatch.setattr(batches, "_MAX_PACKED", held)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = pipeline | beam.Create([Batch(["ab", "a"]), Batch(["bc"])]).with_output_types(Batch)
        pairs = rows | "letters" >> flat_map(lambda row: [(letter, row) for letter in row])
        groups = pairs | "by letter" >> GroupBatches(1, str) | "sorted" >> flat_map(lambda g: [(g[0], sorted(g[1]))])
        assert_that(
            groups | beam.FlatMap(batches.rows_of), equal_to([("a", ["a", "ab"]), ("b", ["ab", "bc"]), ("c", ["bc"])])
        )


def test_a_group_holds_the_values_of_all_collections():
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        parts = [
            pipeline
            | f"part {number}" >> beam.Create([Batch([("a", number), ("b", -number)])]).with_output_types(Batch)
            for number in (1, 2)
        ]
        groups = (
            tuple(parts)
            | "by letter" >> GroupBatches(1, int)
            | "sorted" >> flat_map(lambda group: [(group[0], sorted(group[1]))])
        )
        assert_that(groups | beam.FlatMap(batches.rows_of), equal_to([("a", [1, 2]), ("b", [-2, -1])]))


EVENT = CheckedEvent("e1", SourceRef("events.jsonl", 3), 5, "click", "r1", query={"text": "mug"}, quantity=None)
ROW = Interaction("r1", "a", 5, ref=SourceRef("events.jsonl", 3), query={"text": "mug"})
BOUGHT = ROW._replace(
    purchases=(Purchase(7, None), Purchase(8, 2.0)),
    observations=(Observation(5, 0.0, 0, 1.5), Observation(7, 1.0, 1, -1.0)),
)


def test_rows_are_packed_with_the_rows_inside_of_them():
    packing = Packing(Interaction, CheckedEvent, TypedSearch)
    pairs = [("u1", ROW), ("u2", BOUGHT), ("u1", ROW), ("u1", EVENT), ("u2", TypedSearch(5, "r1", "mug \ud800"))]
    found = list(packing.unpack(packing.pack(reversed(pairs))))
    assert sorted(found, key=repr) == sorted(pairs, key=repr)
    assert {type(row) for _, row in found} == {Interaction, CheckedEvent, TypedSearch}
    (bought,) = [row for _, row in found if row == BOUGHT]
    assert bought.ref.file == "events.jsonl"
    assert bought.purchases[1].quantity == 2.0
    assert bought.observations[0].price == 1.5


def test_records_and_plain_values_are_packed_too():
    record = ValidRecord(SourceRef("catalog.jsonl", 1), {"item_id": "a", "attributes": {"size": "M"}, "price": 1.5})
    packing = Packing(ValidRecord, str, type(None))
    pairs = [("a", record), ("b", "b"), ("c", None)]
    assert list(packing.unpack(packing.pack(pairs))) == pairs
    assert list(packing.unpack(packing.pack([]))) == []
