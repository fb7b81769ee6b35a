import numpy as np
import pytest

from serving.report.blocks import Figure, Table, Text
from serving.report.figures.answers import AnsweredQuery, Result
from serving.report.figures.catalogue import ItemCard
from serving.report.query_section import (
    coverage_section,
    gate_section,
    latency_section,
    queries_section,
    shortened,
)
from tests.support import fake_media

CARDS = {b"i1": ItemCard(title="A red mug", price="2.00 EUR", category="", photo=fake_media.jpeg())}


def answered(**changes):
    values = {
        "parts": ("text", "image"),
        "text": "red mug",
        "photo": fake_media.jpeg(),
        "history": (b"i1", b"gone"),
        "results": (
            Result(item=b"i1", score=2.5, is_relevant=True, reasons=(("dense", 2.0), ("word “red”", -0.5))),
            Result(item=b"gone", score=1.0, is_relevant=False, reasons=()),
        ),
        "words": (("red", 0.3), ("mug", -0.1)),
        "regions": ((0.0, 0.4), (-0.2, 0.1)),
        "milliseconds": 10.0,
    }
    return AnsweredQuery(**{**values, **changes})


def test_an_answer_has_pictures_reasons_words_and_regions():
    _, answer = queries_section([answered()], CARDS).blocks
    assert answer.title == "1. text + image"
    assert answer.facts == ["“red mug”", "history: A red mug, gone"]
    assert answer.picture.startswith("data:image/jpeg;base64,")
    # The largest effect is 0.4; what does better without a region is not painted.
    assert answer.regions == [[0.0, 1.0], [0.0, 0.25]]
    assert answer.strongest == "row 1, column 2 of 2: +0.400"
    assert [(bar.label, bar.value, bar.width, bar.is_negative) for bar in answer.words] == [
        ("red", "+0.300", 100.0, False),
        ("mug", "-0.100", pytest.approx(33.3), True),
    ]
    first, second = answer.hits
    assert (first.title, first.facts, first.is_relevant) == ("A red mug", "2.00 EUR, score 2.500", True)
    assert [(bar.label, bar.width) for bar in first.reasons] == [("dense", 100.0), ("word “red”", 25.0)]
    # What is not in the catalogue any more has its id, and no picture.
    assert (second.title, second.facts, second.picture) == ("gone", "score 1.000", "")


def test_no_queries_no_photo_and_long_titles():
    (block,) = queries_section([], {}).blocks
    assert "there is no query to show" in block.text
    _, answer = queries_section([answered(parts=(), text="", photo=b"", history=(), regions=())], CARDS).blocks
    assert (answer.title, answer.facts, answer.picture) == ("1. an empty query", [], "")
    assert (answer.regions, answer.strongest) == ([], "")
    assert shortened("x" * 200) == "x" * 90 + "…"


def test_latency_is_that_of_the_searches():
    times = [answered(milliseconds=value) for value in (10.0, 20.0, 60.0)]
    table, text = latency_section(times, {"requests": 100, "seconds": 8.0}).blocks
    # Of three the 95th percentile lies nine tenths of the way from 20 to 60.
    assert table.rows == [["median", "20.0"], ["95th percentile", "56.0"], ["slowest", "60.0"]]
    assert text.text == "The quality gate answered 100 requests in 8.0 s, loading and reading included."
    (nothing,) = latency_section([], {}).blocks
    assert "No search was timed" in nothing.text


def test_coverage_is_the_part_of_the_products_that_pages_show():
    table, text = coverage_section({"products_shown": 30, "products": 120, "requests": 5}).blocks
    assert isinstance(table, Table)
    assert table.rows == [
        ["products", "120", "100.0 %"],
        ["shown on a first page", "30", "25.0 %"],
        ["never shown", "90", "75.0 %"],
    ]
    assert text.text == "5 pages of ten could show 50 products at most."
    (nothing,) = coverage_section({}).blocks
    assert isinstance(nothing, Text)


def test_the_gate_is_a_sentence_with_its_problems_and_a_chart():
    quality = {
        **{"summary_line": "recall@10 0.500", "problems": ["too low"], "requests": 20, "recall": 0.5},
        **{"recall_interval": [0.3, 0.7], "popularity": 0.2, "chance": 0.1, "baseline": None},
    }
    line, problem, figure = gate_section(quality).blocks
    assert (line.text, problem.text) == ("recall@10 0.500", "Not published: too low")
    assert isinstance(figure, Figure)
    assert figure.alt == "recall@10: this bundle 0.500, popularity 0.200, chance 0.100."
    assert [block.text for block in gate_section({}).blocks] == ["The bundle was not measured on recorded requests."]
    assert len(gate_section({**quality, "requests": 0}).blocks) == 2


def test_regions_without_an_effect_are_not_painted():
    _, answer = queries_section([answered(regions=np.zeros([2, 2]).tolist())], CARDS).blocks
    assert (answer.regions, answer.strongest) == ([], "")
