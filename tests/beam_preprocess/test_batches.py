"""Batches of rows: their bounds, and groups by key that do not depend on them."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_preprocess import batches
from beam_preprocess.batches import MAX_ROWS, Batch, GroupBatches, batches_of, flat_map


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
        groups = pairs | "by letter" >> GroupBatches(1) | "sorted" >> flat_map(lambda g: [(g[0], sorted(g[1]))])
        assert_that(
            groups | beam.FlatMap(batches.rows_of), equal_to([("a", ["a", "ab"]), ("b", ["ab", "bc"]), ("c", ["bc"])])
        )
