"""Words of a text in any script, in plain Python: for baselines and for what preprocessing makes of texts."""

import re
import unicodedata

# Thai, Lao, Khmer, kana, Han and Hangul, which are not written with spaces between all words.
UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+")
_UNSPACED_RUN = re.compile(rf"[{UNSPACED}]+")


def split_words(text: str) -> list[str]:
    """Returns the words of a text as they are written; a run of a script without spaces is one."""
    return _WORD.findall(text)


def is_unspaced(word: str) -> bool:
    """Returns True for a run of a script without spaces."""
    return _UNSPACED_RUN.fullmatch(word) is not None


def search_words(text: str) -> list[str]:
    """Returns the case-folded words of a text; of scripts without spaces the pairs of neighbouring characters."""
    words: list[str] = []
    for word in split_words(unicodedata.normalize("NFKC", text).casefold()):
        pairs = [word[place : place + 2] for place in range(len(word) - 1)] if is_unspaced(word) else []
        words += pairs or [word]
    return words
