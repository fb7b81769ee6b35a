"""Suffix rules of the stemmers: makes the files of `trainer/language/suffix_rules`, and measures them.

    python -m benchmarks.stemming                 # measures on words that were left out, language by language
    python -m benchmarks.stemming --write         # learns from all words and writes the files

Words are those of the dictionaries of simplemma, and inflections that are made up of their beginnings and the suffixes
that the stemmers themselves look for. Of a language without a dictionary the beginnings are made up of the letters of
these suffixes. https://github.com/adbar/simplemma
"""

import argparse
import importlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

from trainer.language.languages import LANGUAGES
from trainer.language.lemmas import dictionary_words
from trainer.language.stemming import fold_accents, stems
from trainer.language.suffix_rules import learn_rules, stem_by_rules, write_rules

_FOLDER = Path(__file__).resolve().parents[1] / "trainer/language/suffix_rules"
_MAX_WORDS = 150_000  # of a dictionary
_LEFT_OUT = 1_000
_MADE_UP = 60_000  # beginnings of words, in a language without a dictionary


def dictionary(code: str) -> list[str]:
    """Returns the case-folded words of a language in an order without meaning; none where there is no dictionary."""
    words = dictionary_words(code)
    random.Random(code).shuffle(words)
    return words[:_MAX_WORDS]


def suffixes(code: str) -> list[str]:
    """Returns the suffixes that the stemmer of a language looks for."""
    module = importlib.import_module(f"snowballstemmer.{LANGUAGES[code].stemmer}_stemmer")
    (stemmer,) = [value for name, value in vars(module).items() if name.endswith("Stemmer") and name != "BaseStemmer"]
    tables = [table for name, table in vars(stemmer).items() if name.startswith("a_")]
    return sorted({among.s for table in tables for among in table if among.s.isalpha()})


def inflections(words: list[str], code: str) -> Iterator[str]:
    """Yields made-up words: the beginning of each word, and one or two suffixes."""
    chance = random.Random(code)
    endings = suffixes(code)
    for word in words or beginnings(code, chance):
        beginning = word[: chance.randint(2, max(2, len(word)))]
        yield beginning + "".join(chance.choices(endings, k=chance.choice((1, 1, 2))) if endings else "")


def beginnings(code: str, chance: random.Random) -> list[str]:
    """Returns made-up words of the letters of a language's suffixes."""
    letters = sorted(set("".join(suffixes(code))))
    return ["".join(chance.choices(letters, k=chance.randint(2, 8))) for _ in range(_MADE_UP)]


def measure(code: str) -> dict[str, object]:
    """Learns from all but a thousand words, and returns the share of these that get the stem of the library."""
    words = dictionary(code)
    left_out, rest = words[:_LEFT_OUT], words[_LEFT_OUT:]
    rules = learn_rules([*rest, *inflections(rest, code)], code)
    wanted = [fold_accents(stem) for stem in stems(left_out, code)]
    got = [stem_by_rules(word, code, rules) for word in left_out]
    same = sum(map(str.__eq__, wanted, got))
    wrong = [trio for trio in zip(left_out, got, wanted, strict=True) if trio[1] != trio[2]][:5]
    share = round(same / len(left_out), 4) if left_out else None
    return {"language": code, "words": len(words), "rules": len(rules), "same_stem": share, "wrong": wrong}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="learn from all words and write the files")
    parser.add_argument("--languages", default="", help="codes with commas between them; all by default")
    options = parser.parse_args()
    codes = (
        options.languages.split(",") if options.languages else [c for c, known in LANGUAGES.items() if known.stemmer]
    )
    for code in codes:
        if not options.write:
            print(json.dumps(measure(code), ensure_ascii=False), flush=True)
            continue
        words = dictionary(code)
        rules = learn_rules([*words, *inflections(words, code)], code)
        _FOLDER.mkdir(exist_ok=True)
        (_FOLDER / f"{code}.tsv.gz").write_bytes(write_rules(rules))
        print(json.dumps({"language": code, "rules": len(rules)}), flush=True)


if __name__ == "__main__":
    main()
