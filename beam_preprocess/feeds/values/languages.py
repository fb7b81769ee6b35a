"""Languages of texts (py3langid)."""

import functools
from typing import Any


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    made.set_languages([code for code in made.labels if len(code) == 2])  # a dialect would be named for its language
    return made


def language_of(text: str) -> str:
    """Returns the ISO 639-1 code of a text's language (py3langid), "" for one of fewer than 20 letters."""
    if sum(map(str.isalpha, text)) < 20:
        return ""
    code, _ = _identifier().classify(text)
    return str(code)
