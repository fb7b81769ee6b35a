"""WooCommerce: products of its CSV export (https://woocommerce.com/document/product-csv-importer-exporter)."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from beam_preprocess.feeds.contract.columns import Row, column_key
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.stores.cells import unguarded, unique, urls_of
from beam_preprocess.feeds.stores.variants import Parent, with_parent
from beam_preprocess.feeds.stores.woocommerce_columns import (
    TYPES,
    AttributeColumns,
    attribute_columns,
    fields_by_column,
)
from beam_preprocess.feeds.values.lists import path_text, text_of, whole_paths
from beam_preprocess.feeds.values.nested import filled
from beam_preprocess.outcomes import Reason, RecordError, SourceRow

_HEAD_ROWS = 50
_PLAIN_FIELDS = ("title", "price", "sale_price", "sale_start", "sale_end", "in_stock", "gtin")
_RELATIONS = {"upsells": "up_sell", "cross_sells": "cross_sell", "grouped": "has_part"}
_COMMA = re.compile(r"(?<!\\),")  # a comma inside of a name is escaped
_CODE_COLUMN = re.compile(r"[^:]{2,8}:_?(?:.*_)?(?P<code>gtin|ean|isbn|upc|barcode|global_unique_id|mpn)(?:13|_.*)?")
_NO_OPTIONS = ("tags", "categories", "status")
_STATUS = {"0": "private", "-1": "draft", "-2": "trash"}


class _Layout:
    """Columns of one export."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        keyed = [{column_key(name): value for name, value in row.items()} for row in rows]
        keys = tuple(dict.fromkeys(key for row in keyed for key in row))
        self.fields = fields_by_column(keys, keyed)
        self._keys = {field: (key,) for field, key in self.fields.items()}
        self.attributes: list[AttributeColumns] = attribute_columns(keys, keyed)
        codes = {key: match["code"] for key in keys if (match := _CODE_COLUMN.fullmatch(key))}
        self.codes = {key: "mpn" if code == "mpn" else "gtin" for key, code in codes.items()}

    def get(self, record: Row, field: str, column: str = "") -> Any:
        """Returns a cell, recorded as the source of a field.

        Args:
          record: The row.
          field: The field that it becomes.
          column: The export's own column, the field itself when "".
        """
        return record.get(field, *self._keys.get(column or field, ()))


@dataclasses.dataclass
class _Parents:
    """Variable products by id and SKU, and the variations that came before theirs."""

    by_key: dict[str, Parent] = dataclasses.field(default_factory=dict)
    by_id: dict[str, Parent] = dataclasses.field(default_factory=dict)
    waiting: dict[str, list[ItemDraft]] = dataclasses.field(default_factory=dict)

    def add(self, parent: Parent) -> Iterator[ItemDraft | Skipped]:
        """Adds a variable product, and yields its variations so far."""
        item_id = parent.values["item_id"]
        if item_id in self.by_id:
            yield from (Skipped(ref, Reason.DUPLICATE, "a variable product that came before") for ref in parent.refs)
            return
        self.by_id[item_id] = parent
        for key in (f"id:{item_id}", text_of(parent.values.get("sku") or item_id).casefold()):
            self.by_key[key] = parent
            for draft in self.waiting.pop(key, ()):
                yield with_parent(draft, parent)

    def rest(self) -> Iterator[ItemDraft]:
        """Yields variations without a parent in the export, and variable products without variations."""
        for key, drafts in self.waiting.items():
            for draft in drafts:
                yield draft._replace(values=draft.values | {"group_id": _plain(key)})
        for parent in self.by_id.values():
            if not parent.is_taken:
                yield ItemDraft(parent.refs, parent.values)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    stream = iter(rows)
    first = list(itertools.islice(stream, _HEAD_ROWS))
    layout = _Layout([row.values for row in first if not isinstance(row.values, RecordError)])
    parents = _Parents()
    for row in itertools.chain(first, stream):
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        types = {part.strip() for part in text_of(layout.get(record, "type")).casefold().split(",")}
        values = _values(record, layout)
        if "item_id" not in values:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no ID, SKU and name; wanted one of them")
        elif any("variation" in name for name in types):
            yield from _variation(
                ItemDraft((row.ref,), values), text_of(layout.get(record, "group_id", "parent")), parents
            )
        elif any(name.startswith("variable") for name in types):
            yield from parents.add(Parent((row.ref,), values))
        else:
            yield ItemDraft((row.ref,), values)
    yield from parents.rest()


def _variation(draft: ItemDraft, parent_key: str, parents: _Parents) -> Iterator[ItemDraft]:
    """The variation with what its parent has, now or when the parent is read; its own attributes are its options."""
    options = [name for name in draft.values.get("attributes", {}) if name not in _NO_OPTIONS]
    draft = draft._replace(values=draft.values | {"options": options}) if options else draft
    key = parent_key.casefold().replace(" ", "") if parent_key.casefold().startswith("id:") else parent_key.casefold()
    parent = parents.by_key.get(key)
    if parent is not None:
        yield with_parent(draft, parent)
    elif key:
        parents.waiting.setdefault(key, []).append(draft)
    else:
        yield draft


def _values(record: Row, layout: _Layout) -> dict[str, Any]:
    """Fields of a row, without those of its parent."""
    values = {field: layout.get(record, field) for field in _PLAIN_FIELDS}
    sku = unguarded(layout.get(record, "sku"))
    names = (unguarded(layout.get(record, "item_id", "id")), sku, text_of(values["title"]))
    item_id = next((name for name in names if name), "")
    # Other rows name a product by its SKU where it has one, so that relations to all its variations find the group.
    values |= {"item_id": item_id, "group_id": sku or item_id, "sku": sku}
    values["description"] = _description(record, layout)
    stock = text_of(layout.get(record, "stock_quantity"))
    if stock.casefold() != "parent":
        values["stock_quantity"] = stock
    for key, field in layout.codes.items():
        values[field] = values.get(field) or record.get(field, key)
    paths = _paths(layout.get(record, "category", "categories"))
    values["category"] = paths[0] if paths else ""
    values["attributes"] = _attributes(record, layout) | ({"categories": ", ".join(paths[1:])} if paths[1:] else {})
    brands = _split(layout.get(record, "brand"))
    values["brand"] = brands[0].rpartition(">")[2].strip() if brands else ""
    values["images"] = unique(urls_of(layout.get(record, "images")))
    values["relations"] = [
        {"type": name, "item_id": _plain(other)}
        for column, name in _RELATIONS.items()
        for other in _split(layout.get(record, "relations", column))
    ]
    status = _status(record, layout)
    if status:
        values["in_stock"] = False
        values["attributes"]["status"] = status
    return filled(values)


def _description(record: Row, layout: _Layout) -> str:
    """Short and long description together; a search finds words of both."""
    short = text_of(layout.get(record, "description", "short_description"))
    full = text_of(layout.get(record, "description"))
    return full if short in full else f"{short}\n{full}".strip()


def _status(record: Row, layout: _Layout) -> str:
    """Why a product is not offered in the shop, "" where it is."""
    published = unguarded(layout.get(record, "in_stock", "published"))
    if published in _STATUS:
        return _STATUS[published]
    visibility = text_of(layout.get(record, "in_stock", "visibility")).casefold()
    return visibility if visibility == "hidden" else ""


def _attributes(record: Row, layout: _Layout) -> dict[str, str]:
    """Attributes by name; a variation with an empty value goes with any, so that its parent's values stay."""
    attributes = {}
    for columns in layout.attributes:
        name = text_of(record.get("attributes", columns.name))
        value = ", ".join(_split(record.get("attributes", columns.values)))
        if name and value:
            attributes[name] = value
    tags = ", ".join(_split(layout.get(record, "tags")))
    return attributes | ({"tags": tags} if tags else {})


def _paths(cell: Any) -> list[str]:
    """Category paths, the first one first; a longer path takes the place of its own beginning."""
    return whole_paths([path_text(level.strip() for level in path.split(">")) for path in _split(cell)])


def _split(cell: Any) -> list[str]:
    if cell is None:
        return []
    parts = cell if isinstance(cell, list | tuple) else _COMMA.split(text_of(cell))
    return [part for part in (text_of(part).replace("\\,", ",") for part in parts) if part]


def _plain(key: str) -> str:
    """A reference to a product without the mark of an id: `id:12` and `12` are the same."""
    return key[3:].strip() if key.casefold().startswith("id:") else key


def _recognize(head: Head) -> float:
    layout = _Layout(head.rows)
    types = {part.strip() for row in _cells(head, layout, "type") for part in row.casefold().split(",")} - {""}
    is_typed = bool(types & TYPES)
    marks = len(
        {"visibility", "price", "published", "short_description", "images", "categories"} & layout.fields.keys()
    )
    if not {"title", "price"} <= layout.fields.keys() or marks < 3:
        return 0.0
    return (
        0.95
        if is_typed and "visibility" in layout.fields
        else 0.8
        if is_typed or "visibility" in layout.fields
        else 0.0
    )


def _cells(head: Head, layout: _Layout, field: str) -> list[str]:
    key = layout.fields.get(field)
    return [text_of(value) for row in head.rows for name, value in row.items() if key and column_key(name) == key]


WOOCOMMERCE = FeedKind("woocommerce", "WooCommerce products (CSV)", _recognize, _items)
