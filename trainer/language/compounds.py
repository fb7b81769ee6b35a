"""Compounds of languages that write their parts as one word, split into words that a catalogue has.

A compound is divided into the two longest known parts, the head (its end) first, with or without a linking element
between them, and each part again: "Damenwinterschuhe" into Damen, Winter, Schuhe where the catalogue has these words.
https://aclanthology.org/E03-1076 counts frequencies instead; a catalogue's own words need no corpus.
"""

import functools
from collections.abc import Collection, Iterable, Sequence

from trainer.language.languages import LANGUAGES

MIN_PART = 4  # letters: shorter words are in too many others
_MAX_WORD = 64  # letters


def split_all(words: Iterable[str], codes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns {compound: its parts} of the words that are made of others; none without a language that compounds."""
    links = tuple(dict.fromkeys(link for code in codes for link in LANGUAGES[code].links))
    if not links:
        return {}
    known = {word for word in words if len(word) >= MIN_PART and word.isalpha()}
    found = {word: split(word, known, links) for word in known if 2 * MIN_PART <= len(word) <= _MAX_WORD}
    return {word: parts for word, parts in found.items() if parts}


def split(word: str, known: Collection[str], links: Sequence[str]) -> tuple[str, ...]:
    """Returns the parts of a compound that are in `known`, from left to right; none where it cannot be divided."""

    @functools.cache
    def parts_of(text: str) -> tuple[str, ...]:
        """The text itself where it is known and cannot be divided further."""
        for start in range(MIN_PART, len(text) - MIN_PART + 1):
            if text[start:] in known and (before := parts_before(text[:start])):
                return (*before, *parts_of(text[start:]))
        return (text,) if text in known else ()

    def parts_before(text: str) -> tuple[str, ...]:
        stripped = (text.removesuffix(link) for link in links if text.endswith(link))
        return next((parts for part in stripped if len(part) >= MIN_PART and (parts := parts_of(part))), ())

    parts = parts_of(word)
    return parts if len(parts) > 1 else ()
