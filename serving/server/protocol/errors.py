"""Errors of the protocol: a canonical code, a short message, and the HTTP status of the code.

TF Serving's messages quote the request. Where ours do, the quotation is marked in the text (`quoted`, `quoted_value`),
and only the API that answers decides how much of it is shown (`ServingError.client_message`).
"""

import enum
import json
import re
from collections.abc import Iterable
from typing import Any

from serving.server.protocol.compatibility import EXTENDED, Compatibility

MAX_MESSAGE_BYTES = 1024
MAX_QUOTED_BYTES = 256
HIDDEN = "..."
NAME_MARK, VALUE_MARK, END_MARK = "\ue000", "\ue001", "\ue002"
QUOTED_SPAN = re.compile(f"([{NAME_MARK}{VALUE_MARK}])([^{END_MARK}]*){END_MARK}")
STRIP_MARKS = str.maketrans("", "", NAME_MARK + VALUE_MARK + END_MARK)
PLAIN_NAME = re.compile(r"[\w.:/ -]{0,64}", re.ASCII)
GRAPH_NODE = re.compile(r"\{\{node ([\w./-]{1,128})\}\}", re.ASCII)


class Code(enum.IntEnum):
    """The canonical status codes of gRPC and of `tensorflow.error.Code`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP_STATUS: dict[Code, int] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


class ServingError(Exception):
    """Error that answers a request.

    Args:
      code: The canonical code.
      message: The message for the client; quotations of the request are marked by `quoted` or `quoted_value`.
      tf_serving_message: The message of TF Serving, where `message` differs from it because it may quote the request.

    Attributes:
      message: The text with the request's values left out; at most 1,024 bytes.
    """

    def __init__(self, code: Code, message: str, *, tf_serving_message: str = "") -> None:
        self.code = code
        self.template = message
        self.tf_serving_message = tf_serving_message
        self.message = self.client_message(EXTENDED)
        super().__init__(f"{code.name}: {self.message}")

    def client_message(self, compatibility: Compatibility) -> str:
        """Returns the text for the client, truncated at 1,024 bytes."""
        if self.tf_serving_message and not compatibility.hides_request_values:
            return truncate(self.tf_serving_message, limit=MAX_QUOTED_BYTES)
        return truncate(_render(self.template, compatibility))


def invalid(message: str) -> ServingError:
    """INVALID_ARGUMENT with that message."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def truncate(message: str, *, limit: int = MAX_MESSAGE_BYTES) -> str:
    """Returns at most `limit` bytes of the message and then `...TRUNCATED`."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode("utf-8")
    return encoded[:limit].decode("utf-8", "ignore") + "...TRUNCATED"


def quoted(name: str) -> str:
    """A name that the client sent (model, signature, input), marked for `ServingError`.

    The protocol's messages name models, signatures and inputs; by default one is shown where it looks like a name.
    """
    return f"{NAME_MARK}{name.translate(STRIP_MARKS)}{END_MARK}"


def quoted_names(names: Iterable[str]) -> str:
    """Sorted names, joined by commas, each as `quoted` has it."""
    return ",".join(quoted(name) for name in sorted(names))


def quoted_value(value: Any) -> str:
    """A JSON value that the client sent, marked for `ServingError`: never shown by default."""
    text = ""
    try:
        for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            text += part
            if len(text) > MAX_QUOTED_BYTES:
                break
    except (RecursionError, TypeError, ValueError):
        text = HIDDEN
    return f"{VALUE_MARK}{text[: MAX_QUOTED_BYTES + 1].translate(STRIP_MARKS)}{END_MARK}"


def safe_name(name: str) -> str:
    """Returns a name that the client sent where it looks like one, else `...`; for logs and default answers."""
    return name if PLAIN_NAME.fullmatch(name) else HIDDEN


def _render(template: str, compatibility: Compatibility) -> str:
    """The text without marks; of what they mark, what the behaviour lets through."""
    left = MAX_QUOTED_BYTES

    def show(match: re.Match[str]) -> str:
        nonlocal left
        mark, text = match.groups()
        if compatibility.hides_request_values:
            return safe_name(text) if mark == NAME_MARK else HIDDEN
        encoded = text.encode("utf-8", "replace")
        left -= len(encoded)
        return encoded.decode("utf-8") if left >= 0 else HIDDEN

    return QUOTED_SPAN.sub(show, template)


def graph_error(signature_name: str, *, code: int, message: str) -> ServingError:
    """The error of a graph that refused its input; the graph's own text may quote the request, so it is kept apart.

    Args:
      signature_name: The signature that ran (known to the model, so safe to show).
      code: The canonical code TensorFlow gave.
      message: TensorFlow's text; by default only the name of the failing node is taken from it.
    """
    node = GRAPH_NODE.search(message)
    where = f" at node {node.group(1)}" if node else ""
    kind = Code(code) if code in Code.__members__.values() else Code.UNKNOWN
    return ServingError(
        kind,
        f'Signature "{signature_name}" failed in the graph with {kind.name}{where}; the graph\'s own message is '
        "withheld because it may quote the request. Check shapes and values of the inputs.",
        tf_serving_message=message,
    )
