"""Checks of configuration values; errors give the subject, its value, the wanted values and the remedy."""

import difflib
from collections.abc import Iterable


def at_least(config: object, minimum: float, *names: str) -> None:
    """Checks that every field of `names` is `minimum` or more.

    Raises:
      ValueError: One is not.
    """
    for name in names:
        value = getattr(config, name)
        if value < minimum:
            raise ValueError(f"{type(config).__name__}.{name} is {value}; it must be at least {minimum}. Raise it.")


def fraction(config: object, *names: str) -> None:
    """Checks that every field of `names` is in [0, 1).

    Raises:
      ValueError: One is not.
    """
    for name in names:
        value = getattr(config, name)
        if not 0.0 <= value < 1.0:
            raise ValueError(
                f"{type(config).__name__}.{name} is {value}; it must be in [0, 1). Change it in the configuration."
            )


def known_names(given: Iterable[str], known: Iterable[str], path: str) -> None:
    """Checks that every name of `given` is one of `known`.

    Raises:
      ValueError: One is not.
    """
    for name in given:
        if name not in known:
            raise ValueError(unknown_key(f"{path}.{name}", name, known))


def unknown_key(path: str, key: str, known: Iterable[str]) -> str:
    """Returns the error message for an unknown key, with the closest known one."""
    close = difflib.get_close_matches(key, sorted(known), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else f" Known here: {', '.join(sorted(known))}."
    return f"Unknown config key {path!r}.{hint}"
