"""Records of a program: lists, generators, data frames, Arrow tables and database rows give the same import."""

import datetime
import json
import sqlite3

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import vitrine
from beam_preprocess.feeds.frames import is_records, records_of
from beam_preprocess.feeds.request import ImportRequest
from trainer.spec.config import DataConfig, override
from trainer.spec.presets import tiny

ITEMS = [
    {"item_id": 1, "title": "Red mug", "price": 19.9, "currency": "EUR", "images": ["a.jpg", "b.jpg"]},
    {"item_id": 2, "title": "Bowl", "price": None, "currency": "EUR", "images": None},
    {"item_id": 3, "title": None, "price": 5.0, "currency": None, "images": ["c.jpg"]},
]
WANTED = [
    {"item_id": "1", "title": "Red mug", "price": 19.9, "currency": "EUR", "images": ["a.jpg", "b.jpg"]},
    {"item_id": "2", "title": "Bowl"},
    {"item_id": "3", "price": 5.0, "currency": "EUR", "images": ["c.jpg"]},
]


def imported(folder, name, records):
    report = ImportRequest(**{name: (records,)}).run(folder, data=DataConfig())
    part = getattr(report, name)
    assert part["rows"] == part["kept"] == 3
    file = folder / ("catalog.jsonl" if name == "catalog" else "events.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def polars_frame(items):
    return pytest.importorskip("polars", reason="Polars is not installed").DataFrame(items)


def pandas_of_types(items):
    """A frame with pandas' own missing values, arrays in cells and the ids as its index."""
    frame = pd.DataFrame(items).convert_dtypes()
    frame["images"] = [np.array(found) if found else pd.NA for found in (item["images"] for item in items)]
    return frame.set_index("item_id")


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        lambda items: (item for item in items),
        pd.DataFrame,
        pandas_of_types,
        polars_frame,
        pa.Table.from_pylist,
        lambda items: pa.RecordBatch.from_pylist(items),
    ],
    ids=["list", "tuple", "generator", "pandas", "pandas types", "polars", "arrow", "arrow batch"],
)
def test_data_of_every_kind_give_the_same_records(tmp_path, make):
    assert imported(tmp_path / "out", "catalog", make(ITEMS)) == WANTED


def test_maps_and_moments_of_a_program_are_read(tmp_path):
    types = pa.schema([("item_id", pa.string()), ("attributes", pa.map_(pa.string(), pa.string()))])
    table = pa.Table.from_pylist([{"item_id": name, "attributes": {"size": "M"}} for name in "ABC"], schema=types)
    assert imported(tmp_path / "out", "catalog", table)[0] == {"item_id": "A", "attributes": {"size": "M"}}
    moments = pd.to_datetime(["2024-03-01T00:00:00Z", "2024-03-01T00:00:01Z", "2024-03-01T00:00:02Z"])
    log = pd.DataFrame({"timestamp": moments, "type": "view", "item_id": ["A", "B", "C"], "user_id": ["u", None, "u"]})
    first, second, _ = imported(tmp_path / "log", "events", log)
    start = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC).timestamp()
    assert (first["timestamp"], second["timestamp"]) == (start, start + 1)
    assert "user_id" not in second


@pytest.mark.parametrize(("data", "got"), [({"item_id": "A"}, "dict"), (7, "int")])
def test_what_is_no_table_is_refused(data, got):
    with pytest.raises(ValueError, match=f"catalog is {got}; wanted an iterable of dicts, a data frame"):
        records_of(data, subject="catalog")
    with pytest.raises(ValueError, match=r"catalog\[1\] is str; wanted a dict"):
        records_of([{}, "x"], subject="catalog")
    assert not is_records("shop:catalog.csv")


@pytest.fixture
def database(tmp_path):
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE products (id INTEGER, name TEXT, price REAL, image TEXT)")
        rows = [(1, "Käse", 19.9, "https://a.example/1.jpg"), (2, "Bowl", None, None), (3, None, 5.0, "b.jpg")]
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return path


def test_a_query_over_a_database_file_is_a_catalogue(tmp_path, database):
    query = f"duckdb:ATTACH '{database}' AS shop (TYPE sqlite); SELECT * FROM shop.products ORDER BY id"
    found = imported(tmp_path / "out", "catalog", query)
    assert found[0] == {"item_id": "1", "title": "Käse", "price": 19.9, "images": ["https://a.example/1.jpg"]}
    assert [item["item_id"] for item in found] == ["1", "2", "3"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_query_over_a_file_is_a_catalogue(tmp_path, database, form):
    path = tmp_path / f"items.{form}"
    if form == "csv":
        path.write_text("item_id,title,price\n1,Mug,19.90\n2,Bowl,\n3,Cup,5\n", encoding="utf-8")
    else:
        parquet.write_table(pa.Table.from_pylist(ITEMS), path)
    found = imported(tmp_path / "out", "catalog", f"duckdb:SELECT * FROM '{path}' ORDER BY item_id")
    assert [item["item_id"] for item in found] == ["1", "2", "3"]
    assert (found[0]["price"], found[2]["price"]) == (19.9, 5.0)
    assert form == "csv" or found == WANTED


def test_a_query_that_duckdb_does_not_take_is_named(tmp_path, database):
    with pytest.raises(ValueError, match="DuckDB does not take the query 'SELECT \\* FROM nowhere'"):
        imported(tmp_path / "out", "catalog", "duckdb:SELECT * FROM nowhere")


@pytest.mark.slow
def test_the_facade_takes_a_generator_and_a_frame_and_writes_to_a_folder_of_any_name(tmp_path):
    log = pd.DataFrame({"timestamp": [1.7e9], "type": "purchase", "item_id": [1], "user_id": ["u"]})
    config = override(tiny(), ["data.pseudo_queries=0"])
    items = ({**item, "images": []} for item in ITEMS)
    counts = vitrine.preprocess(None, tmp_path / "out [v2]", config=config, catalog=items, events=log)
    assert (counts["items"]["written"], counts["events"]["read"]) == (3, 1)
