"""Drafts of a feed for the two passes of an import: held between them while they are few, else read again."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.feeds.contract.tally import Tally

_Draft = TypeVar("_Draft", bound=ItemDraft | EventDraft)
_MOST_CHARACTERS = 1 << 28  # about, of all drafts that are held
_OF_A_VALUE = 100  # characters that a value takes beside its text


class HeldDrafts(Generic[_Draft]):
    """Drafts of one feed, in the order of its rows.

    Args:
      read: Reads them from the start.
      make_tally: Makes the tally of a pass that reads.
      make_reading: Makes its lookup of columns.

    Attributes:
      tally: Tally of the last pass that read.
      reading: Its lookup of columns, with the notes of the kind.
    """

    def __init__(
        self,
        read: Callable[[Tally, Reading], Iterator[_Draft | Skipped]],
        make_tally: Callable[[], Tally],
        make_reading: Callable[[], Reading],
    ) -> None:
        self._read = read
        self._make_tally = make_tally
        self._make_reading = make_reading
        self.tally, self.reading = make_tally(), make_reading()
        self._held: list[_Draft | Skipped] | None = []

    def first(self) -> Iterator[_Draft | Skipped]:
        """Yields the drafts, and holds them while they are few."""
        characters = 0
        for draft in self._read(self.tally, self.reading):
            if self._held is not None:
                self._held.append(draft)
                characters += _size(draft)
                if characters > _MOST_CHARACTERS:
                    self._held = None
            yield draft

    def second(self) -> Iterator[_Draft | Skipped]:
        """Returns the drafts again; where they are read again, with a tally and a lookup of that pass."""
        if self._held is not None:
            return self._let_go(self._held)
        self.tally, self.reading = self._make_tally(), self._make_reading()
        return self._read(self.tally, self.reading)

    def _let_go(self, held: list[_Draft | Skipped]) -> Iterator[_Draft | Skipped]:
        held.reverse()
        while held:
            yield held.pop()


def _size(draft: ItemDraft | EventDraft | Skipped) -> int:
    """About the characters that a draft takes."""
    if isinstance(draft, Skipped):
        return _OF_A_VALUE
    size = _OF_A_VALUE * (1 + len(draft.values))
    for value in draft.values.values():
        if type(value) is str:
            size += len(value)
        elif type(value) is list or type(value) is dict:
            size += _OF_A_VALUE * len(value)
    return size
