import numpy as np

from trainer.training.vocabulary_alignment import remap_rows, restore_retired_rows, retire_rows, row_mapping


def test_rows_follow_their_names():
    # Old: absent, a, b, c, two spare. New: absent, c, d, a, two spare; b is gone, d is new.
    moved = row_mapping(["a", "b", "c"], ["c", "d", "a"], first=1, num_oov=2)
    assert moved == {0: 0, 1: 3, 3: 1, 4: 4, 5: 5}
    old = np.arange(6.0)[:, np.newaxis] * 10
    fresh = np.full([6, 1], -1.0)
    assert remap_rows(old, fresh, moved)[:, 0].tolist() == [0.0, 30.0, -1.0, 10.0, 40.0, 50.0]
    # A table that grew by one: the spare rows move behind it.
    assert row_mapping(["a"], ["a", "b"], first=1, num_oov=1) == {0: 0, 1: 1, 2: 3}


def test_rows_of_names_that_go_are_kept_and_put_back():
    table = np.arange(4.0)[:, np.newaxis] * 10  # absent, a, b, c
    before = {"x": np.float64([7.0]), "y": np.float64([8.0])}
    kept = retire_rows(table, names=["a", "b", "c"], kept=["c", "y"], retired=before)
    # a and b go now, x went before, y is back.
    assert {name: row.tolist() for name, row in kept.items()} == {"a": [10.0], "b": [20.0], "x": [7.0]}
    back = restore_retired_rows(np.zeros([4, 1]), ["c", "x", "b"], kept)
    assert back[:, 0].tolist() == [0.0, 0.0, 7.0, 20.0]
    # No more than the table has rows: what went longest ago is dropped.
    many = {str(number): np.float64([number]) for number in range(9)}
    assert list(retire_rows(table, names=["a"], kept=[], retired=many)) == ["a", "0", "1", "2"]
