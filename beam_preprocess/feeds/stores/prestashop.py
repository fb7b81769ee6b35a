"""PrestaShop: products and combinations of its import files (https://devdocs.prestashop-project.org)."""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.stores.cells import decimal_of, is_no, list_of, unguarded, unique, urls_of
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.feeds.values.nested import filled
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

# {column: its names without the comment in brackets}: English, French, Spanish, Italian.
_NAMES = {
    "id": ("product_id", "id", "id_product", "id_produit", "id_producto"),
    "active": ("active", "actif", "activo", "attivo", "enabled", "status"),
    "title": ("name", "product_name", "nom", "nombre", "nome"),
    "categories": ("categories", "category", "catégories", "categorías", "categorie", "catégorie"),
    "price": ("price_tax_included", "prix_ttc", "price_tax_excluded", "prix_ht", "prix_ht_ou_ttc", "price", "prix"),
    "amount": ("discount_amount", "montant_de_la_remise", "importe_del_descuento"),
    "percent": ("discount_percent", "pourcentage_de_la_remise", "porcentaje_de_descuento"),
    "sale_start": ("discount_from", "remise_à_partir_du", "descuento_desde"),
    "sale_end": ("discount_to", "remise_jusqu'au", "descuento_hasta"),
    "sku": ("reference", "product_reference", "référence", "referencia", "riferimento"),
    "brand": ("manufacturer", "brand", "marque", "fabricant", "marca", "fabricante", "produttore"),
    "gtin": ("ean13", "ean_13", "ean", "gtin", "upc", "isbn", "code_barres_ean13"),
    "mpn": ("mpn",),
    "quantity": ("quantity", "quantité", "cantidad", "quantità"),
    "short": ("summary", "short_description", "résumé", "récapitulatif", "resumen", "riepilogo"),
    "description": ("description", "descripción", "descrizione"),
    "tags": ("tags", "mots_clés", "etiquetas", "tag"),
    "images": ("image_urls", "image_url", "url_des_images", "urls_des_images", "url_de_las_imágenes"),
    "features": ("feature", "features", "caractéristique", "caractéristiques", "característica", "caratteristica"),
    "condition": ("condition", "état", "condición", "condizione"),
    "visibility": ("visibility", "visibilité", "visibilidad", "visibilità"),
    "orderable": ("available_for_order", "disponible_à_la_vente", "disponible_para_pedidos"),
    "out_of_stock": ("out_of_stock_action", "action_en_cas_de_rupture"),
    "accessories": ("accessories", "acessories", "accessoires", "accesorios", "accessori"),
    "option": ("attribute", "attributs", "attribut", "atributo", "attributo"),
    "choice": ("value", "valeur", "valor", "valore"),
}
_HEADER = frozenset(
    ("active", "categories", "price", "amount", "percent", "sku", "gtin", "images", "features", "orderable",
     "out_of_stock", "accessories", "condition", "short", "sale_start")
)  # fmt: skip
_ONLY_PRESTASHOP = frozenset(("amount", "percent", "features", "orderable", "out_of_stock", "accessories"))
_COMMENT = re.compile(r"_*[(\[].*|[*#]")
# A comma inside of a value is followed by no `Name:Value`, but perhaps by a rest with the position.
_FEATURE = re.compile(r",(?=[^,:]+:(?:[^,:]*[^\d,:\s]|[^,:]*:))")
_ROOTS = frozenset(("home", "root", "accueil", "racine", "inicio", "raíz"))
_PLACES = 6  # decimals of a reduced price


@functools.lru_cache(maxsize=64)
def _columns(keys: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """{column: its keys in a file, the best first}."""
    by_name: dict[str, str] = {}
    for key in keys:
        by_name.setdefault(_COMMENT.sub("", key).strip("_"), key)
    found = {column: tuple(by_name[name] for name in names if name in by_name) for column, names in _NAMES.items()}
    return {column: names for column, names in found.items() if names}


class _Cells:
    """Cells of a row by the columns of `_NAMES`."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.columns = _columns(tuple(row.values))

    def get(self, field: str, column: str = "") -> Any:
        """Returns a cell, recorded as the source of a field; its column is of the field's name when "" is given."""
        return self._row.get(field, *self.columns.get(column or field, ()))


class _Line(NamedTuple):
    """A row and its lookup; None for a row that could not be parsed."""

    row: SourceRow
    record: _Cells | None

    @property
    def product(self) -> str:
        """The product of a combination; every other row is by itself."""
        is_part = self.record is not None and _is_combination(self.record)
        return _item_id(self.record) if self.record is not None and is_part else f"row {self.row.ref}"


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    lines = (_Line(row, _cells(row, reading)) for row in rows)
    for _, group in itertools.groupby(lines, key=lambda line: line.product):
        first, *others = group
        if isinstance(first.row.values, RecordError):
            yield Skipped(first.row.ref, first.row.values.reason, first.row.values.detail)
            continue
        refs = tuple(line.row.ref for line in (first, *others))
        records = [line.record for line in (first, *others) if line.record is not None]
        item_id = _item_id(records[0])
        if not item_id:
            yield from (Skipped(ref, Reason.MISSING_FIELD, "no ID, reference and name") for ref in refs)
        elif _is_combination(records[0]):
            yield _with_options(item_id, refs, records)
        else:
            yield ItemDraft(refs, _values(item_id, records[0]))


def _cells(row: SourceRow, reading: Reading) -> _Cells | None:
    return None if isinstance(row.values, RecordError) else _Cells(reading.columns.start(row.values))


def _item_id(record: _Cells) -> str:
    names = (record.get("item_id", "id"), record.get("sku"), record.get("title"))
    return next((name for name in map(unguarded, names) if name), "")


def _is_combination(record: _Cells) -> bool:
    return {"option", "choice"} <= record.columns.keys()


def _values(item_id: str, record: _Cells) -> dict[str, Any]:
    values = {field: record.get(field) for field in ("title", "price", "brand", "mpn", "sale_start", "sale_end")}
    short, full = text_of(record.get("description", "short")), text_of(record.get("description"))
    values |= {
        "item_id": item_id,
        "group_id": item_id,
        "sku": unguarded(record.get("sku")),
        "gtin": unguarded(record.get("gtin")),
        "description": full if short in full else f"{short}\n{full}".strip(),
        "sale_price": _sale_price(record),
        "images": unique(urls_of(record.get("images"))),
        "relations": [
            {"type": "accessory", "item_id": other} for other in list_of(record.get("relations", "accessories"))
        ],
    }
    categories = list_of(record.get("category", "categories"))
    shown = [name for name in categories if name.casefold() not in _ROOTS] or categories
    attributes = _features(record.get("attributes", "features")) | {
        "tags": ", ".join(list_of(record.get("tags"))),
        "categories": ", ".join(shown[1:]),
        "condition": text_of(record.get("attributes", "condition")),
        "status": _status(record),
    }
    values |= _stock(record, is_offered=not attributes["status"])
    return filled(values | {"category": shown[0] if shown else "", "attributes": filled(attributes)})


def _sale_price(record: _Cells) -> float | None:
    """The price less the discount, which is an amount or a percentage; None without one."""
    price = decimal_of(record.get("price"))
    amount, percent = decimal_of(record.get("sale_price", "amount")), _percent(record.get("sale_price", "percent"))
    if price is None or not (amount or percent):
        return None
    reduced = price - (amount or 0.0) if amount else price * (1.0 - (percent or 0.0) / 100.0)
    return round(reduced, _PLACES) if 0.0 <= reduced < price else None


def _percent(cell: Any) -> float | None:
    return decimal_of(text_of(cell).rstrip("% "))


def _features(cell: Any) -> dict[str, str]:
    """`Name:Value:Position,Name:Value:Position` as a map; values of one name add up."""
    found: dict[str, list[str]] = {}
    for part in cell if isinstance(cell, list | tuple) else _FEATURE.split(text_of(cell)):
        name, _, rest = text_of(part).partition(":")
        value = re.sub(r"(:\d*){1,2}$", "", rest).strip()
        if name.strip() and value:
            found.setdefault(name.strip(), []).append(value)
    return {name: ", ".join(unique(values)) for name, values in found.items()}


def _status(record: _Cells) -> str:
    """Why the shop does not offer a product, "" where it does."""
    if is_no(record.get("in_stock", "active")):
        return "inactive"
    shown = record.get("in_stock", "visibility")
    if isinstance(shown, str) and shown.strip().casefold() == "none":  # a word here, which elsewhere is no value
        return "hidden"
    return "not for order" if is_no(record.get("in_stock", "orderable")) else ""


def _stock(record: _Cells, *, is_offered: bool) -> dict[str, Any]:
    if is_offered and unguarded(record.get("in_stock", "out_of_stock")) != "1":
        return {"stock_quantity": record.get("stock_quantity", "quantity")}
    return {"in_stock": is_offered}  # with an action 1 it is sold beyond the stock


def _with_options(item_id: str, refs: tuple[SourceRef, ...], records: Sequence[_Cells]) -> ItemDraft:
    """A product with the options of its combinations, which name neither a title nor a price of their own."""
    options: dict[str, list[str]] = {}
    for record in records:
        names = _FEATURE.split(text_of(record.get("attributes", "option")))
        choices = list_of(record.get("attributes", "choice"))
        for name, choice in zip(names, choices, strict=False):
            options.setdefault(name.partition(":")[0].strip(), []).append(choice.partition(":")[0].strip())
    quantities = [decimal_of(record.get("stock_quantity", "quantity")) for record in records]
    known = [quantity for quantity in quantities if quantity is not None]
    values = {
        "item_id": item_id,
        "group_id": item_id,
        "attributes": {name: ", ".join(unique(choices)) for name, choices in options.items() if name},
        "options": [name for name in options if name],
        "images": unique(image for record in records for image in urls_of(record.get("images"))),
        "stock_quantity": sum(known) if known else None,
    }
    return ItemDraft(refs, filled(values))


def _recognize(head: Head) -> float:
    found = _columns(head.columns).keys()
    has_id = bool({"id", "sku"} & found)
    if {"option", "choice"} <= found and has_id and any("impact" in key for key in head.columns):
        return 0.9
    if not has_id or "title" not in found or not found & _ONLY_PRESTASHOP:
        return 0.0
    marks = len(found & _HEADER)
    return 0.95 if marks >= 6 and len(found & _ONLY_PRESTASHOP) >= 2 else 0.5 if marks >= 4 else 0.0


PRESTASHOP = FeedKind("prestashop", "PrestaShop products or combinations (CSV)", _recognize, _items)
