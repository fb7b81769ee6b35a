"""Lists and maps in one cell."""

import contextlib
import time

import pytest

from beam_preprocess.feeds.values import lists
from beam_preprocess.feeds.values.parsed import UnreadableValue

PATH = ["Apparel", "Shoes", "Running"]


@pytest.mark.parametrize(
    "raw",
    [
        PATH,
        "Apparel > Shoes > Running",
        "Apparel>Shoes>Running",
        "Apparel » Shoes » Running",
        "Apparel | Shoes | Running",
        "Apparel/Shoes/Running",
        "Apparel::Shoes::Running",
        "Apparel -> Shoes -> Running",
        '["Apparel", "Shoes", "Running"]',
        "Apparel > > Shoes > Running >",
    ],
)
def test_a_category_path_is_the_same_with_every_separator(raw):
    assert lists.category_path(raw).value == PATH


@pytest.mark.parametrize("raw", ["Food / Drink", "Home & Garden", "Shoes, Bags"])
def test_a_name_with_a_mark_inside_is_one_level(raw):
    assert lists.category_path(raw).value == [raw]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("img/a.jpg", ["img/a.jpg"]),
        ("a.jpg|b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg; b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg, b.jpg,c.png", ["a.jpg", "b.jpg", "c.png"]),
        ("https://s.example/a.jpg,https://s.example/b.jpg", ["https://s.example/a.jpg", "https://s.example/b.jpg"]),
        ("https://s.example/w_1,h_2/a.jpg", ["https://s.example/w_1,h_2/a.jpg"]),
        ('["a.jpg", "b.jpg", "a.jpg"]', ["a.jpg", "b.jpg"]),
        (["a.jpg", "", None, "a.jpg"], ["a.jpg"]),
        ("", None),
        ("N/A", None),
    ],
)
def test_a_cell_of_addresses_is_cut_between_them_and_not_inside(raw, expected):
    assert lists.uri_list(raw).value == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"color": "red", "size": 42}, {"color": "red", "size": "42"}),
        ("color=red", {"color": "red"}),
        ("color=red; size=42", {"color": "red", "size": "42"}),
        ("color: red, size: 42", {"color": "red", "size": "42"}),
        ("color=red|note=a,b", {"color": "red", "note": "a,b"}),
        ('{"color": "red", "waterproof": true}', {"color": "red", "waterproof": "yes"}),
        ([{"key": "color", "value": "red"}], {"color": "red"}),
        ([{"name": "color", "value": ["red", "blue"]}], {"color": "red, blue"}),
        ("color=red; size=", {"color": "red"}),
        ("url=https://s.example/a", {"url": "https://s.example/a"}),
    ],
)
def test_a_cell_of_pairs_is_a_map(raw, expected):
    assert lists.text_map(raw).value == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (12.0, "12"),
        (1.5, "1.5"),
        (float("nan"), ""),
        (float("-inf"), ""),
        (" a ", "a"),
        (" n/a ", ""),
        ("undefined", ""),
        (7, "7"),
        (True, "yes"),
        ([" a", None, 2.0], "a, 2"),
        ({"width": 3, "unit": ""}, "width 3"),
    ],
)
def test_text_of_any_type(value, text):
    assert lists.text_of(value) == text


def test_paths_as_text_are_read_back_and_the_beginning_of_another_is_left_out():
    path = lists.path_text(PATH)
    assert lists.category_path(path).value == PATH
    assert lists.deepest(["Sale", path, "A > B > C"]) == path
    assert lists.whole_paths(["Apparel", "", path, "Apparel > Sho", path]) == [path, "Apparel > Sho"]


def test_the_beginnings_among_20_000_paths_are_found_without_comparing_each_with_each():
    paths = [f"Shop > {number}" for number in range(20_000)]
    began = time.process_time()
    assert lists.whole_paths(["Shop", *paths, "Shop > 1 > a", "Shop > 10"]) == ["Shop > 0", *paths[2:], "Shop > 1 > a"]
    assert time.process_time() - began < 5


@pytest.mark.parametrize("raw", [3, True, ["a"], "just words"])
def test_what_is_no_map_is_named(raw):
    with pytest.raises(UnreadableValue):
        lists.text_map(raw)


@pytest.mark.parametrize("unit", [" ", ",", "a,", ";", "=", "a b ", ">", "/", "x", "[", "{"])
@pytest.mark.parametrize("read", [lists.category_path, lists.uri_list, lists.text_list, lists.text_map])
def test_a_cell_of_a_million_marks_takes_no_quadratic_time(read, unit):
    with contextlib.suppress(UnreadableValue):
        read("a" + unit * 200_000 + "b")
