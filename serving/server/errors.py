"""Errors as the protocol has them: a canonical code, a short message, and the HTTP status that goes with the code."""

import enum
import re

MAX_MESSAGE_BYTES = 1024
HIDDEN = "..."
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
    """A request that is answered with an error.

    Args:
      code: The canonical code.
      message: What the client reads; cut at 1,024 bytes. It must not quote values of the request.
    """

    def __init__(self, code: Code, message: str) -> None:
        self.code = code
        self.message = cut(message)
        super().__init__(f"{code.name}: {self.message}")


def invalid(message: str) -> ServingError:
    """INVALID_ARGUMENT with that message."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def cut(message: str) -> str:
    """The message, at most 1,024 bytes of it and then `...TRUNCATED`."""
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode("utf-8")
    return encoded[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore") + "...TRUNCATED"


def shown_name(name: str) -> str:
    """A name that the client sent (model, signature, input), where it looks like one; else `...`.

    The protocol's messages name models, signatures and inputs. Values of a request are never shown.
    """
    return name if PLAIN_NAME.fullmatch(name) else HIDDEN


def shown_names(names: set[str]) -> str:
    """Sorted names, joined by commas, each as `shown_name` has it."""
    return ",".join(shown_name(name) for name in sorted(names))


def graph_error(signature_name: str, *, code: int, message: str) -> ServingError:
    """The error of a graph that refused its input, without the graph's own text, which may quote the request.

    Args:
      signature_name: The signature that ran (known to the model, so safe to show).
      code: The canonical code TensorFlow gave.
      message: TensorFlow's text; only the name of the failing node is taken from it.
    """
    node = GRAPH_NODE.search(message)
    where = f" at node {node.group(1)}" if node else ""
    kind = Code(code) if code in Code.__members__.values() else Code.UNKNOWN
    return ServingError(
        kind,
        f'Signature "{signature_name}" failed in the graph with {kind.name}{where}; the graph\'s own message is '
        "withheld because it may quote the request. Check shapes and values of the inputs.",
    )
