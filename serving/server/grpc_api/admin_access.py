"""Access of administrators: calls that change the server need loopback, a Unix socket or a token."""

import hmac
import ipaddress
import re
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

from serving.server.protocol.errors import Code, ServingError

ADMIN_METHODS = ("/tensorflow.serving.ModelService/HandleReloadConfigRequest", "/tensorflow.ProfilerService/")
AUTHORIZATION = "authorization"
PEER = re.compile(r"ipv[46]:\[?([^\]]+?)(?:%\w+)?\]?:\d+")
MIN_TOKEN_CHARACTERS = 16


class AdminAccess:
    """Authorises calls that change the server.

    Args:
      token: Accepted as `authorization: Bearer TOKEN` from anywhere; None: loopback only.
      allow_all: Every sender may, as in TF Serving.
    """

    def __init__(self, token: str | None = None, *, allow_all: bool = False) -> None:
        self._token = token
        self._everybody = allow_all

    def check(self, method: str, *, peer: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Authorises an administrative call; others pass.

        Args:
          method: The full gRPC method name.
          peer: As gRPC has it: `ipv4:127.0.0.1:5000`, `ipv6:[::1]:5000` (possibly percent-encoded), `unix:`.
          metadata: The call's metadata.

        Raises:
          ServingError: PERMISSION_DENIED.
        """
        if not method.startswith(ADMIN_METHODS):
            return
        if self._everybody or is_local(peer) or self._has_token(metadata):
            return
        raise ServingError(
            Code.PERMISSION_DENIED,
            "This call is answered on loopback, or with the token of --admin_token_file as `authorization: Bearer`.",
        )

    def _has_token(self, metadata: Iterable[tuple[str, str | bytes]]) -> bool:
        if self._token is None:
            return False
        wanted = f"Bearer {self._token}".encode()
        sent = [
            value if isinstance(value, bytes) else value.encode() for key, value in metadata if key == AUTHORIZATION
        ]
        return any(hmac.compare_digest(value, wanted) for value in sent)


def is_local(peer: str) -> bool:
    """True for a peer on this machine."""
    if peer.startswith("unix:"):
        return True
    found = PEER.fullmatch(urllib.parse.unquote(peer))
    if not found:
        return False
    try:
        address = ipaddress.ip_address(found[1])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def read_token(path: Path) -> str:
    """Reads the token of a file of one line.

    Raises:
      ValueError: When there is none or it is too short to be a secret.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--admin_token_file: {str(path)!r} cannot be read ({type(error).__name__}).") from error
    if len(token) < MIN_TOKEN_CHARACTERS or any(character.isspace() for character in token):
        raise ValueError(
            f"--admin_token_file: {str(path)!r} must hold one word of at least {MIN_TOKEN_CHARACTERS} characters."
        )
    return token
