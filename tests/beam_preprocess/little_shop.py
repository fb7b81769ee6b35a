"""Shops written by hand for the tests of preprocessing, and reading back what it wrote."""

import json
from pathlib import Path

import tensorflow as tf

NOW = 1_000_000  # epoch seconds at which every little shop is read
DAY = 86_400


def write_jsonl(path: Path, records: list) -> Path:
    """One line for each record; a `bytes` record is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def write_shop(directory: Path, *, catalog: list, events: list = (), signals: list = (), media: dict | None = None):
    """A shop in JSON Lines with media files {name: bytes}."""
    write_jsonl(directory / "catalog.jsonl", catalog)
    write_jsonl(directory / "events.jsonl", list(events))
    write_jsonl(directory / "signals.jsonl", list(signals))
    for name, data in (media or {}).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def read_examples(directory: Path) -> list[dict]:
    """{feature: list of values} of every Example, in file order."""
    rows = []
    for path in sorted(Path(directory).glob("*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            rows.append({name: list(getattr(f, f.WhichOneof("kind")).value) for name, f in features.items()})
    return rows


def read_letters(path: Path) -> list[dict]:
    """The lines of a dead-letter file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def file_bytes(directory: Path) -> dict[str, bytes]:
    """{path below the directory: bytes} of every file."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(Path(directory).rglob("*")) if p.is_file()}
