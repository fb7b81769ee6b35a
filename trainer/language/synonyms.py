"""Synonyms of a shop: words and phrases that find items by other words, in the form of Solr's synonym files.

    # one line for each group; case, accents and endings do not count
    sofa, couch, settee
    cell phone, mobile => smartphone

Phrases of a line with commas between find the items of each other. Those before `=>` find the items of those behind it,
not the other way. An item that has a phrase gets those that shall find it, so that a query costs nothing more.
https://solr.apache.org/guide/solr/latest/indexing-guide/filters.html#synonym-graph-filter
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trainer.language.plain_words import search_words
from trainer.language.terms import terms

_ARROW, _COMMENT = "=>", "#"


class Rule(NamedTuple):
    """Line of a file: `queries` find the items that have one of `texts`; in a group both are the same."""

    queries: tuple[str, ...]
    texts: tuple[str, ...]


def parse_synonyms(content: str, *, name: str) -> tuple[Rule, ...]:
    """Returns the rules of a file.

    Args:
      content: Its text.
      name: Its name, for messages.

    Raises:
      ValueError: A line is no rule.
    """
    rules = []
    for number, line in enumerate(content.splitlines(), start=1):
        text = line.removeprefix("\ufeff").strip()
        if not text or text.startswith(_COMMENT):
            continue
        sides = [
            tuple(phrase.strip() for phrase in side.split(",") if search_words(phrase)) for side in text.split(_ARROW)
        ]
        if not all(sides) or len(sides) > 2 or (len(sides) == 1 and len(sides[0]) < 2):
            raise ValueError(
                f"Line {number} of {name} is {text!r}; wanted at least two phrases with commas between, or "
                f"`phrases {_ARROW} phrases`. Correct the line or begin it with {_COMMENT}."
            )
        rules.append(Rule(sides[0], sides[-1]))
    return tuple(rules)


def added_texts(texts: Sequence[str], rules: Sequence[Rule], codes: Sequence[str]) -> list[str]:
    """Returns the phrases that shall find each of some texts and are not in it; "" where there is none.

    Args:
      texts: One of each item.
      rules: From `parse_synonyms`.
      codes: Languages by whose stems words are compared.
    """
    spelt = [search_words(text) for text in texts]
    phrases = {phrase for rule in rules for side in rule for phrase in side}
    every = {word for words in spelt for word in words} | {word for phrase in phrases for word in search_words(phrase)}
    stems = {word: found[0] for word, found in terms(every, codes).items()}
    queries_of: dict[tuple[str, ...], dict[str, None]] = collections.defaultdict(dict)
    for rule in rules:
        for text in rule.texts:
            queries_of[_stemmed(search_words(text), stems)].update(dict.fromkeys(rule.queries))
    keys = {phrase: _stemmed(search_words(phrase), stems) for phrase in phrases}
    lengths = sorted({len(key) for key in (*queries_of, *keys.values())})
    return [_additions(_stemmed(words, stems), queries_of, keys, lengths) for words in spelt]


def _stemmed(words: Iterable[str], stems: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(stems[word] for word in words)


def _additions(
    words: tuple[str, ...],
    queries_of: Mapping[tuple[str, ...], Mapping[str, None]],
    keys: Mapping[str, tuple[str, ...]],
    lengths: Sequence[int],
) -> str:
    has = {words[start : start + length] for length in lengths for start in range(len(words) - length + 1)}
    matched = sorted(part for part in has if part in queries_of)
    found = dict.fromkeys(query for part in matched for query in queries_of[part])
    return ", ".join(query for query in found if keys[query] not in has)
