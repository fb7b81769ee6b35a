"""Terms of words: their stems and those of their lemmas in every language of a catalogue, without accents."""

from collections.abc import Iterable, Sequence

from trainer.language.lemmas import forms_of, lemmas
from trainer.language.stemming import fold_accents, stems


def terms(words: Iterable[str], codes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns {word: its distinct stems, without accents}: in every language those of the word and of its lemma.

    The word itself stands for itself where there is no language.
    """
    distinct = sorted(set(words))
    columns = [stems(distinct, code) for code in codes] or [distinct]
    columns += [stems(lemmas(distinct, code), code) for code in codes]
    return {
        word: tuple(dict.fromkeys(fold_accents(stem) for stem in found))
        for word, found in zip(distinct, zip(*columns, strict=True), strict=True)
    }


def irregular_forms(words: Sequence[str], codes: Sequence[str]) -> dict[str, int]:
    """Returns {form that is not among `words`: the place of its lemma there}, of forms whose stem is another one."""
    places = {word: place for place, word in enumerate(words)}
    found: dict[str, int] = {}
    for code in codes:
        pairs = [(form, lemma) for form, lemma in forms_of(words, code) if form not in places]
        by_stem = zip(stems([form for form, _ in pairs], code), stems([lemma for _, lemma in pairs], code), strict=True)
        for (form, lemma), (stem, wanted) in zip(pairs, by_stem, strict=True):
            if stem != wanted:
                found.setdefault(form, places[lemma])
    return found
