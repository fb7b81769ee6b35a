"""Languages of texts and of whole catalogues, guessed (py3langid)."""

import collections
import functools
from collections.abc import Sequence
from typing import Any

from trainer.language.languages import LANGUAGES

_MIN_LETTERS = 40  # of a text whose language is guessed
_MIN_SHARE = 0.1  # of the guessed texts that are in a language of the catalogue
_MAX_TEXTS = 2_000  # that are looked at, evenly over the catalogue


@functools.cache
def _identifier(*, only_known: bool) -> Any:
    """The identifier of the languages of `LANGUAGES`, or of all; a dialect would be named for its language."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    made.set_languages([code for code in made.labels if (code in LANGUAGES if only_known else len(code) == 2)])
    return made


def language_of(text: str) -> str:
    """Returns the ISO 639-1 code of a text's language (py3langid), "" for one of fewer than 20 letters."""
    if sum(map(str.isalpha, text)) < 20:
        return ""
    return str(_identifier(only_known=False).classify(text)[0])


def detect_languages(texts: Sequence[str]) -> tuple[str, ...]:
    """Returns the languages of `LANGUAGES` that at least a tenth of some texts are in, the most frequent first.

    Args:
      texts: One of each item. Short ones are joined until there are letters enough to tell.
    """
    counts: collections.Counter[str] = collections.Counter()
    step = max(1, len(texts) // _MAX_TEXTS)
    waiting = ""
    for text in texts[::step]:
        waiting = f"{waiting} {text}".strip()
        if sum(map(str.isalpha, waiting)) >= _MIN_LETTERS:
            counts[_identifier(only_known=True).classify(waiting)[0]] += 1
            waiting = ""
    if not counts and sum(map(str.isalpha, waiting)):
        counts[_identifier(only_known=True).classify(waiting)[0]] += 1
    total = sum(counts.values())
    return tuple(code for code, count in counts.most_common() if count >= _MIN_SHARE * total)
