"""Query id: the name under which the answer to a query and what a shopper does with it belong together."""

import re
import uuid

from serving.server.protocol.errors import invalid

HEADER = "X-Query-Id"
METADATA_KEY = HEADER.lower()
FIELD = "query_id"
PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


def query_id(sent: str | bytes | None) -> str:
    """Returns the id of a query: the one it was sent with, so that pages of one query share it, else a new one.

    Raises:
      ServingError: INVALID_ARGUMENT for what is no plain id.
    """
    if sent is None:
        return str(uuid.uuid4())
    if isinstance(sent, str) and PLAIN_ID.fullmatch(sent):
        return sent
    raise invalid(
        f"{HEADER} is no plain id; wanted 1 to 80 letters, digits, `-` or `_`, such as a UUID. Leave it out, and the "
        "server makes one."
    )


def row_query_id(name: str, row: int) -> str:
    """Returns the query id of one row of a request: that of the request, and `ID.ROW` behind the first row."""
    return f"{name}.{row}" if row else name
