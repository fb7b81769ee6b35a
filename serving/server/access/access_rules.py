"""Access rules: which scope a call needs, and which callers have it."""

import dataclasses
import ipaddress
import re
import urllib.parse

from serving.server.access.tokens import Scope, Tokens
from serving.server.protocol.errors import Code, ServingError

ADMIN_METHODS = ("/tensorflow.serving.ModelService/HandleReloadConfigRequest", "/tensorflow.ProfilerService/")
UPDATE_METHODS = ("/vitrine.ItemService/",)
AUTHORIZATION = "authorization"
PEER = re.compile(r"ipv[46]:\[?([^\]]+?)(?:%\w+)?\]?:\d+")
# Scopes of calls that change something; a search is open until a token is made for it.
LOCKED = frozenset(Scope) - {Scope.SEARCH}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caller:
    """Sender of a call.

    Args:
      is_local: It is on this machine.
      authorization: Its `authorization` header or metadata, None without one.
    """

    is_local: bool
    authorization: bytes | None = None


class AccessRules:
    """Authorises calls by scope: for everyone where a scope is open, else for local callers and tokens that have it.

    Args:
      tokens: The known tokens; a scope that one of them has is locked.
      trusts_loopback: Callers on this machine need no token.
      locks_changes: Calls that change something are locked without any token too.
    """

    def __init__(
        self, tokens: Tokens | None = None, *, trusts_loopback: bool = True, locks_changes: bool = True
    ) -> None:
        self._tokens = tokens or Tokens({})
        self._trusts_loopback = trusts_loopback
        self._locked = self._tokens.scopes | (LOCKED if locks_changes else frozenset())

    def allows(self, scope: Scope, caller: Caller, *, is_locked: bool = False) -> bool:
        """Returns whether the caller may; `is_locked` asks as if the scope were locked."""
        if scope not in self._locked and not is_locked:
            return True
        if caller.is_local and self._trusts_loopback:
            return True
        return scope in (self._tokens.scopes_of(caller.authorization) or ())

    def check(self, scope: Scope, caller: Caller) -> None:
        """Authorises a call.

        Raises:
          ServingError: UNAUTHENTICATED without a known token, PERMISSION_DENIED where its token lacks the scope.
        """
        if self.allows(scope, caller):
            return
        if self._tokens.scopes_of(caller.authorization) is not None:
            raise ServingError(Code.PERMISSION_DENIED, f"The token lacks the scope {scope.value!r}.")
        where = "on loopback or " if self._trusts_loopback else ""
        raise ServingError(
            Code.UNAUTHENTICATED,
            f"This call is answered {where}with a token of the scope {scope.value!r}, sent as `authorization: Bearer "
            "TOKEN`. The server reads them from --tokens_file.",
        )


def grpc_scope(method: str) -> Scope:
    """Returns the scope that a gRPC method needs, by its full name."""
    if method.startswith(UPDATE_METHODS):
        return Scope.UPDATE
    return Scope.ADMIN if method.startswith(ADMIN_METHODS) else Scope.SEARCH


def is_local(peer: str) -> bool:
    """Returns whether a peer is on this machine.

    Args:
      peer: As gRPC has it: `ipv4:127.0.0.1:5000`, `ipv6:[::1]:5000` (possibly percent-encoded), `unix:`.
    """
    if peer.startswith("unix:"):
        return True
    found = PEER.fullmatch(urllib.parse.unquote(peer))
    return bool(found) and is_loopback(found[1])  # type: ignore[index]


def is_loopback(address: str | None) -> bool:
    """Returns whether an IP address is that of this machine's loopback."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
