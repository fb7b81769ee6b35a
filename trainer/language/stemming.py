"""Stems of words by the Snowball library, and the folding of accents."""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

from trainer.language.languages import LANGUAGES

# Letters that Unicode does not decompose, as other languages write them.
PLAIN_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
_PLAIN = str.maketrans(PLAIN_LETTERS)


def fold_accents(word: str) -> str:
    """Returns a case-folded word without the accents of Latin, Greek and Cyrillic letters."""
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFKD", word)
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")).translate(
        _PLAIN
    )


@functools.cache
def _stemmer(name: str) -> Any:
    import Stemmer

    return Stemmer.Stemmer(name)


def stems(words: Sequence[str], code: str) -> list[str]:
    """Returns the stems of case-folded words in one language, accents and all; words with digits stay as they are."""
    name = LANGUAGES[code].stemmer
    if not name:
        return list(words)
    found = _stemmer(name).stemWords(list(words))
    return [word if any(map(str.isnumeric, word)) else stem for word, stem in zip(words, found, strict=True)]
