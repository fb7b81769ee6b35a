"""Structured log: one JSON object a line on standard error, without any content of a request."""

import json
import logging
import sys
import time
import traceback
from typing import Any

from serving.server.telemetry.request_id import CURRENT_REQUEST_ID

LOGGER = logging.getLogger("vitrine.server")


class JsonLines(logging.Formatter):
    """Formatter that renders a record as one JSON object; fields come from `log_event`.

    Args:
      fixed: Fields of every line.
    """

    def __init__(self, **fixed: Any) -> None:
        super().__init__()
        self._fixed = fixed

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON for the record."""
        time_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        fields = getattr(record, "fields", {})
        return json.dumps(
            {"time": time_text, "level": record.levelname, "event": record.getMessage(), **self._fixed, **fields}
        )


def log_to_stderr(**fixed: Any) -> None:
    """Sends the server's lines to standard error as JSON, `fixed` in each; other loggers keep their own form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(**fixed))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def log_event(name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Logs one event, with the id of the request it belongs to.

    Fields hold names, numbers and paths of the server, never values of a request.
    """
    current = CURRENT_REQUEST_ID.get()
    if current:
        fields["request_id"] = current
    LOGGER.log(level, name, extra={"fields": fields})


def log_exception(name: str, error: BaseException, **fields: Any) -> None:
    """Logs an unexpected exception by its type and location; its text is left out, as it may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log_event(name, level=logging.ERROR, error_type=type(error).__name__, where=where, **fields)
