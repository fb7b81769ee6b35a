"""XML elements as values: text, nested objects and lists, with the repairs that let a parser read a record."""

import functools
import html.entities
import re
import sys
from typing import Any, NamedTuple

from lxml import etree

PARSER_OPTIONS: dict[str, Any] = {
    "recover": True,
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,
    "remove_pis": True,
}
_GOOGLE = "base.google.com/ns"
_REPAIRS = re.compile(
    r"(?P<kept><!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&(?:amp|lt|gt|quot|apos);)"
    r"|&#(?P<number>\d{1,7}|x[0-9a-fA-F]{1,6});"
    r"|&(?P<name>[A-Za-z][A-Za-z0-9]{1,30});"
    r"|(?P<bare>&|<(?![A-Za-z_/!?\u0080-\U0010ffff]))"
    r"|(?P<control>[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff])",
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
# Each begins with one letter or class, which `re` finds quickly: most records need no repair.
_SIGNS = (
    re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)"),
    re.compile(r"<(?![A-Za-z_/!?\u0080-\U0010ffff])"),
    _CONTROL,
)
_ESCAPED = {"&": "&amp;", "<": "&lt;"}
# Elements of HTML that a description may hold without escaping.
_HTML = frozenset(("a", "b", "br", "div", "em", "font", "h1", "h2", "h3", "i", "li", "ol", "p", "span", "strong", "ul"))
_MAX_DEPTH = 30


class Repaired(NamedTuple):
    """Text of a part of a document, and the number of repairs that were needed."""

    text: str
    repairs: int


def repaired(text: str) -> Repaired:
    """Returns XML text with bare `&` and `<` escaped, HTML's entities as characters, control characters removed."""
    if not any(sign.search(text) for sign in _SIGNS):
        return Repaired(text, 0)
    repairs = 0

    def repair(match: re.Match[str]) -> str:
        nonlocal repairs
        if (kept := match["kept"]) is not None:
            return kept
        if match["number"] and _CONTROL.search(_character(match["number"])) is None:
            return match[0]
        repairs += 1
        if match["name"]:
            character = html.entities.html5.get(f"{match['name']};")
            return character if character else f"&amp;{match['name']};"
        return _ESCAPED[match["bare"]] if match["bare"] else ""

    return Repaired(_REPAIRS.sub(repair, text), repairs)


def _character(number: str) -> str:
    """The character of a reference, a zero character where there is none of that number."""
    code = int(number[1:], 16) if number.startswith("x") else int(number)
    return chr(code) if code <= sys.maxunicode else "\0"


def local_name(name: str) -> str:
    """Returns an element's name without namespace or prefix."""
    return name.rpartition("}")[2].rpartition(":")[2]


def record_values(element: etree._Element) -> dict[str, Any]:
    """Returns the children and attributes of a record element.

    Args:
      element: The record.

    Returns:
      {name: text, object, or list of either where the element is repeated}. Attributes are named `@name`, text beside
      attributes or children `#text`. Names of Google's namespace begin with `g:`; all others are without a prefix, and
      an element of a namespace of its own gives way to a plain one of the same name.
    """
    values = _children(element, 0)
    text = (element.text or "").strip()
    return {**_attributes(element), **values, **({"#text": text} if text and not values else {})}


def _children(element: etree._Element, depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    foreign: set[str] = set()
    for child in element:
        name = _name_of(child.tag, child.prefix)
        value = _value(child, depth + 1)
        if name.is_foreign:
            if name.text in values and name.text not in foreign:
                continue
            foreign.add(name.text)
        elif value and name.text in foreign:
            foreign.discard(name.text)
            del values[name.text]
        known = values.get(name.text)
        if not known:
            values[name.text] = value or ""
        elif value:
            if isinstance(known, list):
                known.append(value)
            else:
                values[name.text] = [known, value]
    return values


class _Name(NamedTuple):
    """Name of an element in a record, and whether it is of a namespace that is neither the document's nor Google's."""

    text: str
    is_foreign: bool


@functools.lru_cache(maxsize=512)
def _name_of(tag: str, prefix: str | None) -> _Name:
    namespace, _, name = tag.rpartition("}")
    if _GOOGLE in namespace or (not namespace and name.startswith("g:")):
        return _Name(f"g:{local_name(tag)}", False)
    return _Name(local_name(tag), bool(prefix) or ":" in name)


def _value(element: etree._Element, depth: int) -> Any:
    if not len(element) and not element.attrib:
        return (element.text or "").strip()
    if depth > _MAX_DEPTH or any(local_name(child.tag).lower() in _HTML for child in element):
        inner = "".join(etree.tostring(child, encoding="unicode") for child in element)
        return f"{element.text or ''}{inner}".strip()
    attributes = _attributes(element)
    children = _children(element, depth)
    text = "".join([element.text or "", *(child.tail or "" for child in element)]).strip()
    if not attributes and not children:
        return text
    return {**attributes, **children, **({"#text": text} if text else {})}


def _attributes(element: etree._Element) -> dict[str, Any]:
    return {f"@{local_name(str(name))}": value.strip() for name, value in element.attrib.items() if value.strip()}
