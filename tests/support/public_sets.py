"""Small sets in the formats of the public ones, enough to train the `tiny` preset on. Nothing here is downloaded."""

import gzip
import json
from pathlib import Path

from tests.support import fake_media

_NOUNS = ("Lamp", "Chair", "Vase", "Clock", "Stool", "Shelf")
_WORDS = ("red", "blue", "green", "white")
_COLOURS = (fake_media.RED, fake_media.BLUE, fake_media.GREEN, fake_media.WHITE)
_REVIEWS = (("I love it, it fits so well", 5, 1), ("Bad cloth, I sent it back", 2, 0), ("Nice colour, fine", 4, 1))


def write_all(directory: Path) -> Path:
    """Writes every set into a folder of its own kind's name; returns `directory`."""
    for name, write in WRITERS.items():
        (directory / name).mkdir(parents=True)
        write(directory / name)
    return directory


def _grocery(folder: Path) -> None:
    """Four products with four training photos and one to be judged."""
    head = "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int)"
    lines = [f"{head},Iconic Image Path (str),Product Description Path (str)"]
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for number, (word, colour) in enumerate(zip(_WORDS, _COLOURS, strict=True)):
        name = f"{word.title()}-Apple"
        lines.append(f"{name},{number},Apple,0,/iconic/{name}.jpg,/iconic/{name}.txt")
        _file(folder / "iconic" / f"{name}.jpg", fake_media.jpeg(colour))
        _file(folder / "iconic" / f"{name}.txt", f"A {word} apple.\n".encode())
        for photo in range(5):
            split = "val" if photo == 4 else "train"
            path = f"{split}/Fruit/{name}/{photo}.jpg"
            _file(folder / path, fake_media.jpeg(colour, width=64 + 8 * photo))
            lists[split].append(f"{path}, {number}, 0\n")
    (folder / "classes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split, entries in lists.items():
        (folder / f"{split}.txt").write_text("".join(entries), encoding="utf-8")


def _chorus(folder: Path) -> None:
    """24 products, and a judged query for each kind of thing."""
    products = [
        {"id": str(100 + 4 * kind + shade), "title": f"{word} {noun}", "supplier": "Acme", "price": 995}
        for kind, noun in enumerate(_NOUNS)
        for shade, word in enumerate(_WORDS)
    ]
    lines = "".join(f"{json.dumps(product)}\n" for product in products)
    (folder / "products.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    judged = [
        f"{_WORDS[shade]} {noun},{100 + 4 * kind + shade},3" for kind, noun in enumerate(_NOUNS) for shade in range(2)
    ]
    (folder / "judgments_dev.csv").write_text("\n".join(["query,docid,rating", *judged]) + "\n", encoding="utf-8")


def _online_retail(folder: Path) -> None:
    """Eight customers who buy two of twelve products every day of two weeks."""
    lines = ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"]
    for day in range(14):
        for customer in range(8):
            for bought in ((customer + day) % 12, (customer + 3) % 12):
                name = f"{_WORDS[bought % 4]} {_NOUNS[bought % 6]}".upper()
                when = f"2010-12-{1 + day:02d} 0{customer}:00:00"
                lines.append(
                    f"{100 * day + customer},{20_000 + bought},{name},2,{when},2.5,{17_000 + customer}.0,France"
                )
    (folder / "transactions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _clothing_reviews(folder: Path) -> None:
    """120 reviews of twelve garments, two thirds of which recommend theirs."""
    head = ",Clothing ID,Age,Title,Review Text,Rating,Recommended IND,Positive Feedback Count"
    lines = [f"{head},Division Name,Department Name,Class Name"]
    for number in range(120):
        text, rating, recommended = _REVIEWS[number % 3]
        noun = ("Dresses", "Pants", "Knits")[number % 12 // 4]
        lines.append(f'{number},{number % 12},33,,"{text} {number}",{rating},{recommended},0,General,{noun},{noun}')
    (folder / "reviews.csv.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def _spoken_digits(folder: Path) -> None:
    """Ten digits, each a tone of its own, by two speakers; recordings 0 to 4 are the set's test part."""
    for digit in range(10):
        for speaker in ("ann", "bob"):
            for index in (0, 5, 6):
                sound = fake_media.tone(hz=200.0 + 150.0 * digit, seconds=0.3, rate_hz=8_000)
                (folder / f"{digit}_{speaker}_{index}.wav").write_bytes(sound)


def _file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


WRITERS = {
    "grocery": _grocery,
    "chorus": _chorus,
    "online_retail": _online_retail,
    "clothing_reviews": _clothing_reviews,
    "spoken_digits": _spoken_digits,
}
