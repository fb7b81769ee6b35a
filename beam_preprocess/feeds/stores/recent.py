"""Recent entries: a mapping of bounded size that forgets what was set longest ago."""

import collections
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Recent(Generic[_Key, _Value]):
    """Mapping of the entries set last.

    Exports are sorted by product or order, but people sort them again: entries of long ago are rarely asked for, and
    all of them would not fit into memory.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: collections.OrderedDict[_Key, _Value] = collections.OrderedDict()

    def set(self, key: _Key, value: _Value) -> None:
        """Sets an entry, and forgets the oldest one beyond the limit."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def get(self, key: _Key) -> _Value | None:
        """Returns an entry, None where it is not there."""
        return self._entries.get(key)
