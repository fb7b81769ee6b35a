"""Real words of languages: short dictionary forms and stop words, so that a word that no item has is no misspelling."""

import functools
from collections.abc import Sequence

from trainer.language.languages import stop_words
from trainer.language.lemmas import short_words

LENGTHS = range(3, 6)  # letters of the dictionary words: longer ones are rarely an edit away from another word


def real_words(codes: Sequence[str]) -> dict[str, bool]:
    """Returns {case-folded word: whether it is a stop word} of some languages."""
    forms = {word: False for code in codes for word in _short_forms(code)}
    return {**forms, **{word: True for code in codes for word in sorted(stop_words(code))}}


@functools.cache
def _short_forms(code: str) -> tuple[str, ...]:
    return tuple(sorted(short_words(code, LENGTHS)))
