"""Shards of a directory: order, empty shards, and runs beside the directory where a worker cannot hold its rows."""

import apache_beam as beam
import pytest

from beam_preprocess import pipeline, sharded_writer
from beam_preprocess.batches import Batch

ROWS = [(0, (b"c", b"3")), (1, (b"b", b"2")), (0, (b"a", b"1")), (0, (b"d", b"4")), (0, (b"a", b"0"))]


def write(directory, batches, *, shards):
    """Writes batches into a published directory; returns {file: records}."""
    aside = sharded_writer.staged(str(directory))
    with beam.Pipeline(options=pipeline.options_of(None)) as run:
        rows = run | beam.Create(batches).with_output_types(Batch)
        _ = rows | "rows" >> sharded_writer.WriteShards(aside, prefix="rows", shards=shards)
    sharded_writer.publish(str(directory))
    return {path.name: list(sharded_writer.read_tfrecord(str(path))) for path in sorted(directory.iterdir())}


@pytest.mark.parametrize("held", [1, 4, 2**20])  # bytes: a run for each batch, for every other, none
def test_a_shard_is_sorted_however_much_a_worker_holds(tmp_path, monkeypatch, held):
    monkeypatch.setattr(sharded_writer, "_MAX_HELD_BYTES", held)
    monkeypatch.setattr(sharded_writer, "_RUN_ROWS", 2)
    assert write(tmp_path / "out", [Batch(ROWS[:1]), Batch(ROWS[1:2]), Batch(ROWS[2:])], shards=3) == {
        "rows-00000-of-00003.tfrecord": [b"0", b"1", b"3", b"4"],
        "rows-00001-of-00003.tfrecord": [b"2"],
        "rows-00002-of-00003.tfrecord": [],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no run is left


def test_runs_are_removed_with_what_is_discarded(tmp_path, monkeypatch):
    monkeypatch.setattr(sharded_writer, "_write_run", lambda directory, rows: 1 / 0)
    monkeypatch.setattr(sharded_writer, "_MAX_HELD_BYTES", 1)
    with pytest.raises(Exception, match="division by zero"):
        write(tmp_path / "out", [Batch(ROWS)], shards=1)
    (tmp_path / "out.partial.runs").mkdir()
    (tmp_path / "out.partial.runs" / "left").write_bytes(b"of a run that was killed")
    sharded_writer.discard([str(tmp_path / "out")])
    assert list(tmp_path.iterdir()) == []
