"""What a case is: one request by one protocol, and what TF Serving answers. `...` in a message stands for anything."""

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message


@dataclasses.dataclass(frozen=True)
class Error:
    """An error: the canonical code (gRPC) or the HTTP status (REST), and the message."""

    code: str | int
    message: str

    def fits(self, message: str) -> bool:
        pattern = ".*".join(re.escape(part) for part in self.message.split("..."))
        return re.fullmatch(pattern, message, re.DOTALL) is not None


@dataclasses.dataclass(frozen=True)
class Json:
    """A successful REST answer. Numbers are compared with their kind: 3 is not 3.0."""

    value: Any

    def fits(self, text: str) -> bool:
        return canonical(json.loads(text)) == canonical(self.value)


@dataclasses.dataclass(frozen=True)
class Text:
    """A successful REST answer that contains this text, spelt like this."""

    part: bytes


@dataclasses.dataclass(frozen=True)
class Rest:
    """One REST case.

    Args:
      name: What it shows.
      request: Verb and path; a path without a leading slash is below /v1/models/.
      expected: What TF Serving answers.
      body: JSON of a value, or bytes as they are.
      headers: Of the request.
      promised: What is answered without --strict, where that differs.
    """

    name: str
    request: str
    expected: Error | Json | Text | int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    promised: Error | Json | Text | int | None = None


@dataclasses.dataclass(frozen=True)
class Grpc:
    """One gRPC case.

    Args:
      name: What it shows.
      method: Of PredictionService, or of ModelService.
      message: The request.
      expected: An error, or what `seen` finds in the response.
      seen: Reads the response.
      timeout: The client's deadline, in seconds.
      promised: What is answered without --strict, where that differs.
    """

    name: str
    method: str
    message: Message
    expected: Any
    seen: Callable[[Any], Any] = lambda response: response
    timeout: float = 30.0
    promised: Any = None


def canonical(value: Any) -> str:
    """JSON text in which 3 and 3.0 differ, NaN equals NaN and the order of keys is no matter."""
    return json.dumps(value, sort_keys=True)
