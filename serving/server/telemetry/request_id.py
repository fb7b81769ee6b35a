"""Request id in the log: the client's where it is a plain hexadecimal id, else a new one."""

import contextvars
import re
import uuid

HEADER = "X-Request-Id"
METADATA_KEY = HEADER.lower()
# UUIDs and trace ids. Anything freer could carry a name or an address into the log.
PLAIN_ID = re.compile(r"[0-9a-fA-F-]{16,64}")
CURRENT_REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def request_id(sent: str | bytes | None) -> str:
    """Returns the id of a request that was sent with the id `sent`."""
    if isinstance(sent, str) and PLAIN_ID.fullmatch(sent):
        return sent
    return uuid.uuid4().hex
