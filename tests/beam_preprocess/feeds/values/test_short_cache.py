"""Cache of short texts: each of them is computed once, a long one each time and never kept."""

import gc
import os
import weakref

from beam_preprocess.feeds import join
from beam_preprocess.feeds.events import event_type
from beam_preprocess.feeds.values.ids import identifier
from beam_preprocess.feeds.values.numbers import currency
from beam_preprocess.feeds.values.short_cache import LONGEST, cached_short
from benchmarks.serving.memory import resident_megabytes
from trainer.pseudonyms import pseudonym


class _Text(str):
    """Text that a weak reference can watch."""


def test_a_short_text_is_computed_once_and_a_long_one_each_time():
    asked = []

    @cached_short(8)
    def size(text):
        asked.append(text)
        return len(text)

    short, long = "x" * LONGEST, "x" * (LONGEST + 1)
    assert [size(short), size(short), size(long), size(long)] == [LONGEST, LONGEST, LONGEST + 1, LONGEST + 1]
    assert asked == [short, long, long]


def test_a_long_text_is_not_kept():
    long = _Text("x" * 1000)
    watched = weakref.ref(long)
    cached_short(8)(len)(long)
    del long
    gc.collect()
    assert watched() is None


def test_cells_of_a_million_characters_do_not_stay_in_memory():
    before = resident_megabytes(os.getpid())
    for number in range(200):
        cell = f"{number}" + "x" * 1_000_000
        assert identifier(cell).value == cell
        assert join._canonical(cell) == cell
        assert not currency(cell)
        assert event_type(cell) is None
        assert len(pseudonym(cell, b"key")) == 64
    assert resident_megabytes(os.getpid()) - before < 60  # each cache alone would hold 200 MB
