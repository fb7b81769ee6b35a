"""Shop files in every format, media rules, and fingerprints that follow content."""

import csv
import gzip
import io
import json
import os
import pathlib
import pickle

import pyarrow
import pytest
from pyarrow import parquet

from beam_preprocess.media.media_root import MediaRoot, MediaUnavailable
from beam_preprocess.outcomes import RecordError
from beam_preprocess.sources import SOURCES, fingerprint, open_source, read_all
from tests.beam_preprocess.little_shop import write_jsonl, write_shop

CATALOG = [
    {
        "item_id": "a",
        "title": "Caf\u00e9 mug, red",
        "category": ["Kitchen", "Cups"],
        "attributes": {"size": "M", "colour": "red"},
        "price": 7.5,
        "in_stock": True,
        "images": ["media/a.jpg"],
        "relations": [{"type": "fits", "item_id": "b"}],
    },
    {"item_id": "b", "title": "007", "price": 3.0, "in_stock": False, "images": []},
]
EVENTS = [
    {"timestamp": 10.5, "type": "search", "request_id": "r", "query": {"text": "mug", "image": "q.jpg"}},
    {"timestamp": 11.0, "type": "impression", "request_id": "r", "item_id": "a", "position": 0},
]


def as_csv(path, records):
    names = sorted({name for record in records for name in record})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for record in records:
        cells = [record.get(name, "") for name in names]
        writer.writerow([json.dumps(c) if isinstance(c, list | dict) else c for c in cells])
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def as_parquet(path, records):
    text_map = pyarrow.map_(pyarrow.string(), pyarrow.string())
    columns = {name: [record.get(name) for record in records] for name in {n for r in records for n in r}}
    if "attributes" in columns:
        pairs = [list(value.items()) if value else None for value in columns["attributes"]]
        columns["attributes"] = pyarrow.array(pairs, text_map)
    parquet.write_table(pyarrow.table(columns), path)


def as_gzip(path, records):
    path.write_bytes(gzip.compress("".join(f"{json.dumps(record)}\n" for record in records).encode()))


WRITERS = {".jsonl": write_jsonl, ".jsonl.gz": as_gzip, ".csv": as_csv, ".csv.gz": as_csv, ".parquet": as_parquet}


def values(source, record):
    return [row.values for row in read_all(source, record)]


def without_empty(record):
    return {name: value for name, value in record.items() if value is not None}


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_every_format_gives_the_same_records(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"catalog{suffix}", CATALOG)
    WRITERS[suffix](tmp_path / f"events{suffix}", EVENTS)
    source = open_source(tmp_path)
    assert [without_empty(record) for record in values(source, "catalog")] == CATALOG
    assert [without_empty(record) for record in values(source, "events")] == EVENTS
    assert values(source, "signals") == []


def test_rows_say_where_they_came_from(tmp_path):
    write_jsonl(tmp_path / "catalog.jsonl", [CATALOG[0], b"", CATALOG[1]])
    assert [str(row.ref) for row in read_all(open_source(tmp_path), "catalog")] == [
        "catalog.jsonl:1",
        "catalog.jsonl:3",
    ]


@pytest.mark.parametrize("line", [b"{", b"[" * 100_000, b'{"price": ' + b"9" * 5000 + b"}", b"\xff\xfe"])
def test_a_line_that_is_not_json_is_a_fault(tmp_path, line):
    write_jsonl(tmp_path / "catalog.jsonl", [line, CATALOG[1]])
    error, record = values(open_source(tmp_path), "catalog")
    assert isinstance(error, RecordError)
    assert error.reason == "malformed"
    assert record == CATALOG[1]


def test_bytes_that_are_not_utf8_are_replaced(tmp_path):
    write_jsonl(tmp_path / "catalog.jsonl", [b'{"item_id": "a", "title": "caf\xe9"}'])
    assert values(open_source(tmp_path), "catalog") == [{"item_id": "a", "title": "caf\ufffd"}]


def test_csv_cells_that_do_not_convert_are_left_for_validation(tmp_path):
    text = "item_id,title,price,in_stock,category\na,,cheap,maybe,Home\nb,t,1\nc,t,,,\n"
    (tmp_path / "catalog.csv").write_text(text)
    odd, error, empty = values(open_source(tmp_path), "catalog")
    assert odd == {"item_id": "a", "price": "cheap", "in_stock": "maybe", "category": "Home"}
    assert error.detail == "3 cells; wanted 5 as in the header"
    assert empty == {"item_id": "c", "title": "t"}


def test_several_files_of_one_record_type(tmp_path):
    for number, record in enumerate(CATALOG):
        write_jsonl(tmp_path / f"catalog-{number}.jsonl", [record])
    assert values(open_source(tmp_path), "catalog") == CATALOG


def test_what_cannot_be_opened_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="Unknown kind of source 'shopp'; wanted one of records, imported, grocery"):
        open_source(tmp_path, "shopp")
    with pytest.raises(ValueError, match="There is no directory .*nowhere"):
        open_source(tmp_path / "nowhere")
    for kind in SOURCES:
        with pytest.raises(ValueError, match="Check the (directory|path)"):
            open_source(tmp_path, kind)
    write_jsonl(tmp_path / "catalog.jsonl", CATALOG)
    as_csv(tmp_path / "catalog.csv", CATALOG)
    with pytest.raises(ValueError, match="catalog as .csv and .jsonl; wanted one format"):
        open_source(tmp_path)


def test_a_cut_off_gzip_file_stops_the_run(tmp_path):
    as_gzip(tmp_path / "catalog.jsonl.gz", CATALOG * 50)
    whole = (tmp_path / "catalog.jsonl.gz").read_bytes()
    (tmp_path / "catalog.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(ValueError, match="catalog.jsonl.gz cannot be unpacked"):
        values(open_source(tmp_path), "catalog")


@pytest.fixture
def media_root(tmp_path):
    root = tmp_path / "shop"
    (root / "media").mkdir(parents=True)
    (root / "media" / "a b.jpg").write_bytes(b"inside")
    (tmp_path / "secret.jpg").write_bytes(b"outside")
    os.symlink(tmp_path / "secret.jpg", root / "media" / "link.jpg")
    return MediaRoot(str(root))


@pytest.mark.parametrize("uri", ["media/a b.jpg", "./media/../media/a b.jpg"])
def test_media_inside_the_shop(media_root, uri):
    assert media_root.read(uri) == b"inside"
    assert media_root.read(f"file://{media_root.root}/media/a%20b.jpg") == b"inside"
    assert media_root.read(f"{media_root.root}/media/a b.jpg") == b"inside"


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("media/none.jpg", "missing"),
        ("media", "missing"),
        ("x" * 5000, "missing"),
        ("a\0b", "missing"),
        ("../secret.jpg", "outside_shop"),
        ("media/link.jpg", "outside_shop"),
        ("/etc/hostname", "outside_shop"),
        ("file:///etc/hostname", "outside_shop"),
        ("file://localhost/etc/hostname", "outside_shop"),
        ("http://127.0.0.1/a.jpg", "unsupported_scheme"),
        ("HTTPS://example.org/a.jpg", "unsupported_scheme"),
        ("gopher://example.org/a.jpg", "unsupported_scheme"),
    ],
)
def test_media_that_cannot_be_had(media_root, uri, kind):
    with pytest.raises(MediaUnavailable) as caught:
        media_root.read(uri)
    assert caught.value.kind == kind


def test_media_outside_when_allowed(media_root):
    assert MediaRoot(media_root.root, allow_outside=True).read("../secret.jpg") == b"outside"


def test_a_remote_shop_does_not_leave_its_directory():
    media_root = MediaRoot("gs://bucket/shop")
    with pytest.raises(MediaUnavailable, match="leaves the shop"):
        media_root.resolve("../other/a.jpg")


def test_sources_travel_to_workers(tmp_path):
    source = open_source(write_shop(tmp_path, catalog=CATALOG))
    assert pickle.loads(pickle.dumps(source)) == source


def changed(path, text):
    pathlib.Path(path).write_text(text)


def test_fingerprints_follow_the_content_of_their_own_part(tmp_path):
    shops = [tmp_path / "one", tmp_path / "two"]
    for shop in shops:
        media = {"media/a.jpg": b"photo", "q.jpg": b"query", "unused.jpg": b"x"}
        write_shop(shop, catalog=CATALOG, events=EVENTS, media=media)
    one, two = (open_source(shop) for shop in shops)

    def both(source):
        return fingerprint(source, "items"), fingerprint(source, "events")

    items, events = both(one)
    assert (items, events) == both(two)  # another place, the same content
    changed(shops[1] / "unused.jpg", "y")
    assert both(two) == (items, events)
    changed(shops[1] / "q.jpg", "another query photo")
    assert both(two)[0] == items
    assert both(two)[1] != events
    changed(shops[0] / "media" / "a.jpg", "another photo")
    assert both(one)[0] != items
    assert both(one)[1] == events
    (shops[0] / "media" / "a.jpg").unlink()
    write_jsonl(shops[0] / "truth.jsonl", [{"request_id": "r"}])
    assert both(one)[0] != items
    assert both(one)[1] != events
    assert one.ground_truth_path == shops[0] / "truth.jsonl"
