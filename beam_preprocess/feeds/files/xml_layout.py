"""Layout of an XML feed: its record element and namespaces, by a bounded first look."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lxml import etree

from beam_preprocess.feeds.files.xml_elements import PARSER_OPTIONS, local_name, repaired
from beam_preprocess.feeds.values.lists import path_text

_LOOK_CHARACTERS = 16 << 20
_NAMESPACE = re.compile(r"""\sxmlns(?::[\w.-]+)?\s*=\s*(?:"[^"<>]*"|'[^'<>]*')""")
_NAMESPACE_CHARACTERS = 1 << 16
# Record elements of feeds for ads, price comparison and marketplaces; any other one is found by how often it repeats.
_KNOWN = frozenset(
    ("item", "entry", "product", "offer", "shopitem", "produkt", "artikel", "article")
    + ("produit", "producto", "prodotto", "товар", "row", "record")
)
_ENOUGH = 3  # whole records of a known name end the look


class Layout(NamedTuple):
    """Layout of an XML feed.

    Attributes:
      record: Name of the record element as it is written in the document, "" where no element has children.
      root: Name of the root element.
      nests: Whether a record may hold an element of its own name, deeper than as a child.
      namespaces: Namespace declarations of the document, ready for a start tag.
      categories: {id: path (`path_text`)} of a list of categories before the records, as in Yandex's format.
    """

    record: str
    root: str
    nests: bool
    namespaces: str
    categories: dict[str, str]


@dataclasses.dataclass
class _Counts:
    """Counts of the elements at one path."""

    count: int = 0
    with_children: int = 0
    descendants: int = 0


class _Category(NamedTuple):
    name: str
    parent: str


_Path = tuple[str, ...]


def layout_of(chunks: Iterable[str]) -> Layout:
    """Returns the layout of a document by its first chunks of text."""
    paths: dict[_Path, _Counts] = {}
    categories: dict[str, _Category] = {}
    begin, read = "", 0
    parser = etree.XMLPullParser(events=("start", "end"), **PARSER_OPTIONS)
    open_path: list[str] = []
    for chunk in _at_tag_ends(chunks):
        begin += chunk[: max(0, _NAMESPACE_CHARACTERS - len(begin))]
        read += len(chunk)
        try:
            parser.feed(repaired(chunk).text)
        except etree.XMLSyntaxError:
            break
        _count(parser.read_events(), open_path, paths, categories)
        if read > _LOOK_CHARACTERS or _known_path(paths, _ENOUGH):
            break
    record = _known_path(paths, 1)
    repeated = _repeated_path(paths)
    # A known name inside a larger repeated element is a part of it: the items of an order, the offers of a product.
    if repeated and (not record or record[: len(repeated)] == repeated):
        record = repeated
    record = record or _only_path(paths)
    root = next(iter(paths), ("",))[0]
    nests = any(_nests(path, record[-1]) for path in paths) if record else False
    declared = dict.fromkeys(name.strip() for name in _NAMESPACE.findall(begin))
    unique = {name.partition("=")[0].strip(): name for name in reversed(declared)}
    return Layout(record[-1] if record else "", root, nests, " ".join(unique.values()), _category_paths(categories))


def _nests(path: _Path, record: str) -> bool:
    """Whether a record is inside of another one. As its direct child it only follows one that was not closed."""
    places = [place for place, name in enumerate(path) if name == record]
    return any(later - earlier > 1 for earlier, later in itertools.pairwise(places))


def _category_paths(categories: dict[str, _Category]) -> dict[str, str]:
    paths = {}
    for key in categories:
        names: list[str] = []
        place, seen = key, set[str]()
        while place in categories and place not in seen:
            seen.add(place)
            names.append(categories[place].name)
            place = categories[place].parent
        paths[key] = path_text(reversed(names))
    return paths


def _at_tag_ends(chunks: Iterable[str]) -> Iterator[str]:
    """Text cut behind `>`, so that no tag or entity is split."""
    rest = ""
    for chunk in chunks:
        whole, end, rest = (rest + chunk).rpartition(">")
        if end:
            yield whole + end
    if rest.strip():
        yield rest


def _count(
    events: Iterable[tuple[str, etree._Element]],
    open_path: list[str],
    paths: dict[_Path, _Counts],
    categories: dict[str, _Category],
) -> None:
    for event, element in events:
        if event == "start":
            name = str(element.tag).rpartition("}")[2]
            open_path.append(f"{element.prefix}:{name}" if element.prefix else name)
            continue
        path = tuple(open_path)
        open_path.pop()
        counts = paths.setdefault(path, _Counts())
        counts.count += 1
        counts.with_children += 1 if len(element) else 0
        for depth in range(1, len(path)):
            paths.setdefault(path[:depth], _Counts()).descendants += 1
        key, name = element.get("id"), (element.text or "").strip()
        if key and name and local_name(path[-1]).casefold() == "category":
            categories[key] = _Category(name, element.get("parentId") or "")
        element.clear()


def _known_path(paths: dict[_Path, _Counts], minimum: int) -> _Path:
    """The path of a known record name nearest to the root."""
    found = [path for path, counts in paths.items() if counts.with_children >= minimum]
    known = [path for path in found if local_name(path[-1]).casefold() in _KNOWN and len(path) > 1]
    return min(known, key=len, default=())


def _repeated_path(paths: dict[_Path, _Counts]) -> _Path:
    """The path whose repeated elements hold most of the document."""
    found = [path for path, counts in paths.items() if counts.with_children > 1]
    return max(found, key=lambda path: (paths[path].descendants, -len(path)), default=())


def _only_path(paths: dict[_Path, _Counts]) -> _Path:
    """The path of an element with several children, where nothing is repeated; the nearest to the root below it."""
    found = [path for path, counts in paths.items() if counts.with_children and counts.descendants > 1]
    return min((path for path in found if len(path) > 1), key=len, default=found[0] if found else ())
