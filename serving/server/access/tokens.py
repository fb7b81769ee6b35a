"""Tokens of callers, each with its scopes, from files that the flags name."""

import enum
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path

MIN_TOKEN_CHARACTERS = 16
BEARER = b"bearer "


class Scope(enum.StrEnum):
    """Kind of call that a token may allow."""

    SEARCH = "search"
    EVENTS = "events"
    UPDATE = "update"
    ADMIN = "admin"


class Tokens:
    """Tokens by their SHA-256; the tokens themselves are not kept.

    Args:
      scopes: {token: its scopes}.
    """

    def __init__(self, scopes: Mapping[str, Iterable[Scope]]) -> None:
        self._scopes = {_digest(token.encode()): frozenset(given) for token, given in scopes.items()}

    @property
    def scopes(self) -> frozenset[Scope]:
        """Every scope that some token has."""
        return frozenset().union(*self._scopes.values())

    def scopes_of(self, authorization: bytes | None) -> frozenset[Scope] | None:
        """Returns the scopes of the token in `Bearer TOKEN`, None without a known one.

        Every known token is compared, each in constant time.
        """
        sent = authorization or b""
        if sent[: len(BEARER)].lower() != BEARER:
            return None
        digest, found = _digest(sent[len(BEARER) :].strip()), None
        for known, scopes in self._scopes.items():
            if hmac.compare_digest(known, digest):
                found = scopes
        return found


def read_tokens(tokens_file: Path | None, admin_token_file: Path | None) -> Tokens:
    """Reads the tokens of both files; without a file there are none.

    Raises:
      ValueError: When a file cannot be used; no message quotes a token.
    """
    found: dict[str, set[Scope]] = {}
    if tokens_file:
        for number, line in enumerate(_text(tokens_file, flag="tokens_file").splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                _add_line(found, line, where=f"--tokens_file: line {number} of {str(tokens_file)!r}")
    if admin_token_file:
        words = _text(admin_token_file, flag="admin_token_file").split()
        if len(words) != 1 or len(words[0]) < MIN_TOKEN_CHARACTERS:
            raise ValueError(
                f"--admin_token_file: {str(admin_token_file)!r} must hold one word of at least {MIN_TOKEN_CHARACTERS} "
                "characters."
            )
        found.setdefault(words[0], set()).add(Scope.ADMIN)
    return Tokens(found)


def _add_line(found: dict[str, set[Scope]], line: str, *, where: str) -> None:
    """Adds the token of a line `TOKEN SCOPE,SCOPE`."""
    token, _, names = line.strip().partition(" ")
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in set(Scope)]
    if unknown or len(token) < MIN_TOKEN_CHARACTERS:
        raise ValueError(
            f"{where} is no token with its scopes; wanted TOKEN SCOPE,SCOPE: a token of at least "
            f"{MIN_TOKEN_CHARACTERS} characters, a blank, and scopes of {', '.join(Scope)}. Correct the line."
        )
    if token in found:
        raise ValueError(f"{where} repeats the token of an earlier line; wanted each once. Join their scopes.")
    found[token] = {Scope(name) for name in wanted}


def _text(path: Path, *, flag: str) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--{flag}: {str(path)!r} cannot be read ({type(error).__name__}).") from error


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
