"""Suffix rules: a stemmer of the Snowball library as a table, for words that were not known when a graph was made.

A stemmer looks at the end of a word and at the regions R1 and R2, which begin after the first and the second vowel
that a consonant follows (https://snowballstem.org/texts/r1r2.html). With these two places marked in the word, what it
does depends almost only on the last characters. The rules are learned from many words and their stems: a rule is a
suffix of the marked word with the number of letters to take away and those to put there, the longest suffix decides.
`benchmarks/stemming.py` makes the files and measures them on words that were left out.
"""

import collections
import functools
import gzip
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trainer.language.languages import LANGUAGES
from trainer.language.stemming import fold_accents, stems

BEGIN, R1, R2 = "^", "1", "2"  # marks; words with digits have no stem
MAX_SUFFIX = 18  # characters of a marked word


class Rule(NamedTuple):
    """Rule of a suffix: letters taken from the end of the word without accents, and those put there."""

    cut: int
    ending: str


def region_pattern(vowels: str) -> str:
    """Returns the pattern of the part of a word before a region: up to the first vowel that a consonant follows."""
    return f"[^{vowels}]*[{vowels}]+[^{vowels}]"


def marked(word: str, vowels: str) -> str:
    """Returns a word with its beginning and its regions marked; a language without vowels has no regions."""
    if not vowels:
        return BEGIN + word
    pattern = region_pattern(vowels)
    word = re.sub(f"^({pattern})({pattern})", rf"\g<1>{R1}\g<2>{R2}", word, count=1)
    return BEGIN + (word if R2 in word else re.sub(f"^({pattern})", rf"\g<1>{R1}", word, count=1))


def learn_rules(words: Iterable[str], code: str) -> dict[str, Rule]:
    """Learns {suffix: rule} from case-folded words: the shortest suffixes that suffice for the most of them."""
    known = [word for word in dict.fromkeys(words) if word.isalpha()]
    vowels = LANGUAGES[code].vowels
    votes: dict[str, collections.Counter[Rule]] = collections.defaultdict(collections.Counter)
    for word, stem in zip(known, stems(known, code), strict=True):
        text, rule = marked(word, vowels), _rule(fold_accents(word), fold_accents(stem))
        for size in range(min(MAX_SUFFIX, len(text)) + 1):
            votes[text[len(text) - size :]][rule] += 1
    rules: dict[str, Rule] = {}
    for suffix in sorted(votes, key=len):
        (rule, _), *_ = votes[suffix].most_common(1)
        if not suffix or rules[_longest(suffix[1:], rules)] != rule:
            rules[suffix] = rule
    return rules


def _rule(word: str, stem: str) -> Rule:
    """The rule that makes a stem of a word."""
    same = next((n for n, (a, b) in enumerate(zip(word, stem, strict=False)) if a != b), min(len(word), len(stem)))
    return Rule(len(word) - same, stem[same:])


def _longest(text: str, rules: Mapping[str, Rule]) -> str:
    """The longest suffix of a marked word that has a rule."""
    return next(text[start:] for start in range(len(text) + 1) if text[start:] in rules)


def stem_by_rules(word: str, code: str, rules: Mapping[str, Rule]) -> str:
    """Returns the stem of a case-folded word, without accents; the graph computes the same."""
    rule = rules[_longest(marked(word, LANGUAGES[code].vowels)[-MAX_SUFFIX:], rules)]
    plain = fold_accents(word)
    return plain[: max(0, len(plain) - rule.cut)] + rule.ending


def write_rules(rules: Mapping[str, Rule]) -> bytes:
    """Returns the file of rules: `suffix cut ending` a line, packed."""
    lines = "".join(f"{suffix}\t{rule.cut}\t{rule.ending}\n" for suffix, rule in sorted(rules.items()))
    return gzip.compress(lines.encode(), mtime=0)


@functools.cache
def read_rules(code: str) -> dict[str, Rule]:
    """Returns the rules of a language; the empty suffix alone, which changes nothing, where it has no stemmer."""
    file = importlib.resources.files("trainer.language") / "suffix_rules" / f"{code}.tsv.gz"
    if not file.is_file():
        return {"": Rule(0, "")}
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    return {suffix: Rule(int(cut), ending) for suffix, cut, ending in (line.split("\t") for line in lines)}
