"""Cache of functions of a text: short texts alone, as a damaged export may hold many cells of a million characters."""

import functools
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")
LONGEST = 256  # characters of a text that is kept


def cached_short(maxsize: int) -> Callable[[Callable[[str], _Result]], Callable[[str], _Result]]:
    """Returns a decorator that keeps the results of up to `maxsize` short texts; a long one is computed each time."""

    def decorate(function: Callable[[str], _Result]) -> Callable[[str], _Result]:
        kept = functools.lru_cache(maxsize)(function)

        @functools.wraps(function)
        def call(text: str) -> _Result:
            return kept(text) if len(text) <= LONGEST else function(text)

        return call

    return decorate
