import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import RUNS
from trainer.ops import hashing


@pytest.mark.parametrize("run", RUNS)
def test_words_become_ids_whatever_their_case_and_punctuation(run):
    def op(texts):
        return hashing.hash_words(texts, length=4, num_hash_buckets=50)

    numbers = run(op, np.array([b"Great lamp!", b"lamp, great", b"", b"a b c d e", b"\xff"], dtype=object))
    assert numbers.shape == (5, 4)
    assert numbers[0, :2].tolist() == numbers[1, 1::-1].tolist()
    assert (numbers[:2, 2:] == 0).all()
    assert (numbers[2] == 0).all()
    assert ((numbers[3] >= 1) & (numbers[3] <= 50)).all()


def test_the_ids_never_change():
    # A bundle is asked in the numbers it was trained in: what a word hashes to is part of the contract.
    assert hashing.hash_words(tf.constant(["good bad"]), length=2, num_hash_buckets=1000).numpy().tolist() == [
        [369, 672]
    ]
    assert hashing.hash_entries(tf.constant([["good", ""]]), num_hash_buckets=1000).numpy().tolist() == [[369, 0]]
