"""Exports of a small shop as its platform writes them: `products_export.csv` and `orders_export.csv`."""

import csv
import datetime
from pathlib import Path

COLOURS = ("red", "blue", "green", "black", "white", "grey")
THINGS = ("mug", "shirt", "lamp", "chair")
NUM_ORDERS = 240


def write(folder: Path) -> None:
    """Writes both files: 24 products of one variant each, and orders of one or two of them by 20 customers."""
    products = [f"{colour} {thing}" for thing in THINGS for colour in COLOURS]
    header = ["Handle", "Title", "Body (HTML)", "Vendor", "Published", "Option1 Name", "Option1 Value", "Variant SKU"]
    rows = [
        [
            name.replace(" ", "-"),
            name.title(),
            f"<p>A {name}</p>",
            "Acme",
            "TRUE",
            "Title",
            "Default Title",
            f"S{number}",
        ]
        for number, name in enumerate(products)
    ]
    priced = [[*row, f"{9 + number}.90"] for number, row in enumerate(rows)]
    _write(folder / "products_export.csv", [*header, "Variant Price"], priced)
    start = datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.UTC)
    orders = []
    for number in range(NUM_ORDERS):
        moment = start + datetime.timedelta(hours=7 * number)
        shared = [
            f"#{1000 + number}",
            f"customer{number % 20}@example.com",
            "paid",
            f"{moment:%Y-%m-%d %H:%M:%S +0000}",
        ]
        first = (number * 5) % len(products)
        orders.append([*shared, "1", products[first].title(), f"S{first}", f"{9 + first}.90"])
        if number % 3 == 0:
            second = (first + 1) % len(products)
            orders.append([shared[0], "", "", "", "1", products[second].title(), f"S{second}", f"{9 + second}.90"])
    names = ["Name", "Email", "Financial Status", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem sku"]
    _write(folder / "orders_export.csv", [*names, "Lineitem price"], orders)


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
