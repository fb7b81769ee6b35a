"""Numbers of keys."""

import tracemalloc

import numpy as np
import pytest

from trainer.tables import id_assigner
from trainer.tables.id_assigner import IdAssigner


@pytest.mark.parametrize("at_once", [1, 2, 512])
def test_keys_are_numbered_as_they_first_occur(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(id_assigner, "_KEYS_AT_ONCE", at_once)
    numbers = IdAssigner(tmp_path / "keys.db")
    first, new = numbers.assign([b"b", b"a", b"b", b"\x00\xff"])
    np.testing.assert_array_equal(first, [0, 1, 0, 2])
    np.testing.assert_array_equal(new, [0, 1, 3])
    second, new = numbers.assign([b"a", b"c", b"", b"c"])
    np.testing.assert_array_equal(second, [1, 3, 4, 3])
    np.testing.assert_array_equal(new, [1, 2])
    assert len(numbers) == 5
    assert second.dtype == np.int32
    none, new = numbers.assign([])
    assert len(none) == len(new) == 0
    numbers.close()
    assert not list(tmp_path.iterdir())


def test_what_is_held_in_memory_does_not_grow_with_the_keys(tmp_path):
    """A hundred thousand keys of 32 bytes would be some 15 MB in a dictionary."""
    numbers = IdAssigner(tmp_path / "keys.db")
    random = np.random.default_rng(0)

    def add():
        keys = [random.bytes(32) for _ in range(1_000)]
        assert numbers.assign(keys)[1].tolist() == list(range(1_000))

    add()
    tracemalloc.start()
    try:
        for _ in range(99):
            add()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(numbers) == 100_000
    assert held < 1_000_000
    numbers.close()
