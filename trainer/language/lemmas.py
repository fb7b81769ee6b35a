"""Lemmas of words by the dictionaries of simplemma, for inflections that no stemmer undoes: knives, mice, Häuser.

https://github.com/adbar/simplemma
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trainer.language.languages import LANGUAGES

_MIN_LETTERS = 3


@functools.cache
def _dictionary(code: str) -> Mapping[str, str]:
    """{form: lemma} of a language as its dictionary spells them; none where there is no dictionary."""
    from simplemma.strategies.dictionaries.dictionary_factory import DefaultDictionaryFactory

    try:
        found: Mapping[str, str] = DefaultDictionaryFactory().get_dictionary(LANGUAGES[code].dictionary or code)
    except ValueError:
        return {}
    return found


def dictionary_words(code: str) -> list[str]:
    """Returns the case-folded forms and lemmas of a language's dictionary, sorted."""
    texts = {word.casefold() for pair in _dictionary(code).items() for word in pair}
    return sorted(text for text in texts if text.isalpha())


def short_words(code: str, lengths: range) -> set[str]:
    """Returns the case-folded forms and lemmas of some lengths of a language's dictionary."""
    pairs = _dictionary(code).items()
    return {word.casefold() for pair in pairs for word in pair if len(word) in lengths and word.isalpha()}


def lemmas(words: Sequence[str], code: str) -> list[str]:
    """Returns the case-folded lemmas of case-folded words; a word that the dictionary does not have is its own."""
    known = _dictionary(code)
    found = []
    for word in words:
        lemma = known.get(word) or known.get(word.capitalize())
        found.append(lemma.casefold() if lemma and len(word) >= _MIN_LETTERS else word)
    return found


def forms_of(words: Iterable[str], code: str) -> Iterator[tuple[str, str]]:
    """Yields (form, lemma), case-folded, of the forms in the dictionary whose lemma is one of case-folded words."""
    spelt = {spelling: word for word in words for spelling in (word, word.capitalize())}
    for form, lemma in _dictionary(code).items():
        if lemma in spelt and len(form) >= _MIN_LETTERS:
            yield form.casefold(), spelt[lemma]
