"""Id assignment on disk: consecutive ids for keys by first occurrence, in memory that their number does not change."""

import pathlib
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_CACHE_KIB = 16_384
_KEYS_AT_ONCE = 512  # below the number of parameters of a statement that any SQLite takes


class Assigned(NamedTuple):
    """Ids of a batch of keys.

    Attributes:
      ids: [n] int32, of every key.
      new: [new] int64, positions of the keys that never occurred before, in their order.
    """

    ids: np.ndarray
    new: np.ndarray


class IdAssigner:
    """Assigns every distinct key the next id, from 0."""

    def __init__(self, path: pathlib.Path) -> None:
        """Starts empty in the file `path`, which must not exist and is deleted by `close`."""
        self._path = path
        self._size = 0
        self._database = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE numbers (key BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __len__(self) -> int:
        """Distinct keys so far."""
        return self._size

    def close(self) -> None:
        """Deletes the file."""
        self._database.close()
        self._path.unlink(missing_ok=True)

    def assign(self, keys: Sequence[bytes]) -> Assigned:
        """Returns the ids of `keys` [n], new ones where they never occurred before."""
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        known = self._known(list(first))
        new = [key for key in first if key not in known]
        known.update(zip(new, range(self._size, self._size + len(new)), strict=True))
        self._database.executemany("INSERT INTO numbers VALUES (?, ?)", [(key, known[key]) for key in new])
        self._size += len(new)
        return Assigned(
            np.fromiter((known[key] for key in keys), np.int32, len(keys)),
            np.array([first[key] for key in new], np.int64),
        )

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        known: dict[bytes, int] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            parameters = ", ".join("?" * len(part))
            known.update(self._database.execute(f"SELECT key, number FROM numbers WHERE key IN ({parameters})", part))
        return known
