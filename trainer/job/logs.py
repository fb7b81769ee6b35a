"""Logging of the command lines: messages of `trainer` on standard output as plain lines, warnings on standard error.

A program that uses the package as a library configures logging itself, and may silence `trainer`.
"""

import logging
import sys
from typing import TextIO

_LOGGER = logging.getLogger("trainer")


class _Stream(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stdout` or `sys.stderr` is when a message comes."""

    def __init__(self, name: str) -> None:
        logging.Handler.__init__(self)
        self._name_of_stream = name

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The stream at this moment."""
        found: TextIO = getattr(sys, self._name_of_stream)
        return found


def log_to_stdout() -> None:
    """Sends messages of level INFO to standard output, and warnings to standard error where no other handler has them.

    A second call changes nothing.
    """
    if any(isinstance(handler, _Stream) for handler in _LOGGER.handlers):
        return
    messages, warnings = _Stream("stdout"), _Stream("stderr")
    messages.addFilter(lambda record: record.levelno < logging.WARNING)
    warnings.setLevel(logging.WARNING)
    warnings.addFilter(lambda record: not logging.getLogger().handlers)
    for handler in (messages, warnings):
        _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
