"""Synonym candidates of a log, for a person to accept: words by which shoppers find the same items.

    vitrine synonyms --events EVENT_EXAMPLES [--known synonyms.txt] [--languages en] > candidates.txt

Two queries whose words differ in one place, or altogether, are candidates where the items that they led to are alike
(cosine of the counts of positive events). A shopper that tried one within an hour of the other is named beside it. A
candidate is a comment: take the `# ` away and append the line to the file of `search.synonyms_path`.
"""

import argparse
import collections
import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from serving.evaluation.eval_requests import LoggedSearch, read_logged_searches
from trainer.language.languages import parse_languages
from trainer.language.plain_words import split_words
from trainer.language.synonyms import parse_synonyms
from trainer.language.terms import terms
from trainer.spec.config import WireConfig

MAX_WORDS = 3  # of a phrase
MAX_TEXTS_PER_ITEM = 100  # the most frequent queries of an item that are compared
MAX_AGE_DAYS = 1.0 / 24.0  # between two searches of which one is the other in different words
_MISSPELT = 0.8  # share of letters in order from which two words are one, misspelt
Words = tuple[str, ...]


class Phrases(NamedTuple):
    """Two phrases, sorted."""

    first: str
    second: str


class Candidate(NamedTuple):
    """Candidate for a line of synonyms.

    Attributes:
      phrases: Both phrases.
      similarity: Cosine of the items that their queries led to; the mean over the pairs of queries, by shared events.
      shared: Events about items that both led to, of the rarer side.
      reformulations: Events of a search for one of them within an hour of a search for the other.
    """

    phrases: Phrases
    similarity: float
    shared: int
    reformulations: int


def candidates(
    searches: Iterable[LoggedSearch], *, languages: Sequence[str], minimum_shared: int, minimum_similarity: float
) -> list[Candidate]:
    """Returns the candidates of logged searches, those with the most shared events first.

    Args:
      searches: The searches that led to an item.
      languages: Codes of the languages whose stems show forms of one word.
      minimum_shared: Events about items that both phrases led to, at least.
      minimum_similarity: Cosine, at least.
    """
    items: dict[Words, collections.Counter[bytes]] = collections.defaultdict(collections.Counter)
    tried: collections.Counter[frozenset[Words]] = collections.Counter()
    for search in searches:
        text = _words(search.text)
        items[text][search.item_id] += 1
        if search.previous and search.age_days <= MAX_AGE_DAYS:
            tried[frozenset((_words(search.previous), text))] += 1
    shared: collections.Counter[Phrases] = collections.Counter()
    reformulations: collections.Counter[Phrases] = collections.Counter()
    alike: dict[Phrases, float] = collections.defaultdict(float)
    for one, other in _pairs(items):
        phrases = _difference(one, other, languages)
        if phrases:
            common = sum((items[one] & items[other]).values())
            shared[phrases] += common
            alike[phrases] += common * _cosine(items[one], items[other])
            reformulations[phrases] += tried[frozenset((one, other))]
    found = [Candidate(pair, alike[pair] / shared[pair], shared[pair], reformulations[pair]) for pair in shared]
    good = [one for one in found if one.shared >= minimum_shared and one.similarity >= minimum_similarity]
    return sorted(good, key=lambda one: (-one.shared, -one.similarity, one.phrases))


def _words(text: str) -> Words:
    return tuple(split_words(text.casefold()))


def _pairs(items: Mapping[Words, collections.Counter[bytes]]) -> Iterator[tuple[Words, Words]]:
    """The pairs of queries that led to one item, each once."""
    texts_of: dict[bytes, list[Words]] = collections.defaultdict(list)
    for text in sorted(items, key=lambda text: (-items[text].total(), text)):
        for item in items[text]:
            if len(texts_of[item]) < MAX_TEXTS_PER_ITEM:
                texts_of[item].append(text)
    pairs = (sorted(pair) for texts in texts_of.values() for pair in itertools.combinations(texts, 2))
    yield from sorted({(first, second) for first, second in pairs})


def _cosine(one: Mapping[bytes, int], other: Mapping[bytes, int]) -> float:
    dot = sum(count * other.get(item, 0) for item, count in one.items())
    return dot / math.sqrt(sum(c * c for c in one.values()) * sum(c * c for c in other.values()))


def _difference(one: Words, other: Words, languages: Sequence[str]) -> Phrases | None:
    """The phrases in which two queries differ, sorted; None where they are no synonyms."""
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    one, other = one[same:], other[same:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    if not (0 < len(one) <= MAX_WORDS and 0 < len(other) <= MAX_WORDS):
        return None
    stems = terms([*one, *other], languages)
    if {stems[word] for word in one} & {stems[word] for word in other}:
        return None  # forms of one word, or the same words in another order
    first, second = sorted((" ".join(one), " ".join(other)))
    if difflib.SequenceMatcher(None, first, second).ratio() >= _MISSPELT:
        return None
    return Phrases(first, second)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="vitrine synonyms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--events", required=True, help="folder of event Examples")
    made.add_argument("--known", default="", help="file of synonyms; what it has is left out")
    made.add_argument("--languages", default="", help="codes with commas between, for forms of one word")
    made.add_argument(
        "--search_history_length", type=int, default=WireConfig().search_history_length, help="of the run"
    )
    made.add_argument("--minimum_shared", type=int, default=3, help="events about items that both phrases led to")
    made.add_argument("--minimum_similarity", type=float, default=0.3, help="cosine of the items that both led to")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the candidates."""
    options = parser().parse_args(arguments)
    content = Path(options.known).read_text(encoding="utf-8") if options.known else ""
    known = [{*rule.queries, *rule.texts} for rule in parse_synonyms(content, name=options.known)]
    found = candidates(
        read_logged_searches(options.events, wire=WireConfig(search_history_length=options.search_history_length)),
        languages=parse_languages(options.languages),
        minimum_shared=options.minimum_shared,
        minimum_similarity=options.minimum_similarity,
    )
    for one in found:
        if not any(set(one.phrases) <= phrases for phrases in known):
            print(f"# similarity {one.similarity:.2f}, {one.shared} shared events, {one.reformulations} reformulations")
            print(f"# {', '.join(one.phrases)}")


if __name__ == "__main__":
    main()
