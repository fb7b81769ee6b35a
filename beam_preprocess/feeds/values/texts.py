"""Texts of shops: HTML and entities to plain text (html-text), mojibake repaired (ftfy)."""

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


def plain_text(raw: Any) -> Parsed:
    """Returns a text without markup, entities and mojibake; blanks are collapsed.

    A `<` that begins no tag stays as it is: `Cable <3 m`.
    """
    text = text_of(raw)
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
    return Parsed(_BLANKS.sub(" ", text).strip(), repairs[-1] if repairs else "")


def _without_tags(text: str) -> str:
    try:
        found = html_text.extract_text(text[:_MAX_HTML], guess_layout=False)
    except (ValueError, LxmlError, AssertionError):
        found = _TAG.sub(" ", text)
    return html.unescape(str(found)) if _ENTITY.search(found) else str(found)
