"""Numbers for keys in the order in which they first occur, on disk: what is held in memory does not grow with them."""

import pathlib
import sqlite3
from collections.abc import Sequence

import numpy as np

_CACHE_KIB = 16_384
_KEYS_AT_ONCE = 512  # below the number of parameters of a statement that any SQLite takes


class Numbering:
    """Gives every distinct key the next number, from 0."""

    def __init__(self, path: pathlib.Path) -> None:
        """Starts anew in the file `path`, which must not exist and is deleted by `close`."""
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

    def numbers(self, keys: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of `keys` [n], and the places among them of those that never occurred before, in their order.

        Returns:
          ([n] int32, [new] int64).
        """
        first: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            first.setdefault(key, place)
        known = self._known(list(first))
        new = [key for key in first if key not in known]
        known.update(zip(new, range(self._size, self._size + len(new)), strict=True))
        self._database.executemany("INSERT INTO numbers VALUES (?, ?)", [(key, known[key]) for key in new])
        self._size += len(new)
        return (
            np.fromiter((known[key] for key in keys), np.int32, len(keys)),
            np.array([first[key] for key in new], np.int64),
        )

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            places = ", ".join("?" * len(part))
            found.update(self._database.execute(f"SELECT key, number FROM numbers WHERE key IN ({places})", part))
        return found
