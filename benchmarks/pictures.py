"""Pictures of the README: pages of results as a contact sheet, and the evaluation as bars.

    python -m benchmarks.pictures results --rest http://localhost:8501 --shop runs/demo/demo_shop \
        --photo media/photos/item-00012.jpg --text marble --output docs/result_page.png
    python -m benchmarks.pictures report --metrics METRICS.json --output docs/report.png

The first searches by a text, by a photo and by both, and shows the items by their catalogue photos. The second reads
the `metrics.json` of a training. Both need Pillow and no display.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from serving.client import Client, SearchResult

INK, PALE, PAPER, ACCENT, GREY = "#1c2733", "#6b7785", "#ffffff", "#2f6fde", "#b9c4d0"
CELL, PHOTO, TEXT_LINES, MARGIN = 168, 132, 3, 18
LINE = 17
COLUMNS = 6
COLORS = 96  # of the palette: what keeps a page of photos below 200 kB
METRIC, SECTION, PREFIX = "recall@10", "judged", "needs: "
LEFT_OUT = ("chance",)
BAR, LABEL_WIDTH, BAR_WIDTH = 14, 130, 420


class Hit(NamedTuple):
    """One result as it is drawn."""

    photo: Path | None
    lines: tuple[str, ...]


class Page(NamedTuple):
    """A query and its results."""

    query: Hit
    hits: list[Hit]


def result_pages(client: Client, shop: Path, *, text: str, photo: str) -> list[Page]:
    """The first page for a text, for a photo of the shop, and for both."""
    with (shop / "catalog.jsonl").open(encoding="utf-8") as lines:
        catalogue = {item["item_id"]: item for item in map(json.loads, lines)}
    path = shop / photo
    queries: dict[str, dict[str, Any]] = {
        f"“{text}”": {"text": text},
        "a photo": {"image": path},
        f"the photo and “{text}”": {"text": text, "image": path},
    }
    pages = []
    for title, query in queries.items():
        found = client.search(**query, page_size=COLUMNS)
        asked = Hit(path if "image" in query else None, (title, f"{found.total_matches} products"))
        pages.append(Page(asked, hits_of(found, catalogue, shop)))
    return pages


def hits_of(found: SearchResult, catalogue: Mapping[str, Mapping[str, Any]], shop: Path) -> list[Hit]:
    """Title, price and score of each result, with the first photo of its item."""
    hits = []
    for item_id, score in zip(found.ids, found.scores, strict=True):
        item = catalogue[item_id]
        photo = shop / item["images"][0] if item.get("images") else None
        price = f"{item['price']:.2f} {item.get('currency', '')}" if "price" in item else "no price"
        hits.append(Hit(photo, (item["title"], price, f"score {score:.2f}")))
    return hits


def draw_pages(pages: Sequence[Page]) -> Image.Image:
    """A row for each page: the query at the left, its results beside it, best first."""
    height = PHOTO + TEXT_LINES * LINE + 2 * MARGIN
    image = Image.new("RGB", (CELL * (COLUMNS + 1) + 3 * MARGIN, height * len(pages) + MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    for row, page in enumerate(pages):
        top = row * height + MARGIN
        draw.rounded_rectangle((MARGIN // 2, top - 8, MARGIN + CELL - 6, top + height - MARGIN), 8, outline=ACCENT)
        _cell(image, draw, page.query, left=MARGIN, top=top, color=ACCENT)
        for column, hit in enumerate(page.hits):
            _cell(image, draw, hit, left=2 * MARGIN + (column + 1) * CELL, top=top, color=INK)
    return image


def _cell(image: Image.Image, draw: ImageDraw.ImageDraw, hit: Hit, *, left: int, top: int, color: str) -> None:
    text_top = top + PHOTO + 6
    if hit.photo is not None:
        with Image.open(hit.photo) as photo:
            image.paste(photo.convert("RGB").resize((PHOTO, PHOTO), Image.Resampling.LANCZOS), (left, top))
    else:
        text_top = top + PHOTO // 2 - LINE
    for number, line in enumerate(hit.lines):
        font = ImageFont.load_default(14 if number == 0 else 12)
        draw.text((left, text_top + number * LINE), line, fill=color if number == 0 else PALE, font=font)


def draw_report(metrics: Mapping[str, Any]) -> Image.Image:
    """Recall@10 of the model and of every baseline on judged requests, a group of bars for each modality they need."""
    rows = [row for row in metrics["sections"][SECTION]["rows"] if row["metric"] == METRIC]
    rows = [row for row in rows if row["slice"] == "all" or row["slice"].startswith(PREFIX)]
    names = [name for name, value in rows[0].items() if isinstance(value, float) and name not in LEFT_OUT]
    group = BAR * len(names) + MARGIN
    image = Image.new("RGB", (2 * LABEL_WIDTH + BAR_WIDTH + 2 * MARGIN, group * len(rows) + 3 * MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    title = f"{METRIC} of {rows[0]['size']} judged requests by what they need: the model and the baselines"
    draw.text((MARGIN, MARGIN // 2), title, fill=INK, font=ImageFont.load_default(15))
    for number, row in enumerate(rows):
        top = 2 * MARGIN + 8 + number * group
        label = f"{row['slice'].removeprefix(PREFIX)} ({row['size']})"
        draw.text((MARGIN, top), label, fill=INK, font=ImageFont.load_default(13))
        for place, name in enumerate(names):
            left, y, value = MARGIN + LABEL_WIDTH, top + place * BAR, row[name]
            right = left + value * BAR_WIDTH
            draw.rectangle((left, y, right, y + BAR - 4), fill=ACCENT if place == 0 else GREY)
            ink = INK if place == 0 else PALE
            draw.text((right + 6, y - 2), f"{value:.2f}  {name}", fill=ink, font=ImageFont.load_default(11))
    return image


def save(image: Image.Image, path: Path) -> None:
    """Writes a PNG with a palette, which is a third of the size of one without."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = image.quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(path, "PNG", optimize=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws one picture."""
    options = _parser().parse_args(arguments)
    if options.picture == "results":
        client = Client(rest=options.rest, timeout_seconds=60.0)
        image = draw_pages(result_pages(client, options.shop, text=options.text, photo=options.photo))
    else:
        image = draw_report(json.loads(options.metrics.read_text(encoding="utf-8")))
    save(image, options.output)
    print(f"{options.output}: {options.output.stat().st_size // 1000} kB")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Draws the pictures of the README.")
    pictures = made.add_subparsers(dest="picture", required=True)
    results = pictures.add_parser("results", help="pages of results of a server")
    results.add_argument("--rest", default="http://localhost:8501", help="root URL of the server")
    results.add_argument("--shop", type=Path, required=True, help="folder with catalog.jsonl and its media")
    results.add_argument("--text", required=True, help="the text of the query")
    results.add_argument("--photo", required=True, help="the photo of the query, below the shop's folder")
    report = pictures.add_parser("report", help="the evaluation of a training")
    report.add_argument("--metrics", type=Path, required=True, help="metrics.json of the training")
    for picture in (results, report):
        picture.add_argument("--output", type=Path, required=True, help="PNG to write")
    return made


if __name__ == "__main__":
    main()
