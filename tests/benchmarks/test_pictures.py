"""Pictures of the README: drawn from small data, and small as files."""

from pathlib import Path

from PIL import Image

from benchmarks import pictures
from serving.client import SearchResult
from tests.support import fake_media

ROOT = Path(__file__).resolve().parents[2]
VALUES = {"model": 0.5, "chance": 0.1, "popularity": 0.25}


def test_the_pictures_of_the_pages_are_below_200_kb():
    for name in ("result_page.png", "report.png"):
        assert 5_000 < (ROOT / "docs" / name).stat().st_size < 200_000


def test_the_report_has_a_bar_for_each_method_as_long_as_its_value():
    rows = [{"slice": "all", "size": 4, "metric": "recall@10", **VALUES}]
    image = pictures.draw_report({"sections": {"judged": {"rows": rows}}})
    left, y = pictures.MARGIN + pictures.LABEL_WIDTH, 2 * pictures.MARGIN + 8 + 5
    # The model's bar ends at half the width of the chart; popularity's, the next, at a quarter. Chance is left out.
    blue, grey, paper = (47, 111, 222), (185, 196, 208), (255, 255, 255)
    assert [image.getpixel((left + x, y)) for x in (5, 209)] == [blue, blue]
    assert image.getpixel((left + 209, y + pictures.BAR)) == paper
    assert image.getpixel((left + 104, y + pictures.BAR)) == grey
    assert image.height == 3 * pictures.MARGIN + 2 * pictures.BAR + pictures.MARGIN


def test_a_page_shows_the_photos_of_its_results(tmp_path):
    (tmp_path / "red.jpg").write_bytes(fake_media.jpeg(fake_media.RED, width=64, height=64))
    found = SearchResult.__new__(SearchResult)
    object.__setattr__(found, "ids", ("a", "b"))
    object.__setattr__(found, "scores", (2.0, 1.0))
    catalogue = {"a": {"title": "Red Mug", "price": 9.5, "images": ["red.jpg"]}, "b": {"title": "Bare"}}
    hits = pictures.hits_of(found, catalogue, tmp_path)
    assert [hit.lines for hit in hits] == [("Red Mug", "9.50 ", "score 2.00"), ("Bare", "no price", "score 1.00")]
    image = pictures.draw_pages([pictures.Page(pictures.Hit(None, ("mug",)), hits)])
    x, y = 2 * pictures.MARGIN + pictures.CELL + 20, pictures.MARGIN + 20
    red, green, blue = image.getpixel((x, y))
    assert red > 150 > green
    assert green < 60 > blue
    pictures.save(image, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as saved:
        assert (saved.mode, saved.size) == ("P", image.size)
