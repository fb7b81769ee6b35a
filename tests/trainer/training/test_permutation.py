import numpy as np
import pytest

from trainer.training.permutation import permuted_index


@pytest.mark.parametrize("length", [1, 2, 3, 16, 17, 1000, 4097])
def test_every_place_is_taken_once(length):
    assert sorted(permuted_index(np.arange(length), length=length, key=(5, 0, 0))) == list(range(length))


def test_a_place_follows_from_its_position_and_key_alone():
    whole = permuted_index(np.arange(1000), length=1000, key=(5, 0, 0))
    np.testing.assert_array_equal(permuted_index(np.array([7, 999, 3]), length=1000, key=(5, 0, 0)), whole[[7, 999, 3]])
    assert not np.array_equal(permuted_index(np.arange(1000), length=1000, key=(5, 0, 1)), whole)


def test_neighbours_do_not_stay_together():
    # In a random order of n the mean distance of neighbours is a third of n, here with a deviation below 2 %.
    order = permuted_index(np.arange(10_000), length=10_000, key=(1, 2, 3))
    assert np.abs(np.diff(order)).mean() == pytest.approx(10_000 / 3, rel=0.05)
    assert abs(np.corrcoef(np.arange(10_000), order)[0, 1]) < 0.05
