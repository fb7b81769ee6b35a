"""Impressions: the results that a search showed, logged by the server as events of our own fields.

A query is logged as a whole or not at all: a hash of its id decides, so that its pages are kept or left out together.
"""

import hashlib
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from serving.server.events.event_log import EventLog, LoggedEvent
from serving.server.events.event_schema import SHOP
from serving.server.protocol.errors import ServingError
from serving.server.telemetry.log import log_event, log_exception
from serving.server.telemetry.query_id import row_query_id
from trainer.spec.records import EventType

_USER_HASH = re.compile(r"[0-9a-f]{64}")
_COMPLAINT_SECONDS = 60.0
Arrays = Mapping[str, np.ndarray]


class Sampling(NamedTuple):
    """Sampling of a model's queries.

    Attributes:
      rate: The share of its queries that is logged, 0 to 1.
      folder: The folder of its events in the log.
    """

    rate: float
    folder: str = SHOP


class ImpressionLog:
    """Log of what searches showed. It never delays or fails an answer.

    Args:
      log: The event log.
      sampling_of: Returns the sampling of a model by name.
      now: Returns epoch seconds.
    """

    def __init__(
        self, log: EventLog, *, sampling_of: Callable[[str], Sampling], now: Callable[[], float] = time.time
    ) -> None:
        self._log = log
        self._sampling_of = sampling_of
        self._now = now
        self._dropped = 0
        self._complained_at = float("-inf")
        self._lock = threading.Lock()

    def add(self, model: str, query_id: str, inputs: Arrays, outputs: Arrays) -> None:
        """Logs the results of each row of a request that is sampled; a signature without results has none.

        Args:
          model: Name of the model.
          query_id: The id of the request.
          inputs: {input: [batch, ...]}.
          outputs: {output: [batch, ...]}.
        """
        sampling = self._sampling_of(model)
        if sampling.rate <= 0 or "ids" not in outputs or "num_results" not in outputs:
            return
        events: list[LoggedEvent] = []
        try:
            events = self._events(query_id, sampling, inputs, outputs)
            if events:
                self._log.append(events)
        except ServingError:
            self._complain(len(events))
        except Exception as error:  # a model whose outputs only have the names of ours
            log_exception("impressions_failed", error, model=model)

    def _events(self, query_id: str, sampling: Sampling, inputs: Arrays, outputs: Arrays) -> list[LoggedEvent]:
        now = self._now()
        names = [row_query_id(query_id, row) for row in range(len(outputs["ids"]))]
        return [
            _logged(values, now, folder=sampling.folder)
            for row, name in enumerate(names)
            if is_sampled(name, sampling.rate)
            for values in _events_of_row(row, name, inputs, outputs)
        ]

    def _complain(self, dropped: int) -> None:
        """Logs how many were dropped, once a minute."""
        with self._lock:
            self._dropped += dropped
            if time.monotonic() - self._complained_at < _COMPLAINT_SECONDS:
                return
            dropped, self._dropped, self._complained_at = self._dropped, 0, time.monotonic()
        log_event("impressions_dropped", level=logging.WARNING, events=dropped)


def is_sampled(query_id: str, rate: float) -> bool:
    """Returns whether a query is logged: the same for the same id, for a share `rate` of all."""
    digest = hashlib.blake2b(query_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < rate * 2**64


def _events_of_row(row: int, query_id: str, inputs: Arrays, outputs: Arrays) -> Iterator[dict[str, Any]]:
    """The search of a row, where it has words, and its impressions."""
    shared: dict[str, Any] = {"request_id": query_id}
    user = _text(inputs, "user_hash", row)
    if _USER_HASH.fullmatch(user):
        shared["user_id"] = f"hmac:{user}"
    text = _text(inputs, "query_text", row)
    if text:
        yield {**shared, "type": EventType.SEARCH, "query": {"text": text}, "event_id": _event_id(query_id, "search")}
    first = max(_number(inputs, "page", row) - 1, 0) * _number(inputs, "page_size", row)
    for place, item in enumerate(outputs["ids"][row][: int(outputs["num_results"][row])]):
        position, name = first + place, item.decode("utf-8", "replace")
        event_id = _event_id(query_id, str(position), name)
        yield {**shared, "type": EventType.IMPRESSION, "item_id": name, "position": position, "event_id": event_id}


def _logged(values: dict[str, Any], now: float, *, folder: str) -> LoggedEvent:
    line = json.dumps({"timestamp": now, **values}, ensure_ascii=False, separators=(",", ":"))
    return LoggedEvent(folder, values["event_id"], line.encode("utf-8", "replace") + b"\n")


def _event_id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _text(inputs: Arrays, name: str, row: int) -> str:
    value = _value(inputs[name], row) if name in inputs else b""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(inputs: Arrays, name: str, row: int) -> int:
    return int(_value(inputs[name], row)) if name in inputs else 1


def _value(column: np.ndarray, row: int) -> Any:
    """The value of a row; a column of one value has it for all."""
    return column[min(row, len(column) - 1)]
