"""One item and one event in wire form, as text: a change of what preprocessing writes shows as a diff."""

import glob
import hashlib
import json

from beam_preprocess.pipeline import ingest_events, ingest_items
from beam_preprocess.sources import open_source
from tests.support import fake_media
from tests.support.golden import check_golden
from trainer.spec.presets import tiny

ITEMS = [
    {
        "item_id": "A-1",
        "group_id": "A",
        "title": "Cafe\u0301 mug",
        "description": "A red mug.",
        "category": ["Kitchen", "Cups"],
        "brand": "Potter",
        "attributes": {"size": "M", "colour": "red"},
        "price": 7.5,
        "currency": "EUR",
        "images": ["media/mug.jpg"],
    },
    {"item_id": "B-1", "title": "Plate", "in_stock": False},
]
DAY = 86_400
START = 1_700_000_000
EVENTS = [
    {"timestamp": START, "type": "purchase", "user_id": "u", "item_id": "B-1"},
    {"timestamp": START + DAY, "type": "search", "user_id": "u", "request_id": "r", "query": {"text": "red mug"}},
    {
        "timestamp": START + DAY,
        "type": "impression",
        "user_id": "u",
        "request_id": "r",
        "item_id": "A-1",
        "position": 0,
    },
    {"timestamp": START + DAY + 5, "type": "click", "user_id": "u", "request_id": "r", "item_id": "A-1"},
]


def text_of(serialized):
    import tensorflow as tf

    lines = []
    for name, feature in sorted(tf.train.Example.FromString(serialized).features.feature.items()):
        kind = feature.WhichOneof("kind")
        lines.append(f"{name}: {kind} [{', '.join(shown(value) for value in getattr(feature, kind).value)}]")
    return "\n".join(lines)


def shown(value):
    if isinstance(value, bytes) and value.startswith(b"\xff\xd8"):
        return f"JPEG of {len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()[:16]}"
    return repr(value)


def read(pattern):
    import tensorflow as tf

    return [
        record
        for path in sorted(glob.glob(str(pattern)))
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]


def test_an_item_and_an_event_in_wire_form(tmp_path, monkeypatch):
    monkeypatch.setenv("VITRINE_USER_KEY", "vitrine")
    shop, out = tmp_path / "shop", tmp_path / "out"
    (shop / "media").mkdir(parents=True)
    (shop / "media" / "mug.jpg").write_bytes(fake_media.jpeg((200, 30, 30), width=48, height=40))
    for name, rows in (("catalog", ITEMS), ("events", EVENTS)):
        (shop / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    source = open_source(shop)
    ingest_items(source, config=tiny(), output_dir=out / "items", dead_letter_path=out / "items.jsonl")
    splits = {split: out / "events" / split for split in ("train", "eval", "days")}
    ingest_events(source, config=tiny(), output_dirs=splits, dead_letter_path=out / "events.jsonl")
    items = {record: text_of(record) for record in read(out / "items" / "*.tfrecord")}
    events = [text_of(record) for record in read(out / "events" / "*" / "*.tfrecord")]
    [mug] = [text for text in items.values() if "A-1" in text]
    [shown_mug] = [text for text in events if "event_item_id: bytes_list [b'A-1']" in text]
    check_golden("example_item.txt", mug)
    check_golden("example_event.txt", shown_mug)
