"""Texts of shops: HTML and entities to plain text (html-text), mojibake repaired (ftfy)."""

import functools
import html
import re
from typing import Any

import html_text
from ftfy import fix_encoding
from ftfy.badness import is_bad
from lxml.etree import LxmlError

from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.feeds.values.parsed import Parsed

_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*|/)?>|<!--|<!\[CDATA\[")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_BLANKS = re.compile(r"[ \t\u00a0\u202f]+")
_MAX_HTML = 1 << 20
_SHORT = 64  # characters of a text that is read once only


def plain_text(raw: Any) -> Parsed:
    """Returns a text without markup, entities and mojibake; blanks are collapsed.

    A `<` that begins no tag stays as it is: `Cable <3 m`.
    """
    if type(raw) is str and len(raw) <= _SHORT:
        return _of_short(raw)
    return _plain(text_of(raw))


@functools.lru_cache(maxsize=1 << 16)
def _of_short(raw: str) -> Parsed:
    """A short text; names of attributes, categories and brands come again and again."""
    return _plain(text_of(raw))


def _plain(text: str) -> Parsed:
    repairs = []
    if not text.isascii() and is_bad(text):
        fixed = fix_encoding(text)
        if fixed != text:
            text = fixed
            repairs.append("mojibake")
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
        if "&" in text and _ENTITY.search(text):  # escaped twice, on its way through two systems
            text = html.unescape(text)
        repairs.append("entities")
    if "<" in text and _TAG.search(text):
        text = _without_tags(text)
        repairs.append("html")
    if "  " in text or "\t" in text or not text.isascii():
        text = _BLANKS.sub(" ", text)
    return Parsed(text.strip(), repairs[-1] if repairs else "")


def _without_tags(text: str) -> str:
    try:
        found = html_text.extract_text(text[:_MAX_HTML], guess_layout=False)
    except (ValueError, LxmlError, AssertionError):
        found = _TAG.sub(" ", text)
    return html.unescape(str(found)) if _ENTITY.search(found) else str(found)
