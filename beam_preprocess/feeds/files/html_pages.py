"""HTML pages: the schema.org products of a page, from JSON-LD and microdata (extruct)."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import extruct
import lxml.etree
from extruct.jsonld import JsonLdExtractor
from extruct.utils import parse_html

from beam_preprocess.feeds.files.encodings import Encoding, open_text
from beam_preprocess.feeds.files.linked_data import product_nodes
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

_MAX_PAGE = 32 << 20  # characters
_PROLOGUE = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!doctype\s+html[^>]*>)", re.IGNORECASE | re.DOTALL)
_DOCTYPE = re.compile(r"<!doctype\s+html", re.IGNORECASE)
_TAG = re.compile(r"\s*<([A-Za-z][\w:.-]*)")
_HTML_TAGS = frozenset(("html", "head", "body", "script", "style", "div", "span", "p", "ul", "h1", "h2", "noscript"))
_STRUCTURED = ("itemscope", "application/ld+json")
_IDENTITIES = ("@id", "sku", "gtin", "gtin13", "gtin12", "gtin14", "gtin8", "productID", "mpn")
# What a parser of JSON with comments raises on arbitrary text.
_BROKEN = (ValueError, TypeError, AttributeError, LookupError, RecursionError, lxml.etree.LxmlError)


def is_html(begin: str) -> bool:
    """Returns whether a document that begins with markup is an HTML page."""
    if _DOCTYPE.search(begin[:2000]):
        return True
    place = 0
    while match := _PROLOGUE.match(begin, place):
        place = match.end()
    tag = _TAG.match(begin, place)
    if tag is None or begin.startswith("<?xml") and tag[1].lower() != "html":
        return False
    return tag[1].lower() in _HTML_TAGS or any(sign in begin for sign in _STRUCTURED)


def rows(file: InputFile, encoding: Encoding) -> Iterator[SourceRow]:
    """Yields one row for each product of a page, a schema.org node; an error where it has none.

    Args:
      file: The page.
      encoding: Its encoding.
    """
    with open_text(file, encoding) as stream:
        text = stream.read(_MAX_PAGE).replace("\0", "")
    page = _structured(text)
    products = _merged(page)
    if not products:
        detail = "no schema.org Product in JSON-LD or microdata"
        error = RecordError(Reason.NOT_A_PRODUCT, detail)
        if page.broken:
            error = RecordError(Reason.MALFORMED, f"{page.broken} blocks of structured data cannot be read; {detail}")
        yield SourceRow(SourceRef(file.name, 1), error)
    for number, node in enumerate(products, start=1):
        yield SourceRow(SourceRef(file.name, number), node)


class _Structured(NamedTuple):
    """Structured data of a page: JSON-LD blocks, top-level microdata items, and the number of unreadable blocks."""

    linked: list[Any]
    microdata: list[Any]
    broken: int


def _structured(text: str) -> _Structured:
    try:
        tree = parse_html(text.encode("utf-8", "replace"), encoding="utf-8")
    except _BROKEN:
        return _Structured([], [], 1)
    linked: list[Any] = []
    broken = 0
    for script in tree.iter("script"):
        if "ld+json" not in (script.get("type") or "").lower():
            continue
        script.set("type", "application/ld+json")
        try:
            # One block at a time: a broken one must not cost the others.
            linked += JsonLdExtractor().extract_items(script)
        except _BROKEN:
            broken += 1
    try:
        found = extruct.extract(tree, syntaxes=["microdata"], uniform=True)
    except _BROKEN:
        return _Structured(linked, [], broken + 1)
    return _Structured(linked, found["microdata"], broken)


def _merged(page: _Structured) -> list[dict[str, Any]]:
    """Products of a page; one that is described several times is one, completed by its other descriptions."""
    linked, microdata = product_nodes(page.linked), product_nodes(page.microdata)
    alone = len(linked) == 1 and len(microdata) == 1
    merged: list[dict[str, Any]] = []
    for node in linked:
        _add(merged, node)
    for node in microdata:
        if alone and not _differ(linked[0], node):
            merged[0] = {**node, **merged[0]}
        else:
            _add(merged, node)
    return merged


def _add(merged: list[dict[str, Any]], node: dict[str, Any]) -> None:
    for place, known in enumerate(merged):
        if _same(known, node):
            merged[place] = {**node, **known}
            return
    merged.append(node)


def _shared(first: dict[str, Any], second: dict[str, Any]) -> list[bool]:
    """For each identity that both nodes have: whether it is equal."""
    return [_text(first[name]) == _text(second[name]) for name in _IDENTITIES if first.get(name) and second.get(name)]


def _differ(first: dict[str, Any], second: dict[str, Any]) -> bool:
    shared = _shared(first, second)
    return bool(shared) and not any(shared)


def _same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    shared = _shared(first, second)
    if shared:
        return any(shared)
    name = _text(first.get("name"))
    urls = {_text(node.get("url")) for node in (first, second)}
    return bool(name) and name == _text(second.get("name")) and ("" in urls or len(urls) == 1)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str) if value else ""
    return " ".join(text.split()).casefold()
