"""Arguments as callers give them: one value or many, of any iterable; media of any kind of source."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.client.arguments import mapping, media, numbers, texts
from serving.client.images import image_wire
from serving.client.request_inputs import query_inputs, seed_item_inputs
from serving.client.search_options import Filters
from tests.support import fake_media


@pytest.mark.parametrize(
    "given",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        (c for c in "ab"),
        {"a": 1, "b": 2}.keys(),
    ],
)
def test_texts_come_from_any_iterable(given):
    assert texts(given, name="history") == ["a", "b"]


def test_one_text_is_a_list_of_one_and_never_its_letters():
    assert texts("Acme", name="brands") == texts(b"Acme", name="brands") == ["Acme"]
    assert texts(None, name="brands") == []
    assert Filters(brands="Acme", include="a1", exclude="b2", currencies="EUR").inputs() == {
        "filter_brand": [["Acme"]],
        "include_ids": [["a1"]],
        "exclude_ids": [["b2"]],
        "filter_currency": [["EUR"]],
    }
    assert Filters(brands="Acme").brands == ["Acme"]
    assert Filters(categories="wear > shoes").inputs() == {"filter_category": [["wear > shoes"]]}
    assert Filters(attributes={"size": 42, "colour": np.array(["red"])}).inputs() == {
        "filter_attributes": [["size=42", "colour=red"]]
    }
    assert seed_item_inputs("abc") == {"seed_item_ids": [["abc"]], "seed_item_weights": [[1.0]]}


def test_ids_that_are_numbers_become_texts():
    assert texts([7, np.int64(8)], name="history") == ["7", "8"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: texts(3.5, name="history"), "history is a float; give a text or a list of texts"),
        (lambda: texts({"a": 1}, name="brands"), "brands is a dict; give a text or a list of texts"),
        (lambda: texts(["a", None], name="history"), "history holds a NoneType; give texts"),
        (lambda: texts([["a"]], name="history"), "history holds a list; give texts"),
        (lambda: texts(np.array("a"), name="history"), "history is a ndarray"),
        (lambda: numbers(["a"], name="history_age_days"), "history_age_days holds a str; give numbers"),
        (lambda: numbers("ab", name="history_age_days"), "history_age_days is a str; give a list of numbers"),
        (lambda: numbers([float("nan")], name="history_age_days"), "history_age_days holds NaN"),
        (lambda: mapping(["a"], name="boosts", wanted="{item id: addition}"), "boosts is a list; give {item id"),
        (lambda: Filters(categories=5), "categories is a int; give a path or a list of paths"),
        (lambda: Filters(attributes=["red"]), "attributes is a list; give {key: value or values}"),
        (lambda: media(5, name="image"), "image is a int; give a path, bytes, an open binary file or a PIL image"),
        (lambda: media("https://shop.example/a.jpg", name="image"), "image is an address; the client requests nothing"),
        (lambda: media(io.StringIO("x"), name="image"), "image is a file open for text; open it in the mode 'rb'"),
        (lambda: query_inputs({"text": ["a"]}, wire_spec=dict, user_hash_key=None), "text is a list; give one text"),
    ],
)
def test_anything_else_is_named_with_what_to_give(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_history_is_read_from_an_array_a_tuple_or_a_generator():
    wanted = {
        "history_ids": [["a", "b"]],
        "history_age_days": [[2.0, 1.0]],
        "history_counts": [[1.0, 1.0]],
    }
    for make in (np.array, tuple, lambda items: (item for item in items)):
        options = {"history": make(["a", "b"]), "history_age_days": make([2.0, 1.0])}
        assert query_inputs(options, wire_spec=dict, user_hash_key=None) == wanted


def test_a_photo_comes_from_a_path_bytes_an_open_file_or_a_pil_image(tmp_path):
    data = fake_media.photo()
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    wanted = image_wire(data, px=16)
    with path.open("rb") as file:
        sources = [path, str(path), bytearray(data), memoryview(data), io.BytesIO(data), file, Image.open(path)]
        for source in sources:
            assert image_wire(media(source, name="image"), px=16) == wanted


def test_a_pil_image_keeps_its_orientation_and_a_mode_that_no_png_holds(tmp_path: Path):
    # A photo of two rows that EXIF turns by half: red above blue is shown as blue above red.
    turned = Image.fromarray(np.array([[[255, 0, 0]] * 8] * 4 + [[[0, 0, 255]] * 8] * 4, np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 3
    turned.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        shown = Image.open(io.BytesIO(image_wire(media(image, name="image"), px=8)))
    red, _, blue = shown.getpixel((4, 1))
    assert blue > 200 > 50 > red
    for mode in ("CMYK", "YCbCr", "F"):
        assert image_wire(media(Image.new(mode, (8, 8)), name="image"), px=8)
