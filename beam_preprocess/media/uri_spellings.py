"""Spellings of a relative URI: what a shop's export may write for the name of a file."""

import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Literal

_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def spellings(path: str) -> Iterator[str]:
    """Yields `path` as it is, then as each other name that it may mean, each once.

    These are, alone and together: percent-decoded, without a query or fragment, with `/` for a backslash, below the
    shop's directory where it begins with `/`, and in the other Unicode forms (a directory may have another than its
    file). None of them is checked: a spelling may lead anywhere.
    """
    found = {path: None}
    yield path
    for spelling in _unicode_forms(path):
        yield from _add(found, spelling)
    names = [path]
    for step in _STEPS:
        for spelling in [step(name) for name in names]:
            if spelling and spelling not in names:
                names.append(spelling)
                yield from _add(found, spelling)
                for form in _unicode_forms(spelling):
                    yield from _add(found, form)


def _add(found: dict[str, None], spelling: str) -> Iterator[str]:
    if spelling not in found:
        found[spelling] = None
        yield spelling


def _decoded(path: str) -> str:
    return urllib.parse.unquote(path)


def _without_query(path: str) -> str:
    return path.partition("#")[0].partition("?")[0]


def _with_slashes(path: str) -> str:
    return path.replace("\\", "/")


def _below_the_shop(path: str) -> str:
    return path.lstrip("/")


_STEPS: tuple[Callable[[str], str], ...] = (_decoded, _without_query, _with_slashes, _below_the_shop)


def _unicode_forms(path: str) -> Iterator[str]:
    if path.isascii():
        return
    folder, slash, name = path.rpartition("/")
    for of_folder in _FORMS:
        for of_name in _FORMS:
            yield unicodedata.normalize(of_folder, folder) + slash + unicodedata.normalize(of_name, name)
