"""Pseudonyms of users and sessions: a keyed hash of the id, with the keys from the environment.

An id that was hashed before it reached a log carries a mark there, so that no reader hashes it again: `hmac:HASH`, and
`hmac:HASH:EARLIER` while keys are changed, where EARLIER is the hash by the key before.
"""

import dataclasses
import functools
import hmac
import os
import re

VARIABLE, PREVIOUS_VARIABLE = "VITRINE_USER_KEY", "VITRINE_USER_KEY_PREVIOUS"
DEMO_USER_KEY = b"vitrine"  # public: for generated shops and public data sets, whose users are no persons
LONGEST_KEPT = 256  # characters of an id whose hash is kept; a damaged log may hold ids of a million
MARKED = re.compile(r"hmac:([0-9a-f]{64})(?::([0-9a-f]{64}))?")


class MissingUserKeyError(ValueError):
    """A log carries users, and no key is set that hides them."""

    def __init__(self) -> None:
        super().__init__(
            f"The events carry users or sessions, and {VARIABLE} is not set; wanted the key of the hash that stands "
            f"for them. Make one and keep it secret: export {VARIABLE}=$(openssl rand -hex 32)"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedId:
    """Pseudonym of an id in a log.

    Attributes:
      pseudonym: The hash by the key of now.
      earlier: The hash by the key before, "" where it is not known.
    """

    pseudonym: str
    earlier: str = ""

    @property
    def marked(self) -> str:
        """The form of it in a log."""
        return ":".join(filter(None, ("hmac", self.pseudonym, self.earlier)))


@dataclasses.dataclass(frozen=True, slots=True)
class UserKeys:
    """Keys of pseudonyms.

    Attributes:
      key: The key of now; empty: not set.
      previous: The key before, while keys are changed; empty: none.
    """

    key: bytes = dataclasses.field(default=b"", repr=False)
    previous: bytes = dataclasses.field(default=b"", repr=False)

    def or_demo(self) -> "UserKeys":
        """Returns the public key of the demo where none is set."""
        return self if self.key else UserKeys(DEMO_USER_KEY)

    def logged(self, name: str) -> LoggedId:
        """Returns the pseudonym of an id, or what its mark holds.

        Raises:
          MissingUserKeyError: There is no key.
        """
        marked = MARKED.fullmatch(name)
        if marked:
            return LoggedId(marked[1], marked[2] or "")
        if not self.key:
            raise MissingUserKeyError
        return LoggedId(pseudonym(name, self.key), pseudonym(name, self.previous) if self.previous else "")


def user_keys() -> UserKeys:
    """Returns the keys of the environment."""
    return UserKeys(*(os.environ.get(name, "").encode() for name in (VARIABLE, PREVIOUS_VARIABLE)))


def pseudonym(name: str, key: bytes) -> str:
    """Returns the keyed hash of an id, hexadecimal: HMAC-SHA-256."""
    return _kept_pseudonym(name, key) if len(name) <= LONGEST_KEPT else _keyed_hash(name, key)


@functools.lru_cache(maxsize=100_000)
def _kept_pseudonym(name: str, key: bytes) -> str:
    return _keyed_hash(name, key)


def _keyed_hash(name: str, key: bytes) -> str:
    return hmac.digest(key, name.encode(errors="replace"), "sha256").hex()
