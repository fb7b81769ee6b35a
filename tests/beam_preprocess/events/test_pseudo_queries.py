"""Pseudo-queries: from the item's own words and photo, the same every time, in the train split only."""

import io
import random

import numpy as np
from PIL import Image

from beam_preprocess.events.pseudo_queries import crop, text_query
from tests.beam_preprocess.conftest import preprocess
from tests.beam_preprocess.little_shop import file_bytes, write_shop
from tests.support import fake_media
from trainer.spec.presets import tiny

ITEM = {
    "item_id": "a",
    "title": "Red stoneware mug, large",
    "brand": "Potter & Sons",
    "category": ["Kitchen", "Tea cups"],
    "attributes": {"finish": "glossy"},
    "description": "Keeps warm.",
}


def test_words_are_the_items_own_and_each_source_of_words_is_used():
    queries = {text_query(ITEM, random.Random(seed)) for seed in range(300)}
    own = set(["Red", "stoneware", "mug", "large", "Potter", "Sons", "Tea", "cups", "glossy", "Keeps", "warm"])
    assert all(set(query.split()) <= own for query in queries)
    assert all(1 <= len(query.split()) <= 10 for query in queries)
    assert {"stoneware mug", "Potter Sons Tea cups", "glossy Tea cups", "Keeps warm", "Red large"} <= queries


def test_an_item_of_one_word_and_one_of_none():
    assert text_query({"item_id": "a", "title": "Mug"}, random.Random(1)) == "Mug"
    assert text_query({"item_id": "a", "title": ""}, random.Random(1)) == ""


def test_a_crop_is_a_part_of_the_photo_at_model_size():
    quadrants = fake_media.encoded(fake_media.quadrants(width=64, height=64), "JPEG", quality=95)
    sizes, means = set(), []
    for seed in range(20):
        with Image.open(io.BytesIO(crop(quadrants, px=32, chance=random.Random(seed)))) as image:
            sizes.add(image.size)
            means.append(np.asarray(image).mean(axis=(0, 1)).round())
    assert sizes == {(32, 32)}
    assert len({tuple(mean) for mean in means}) > 10


def test_a_shop_without_events_has_pseudo_queries_by_default(tmp_path, caplog):
    catalog = [
        {**ITEM, "images": ["a.jpg"]},
        {"item_id": "b", "title": "Bare"},
        {"item_id": "c", "title": "", "images": ["a.jpg"]},
        {"item_id": "d"},  # an item all the same, with nothing to ask by
        {"item_id": "e", "title": "Broken photo", "images": ["none.jpg"]},
    ]
    shop = write_shop(tmp_path / "shop", catalog=catalog, media={"a.jpg": fake_media.photo(3)})
    config = tiny()
    run = preprocess(shop, tmp_path / "out", config)
    rows = run.rows("train")
    assert run.rows("eval") == []
    assert "The shop has no events; training uses 4 pseudo-queries of each item" in caplog.text
    assert sorted(run.items()) == ["a", "b", "c", "d", "e"]
    assert run.items()["d"]["title"] == [b""]
    kinds = {}
    for row in rows:
        assert (row["positive"], row["label_click"], row["label_purchase"]) == ([1.0], [-1.0], [-1.0])
        assert row["user_hash"] == [b""]
        kind = ("text" if row["query_text"][0] else "") + ("image" if row["query_image"][0] else "")
        kinds.setdefault(row["event_item_id"][0].decode(), []).append(kind)
    assert {item: sorted(found) for item, found in kinds.items()} == {
        "a": ["image", "image", "text", "text"],
        "b": ["text"] * 4,
        "c": ["image"] * 4,
        "e": ["text"] * 4,
    }
    assert len({row["request_id"][0] for row in rows}) == 16
    assert run.summaries["events"].counts["pseudo_queries"] == 16
    again = preprocess(shop, tmp_path / "again", config)
    assert file_bytes(again.output) == file_bytes(run.output)
