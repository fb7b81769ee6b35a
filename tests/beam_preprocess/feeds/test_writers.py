"""Cleaned catalogues that are written and imported again: the same records, as far as the form can carry them."""

import json

import pytest

from beam_preprocess.feeds.request import ImportRequest
from beam_preprocess.feeds.writers import write_catalog
from trainer.spec.config import DataConfig

FULL = {
    "item_id": "7",
    "group_id": "g",
    "title": 'A "fine" boot\tof 3 parts',
    "description": "Warm,\ndry; <3 m & light",
    "brand": "Acme & Söhne",
    "category": ["Shoes", "Boots"],
    "attributes": {"Colour": "red/black", "size": "41", "sku": "S-7", "gtin": "4006381333931", "mpn": "AC-1"},
    "price": 1.125,
    "currency": "KWD",
    "in_stock": False,
    "images": ["https://a.example/w_1,h_2/1.jpg", "https://a.example/2.jpg"],
    "video": "https://a.example/v.mp4",
    "audio": "https://a.example/s.wav",
    "relations": [{"type": "similar", "item_id": "8"}, {"type": "up_sell", "item_id": "8"}],
}
LEAST = {"item_id": "8"}


def imported(folder, *names):
    """The records of an import, by its public request, of a file or a program's records."""
    ImportRequest(catalog=names).run(folder, data=DataConfig())
    lines = (folder / "catalog.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def without(record, *fields, attributes=()):
    kept = {field: value for field, value in record.items() if field not in fields}
    if attributes:
        kept["attributes"] = {name: text for name, text in record["attributes"].items() if name not in attributes}
    return kept


@pytest.mark.parametrize(
    ("form", "full", "least"),
    [
        ("shop", FULL, LEAST),
        ("google", without(FULL, "audio", "relations", attributes=["sku"]), LEAST | {"in_stock": True}),
        ("jsonld", without(FULL, "audio") | {"relations": FULL["relations"][:1]}, LEAST),
    ],
)
@pytest.mark.parametrize("kind", ["", "auto"])
def test_what_a_writer_writes_is_imported_as_the_same_records(tmp_path, form, full, least, kind):
    first = imported(tmp_path / "first", [FULL, LEAST])
    assert first == [FULL | {"title": 'A "fine" boot of 3 parts'}, LEAST]
    path = tmp_path / "feed [1].txt"
    assert write_catalog(first, f"{form}:{path}") == 2
    again = imported(tmp_path / "again", f"{kind or form}:{path}")
    assert again == [full | {"title": 'A "fine" boot of 3 parts'}, least]
    assert list(again[0]["attributes"])[:2] == ["Colour", "size"]  # options stay the first ones


def test_the_import_itself_writes_the_forms_that_a_person_names(tmp_path):
    targets = tuple(f"{form}:{tmp_path / form}" for form in ("shop", "google", "jsonld"))
    ImportRequest(catalog=([FULL, LEAST],), write=targets).run(tmp_path / "out", data=DataConfig())
    for form in ("shop", "google", "jsonld"):
        assert [record["item_id"] for record in imported(tmp_path / "again", f"{form}:{tmp_path / form}")] == ["7", "8"]


def test_more_photos_than_a_merchant_feed_has_are_cut_and_commas_of_details_are_blanks(tmp_path):
    record = {"item_id": "1", "title": "x", "attributes": {"Care": "cold, dry"}, "price": 5.0, "currency": "EUR"}
    record |= {"images": [f"https://a.example/{number}.jpg" for number in range(12)]}
    write_catalog([record], f"google:{tmp_path / 'feed.tsv'}")
    (again,) = imported(tmp_path / "again", f"google:{tmp_path / 'feed.tsv'}")
    assert again["images"] == record["images"][:11]
    assert again["attributes"] == {"Care": "cold dry"}
    assert (again["price"], again["currency"]) == (5.0, "EUR")


@pytest.mark.parametrize("target", ["feed.tsv", "excel:feed.xlsx"])
def test_an_unknown_form_is_refused(target):
    with pytest.raises(ValueError, match="wanted FORM:PATH with one of shop, google, jsonld"):
        write_catalog([], target)
