"""Losses without labels, and the memory of the retrieval softmax, by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from trainer.nn.auxiliary import Alignment, Reconstruction
from trainer.nn.losses import SampledSoftmax

NOTHING = tf.zeros([2, 2])


def aligned(branches, items=(0, 1), temperature=1.0):
    return float(Alignment(temperature=temperature)(NOTHING, tf.constant(branches), tf.constant(items)))


def test_branches_that_agree_cost_what_the_temperature_leaves():
    # Both branches of item 0 are (1, 0), of item 1 (0, 1): logits 1 and 0, so -ln(e / (e + 1)) = 0.3133.
    assert aligned([[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 1.0]]]) == pytest.approx(0.3133, abs=1e-4)
    # At temperature 0.5 the logits are 2 and 0: -ln(e² / (e² + 1)) = 0.1269.
    assert aligned([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]], temperature=0.5) == pytest.approx(
        0.1269, abs=1e-4
    )


def test_branches_that_name_each_other_cost_more():
    # Each branch points where the other item's other branch does: logits 0 and 1, so ln(1 + e) = 1.3133.
    assert aligned([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]) == pytest.approx(1.3133, abs=1e-4)


def test_an_item_with_one_branch_teaches_nothing():
    both = [[1.0, 0.0], [1.0, 0.0]]
    assert aligned([both, [[0.0, 1.0], [0.0, 0.0]]]) == 0.0  # the other item is alone: nothing to be taken for
    assert aligned([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]) == 0.0


def test_rows_about_the_same_item_are_no_negatives_of_each_other():
    assert aligned([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]], items=(4, 4)) == 0.0


def test_reconstruction_is_one_less_the_cosine_of_the_present_branches():
    layer = Reconstruction(num_branches=2, dim=2, hidden_dim=3)
    branches = tf.constant([[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [3.0, 4.0]]])
    layer(NOTHING, branches, tf.constant([0, 1]))
    layer.decode.kernel.assign(tf.zeros_like(layer.decode.kernel))
    layer.decode.bias.assign([1.0, 0.0, 1.0, 0.0])  # (1, 0) is decoded for both branches of both items
    # 1 - 1 for the first item's first branch, its second is absent; 1 - 0 and 1 - 3/5 for the second: mean of 0, 1, 0.4
    assert float(layer(NOTHING, branches, tf.constant([0, 1]))) == pytest.approx(1.4 / 3.0)


def test_reconstruction_gives_no_gradient_to_the_branches():
    layer, branches = Reconstruction(num_branches=2, dim=2), tf.constant(np.ones([1, 2, 2], np.float32))
    vectors = tf.constant([[0.3, -0.4]])
    with tf.GradientTape() as tape:
        tape.watch([vectors, branches])
        loss = layer(vectors, branches, tf.constant([0]))
    by_vectors, by_branches = tape.gradient(loss, [vectors, branches])
    assert by_branches is None
    assert float(tf.reduce_max(tf.abs(by_vectors))) > 0.0


def loss_of(layer, *, items, rows, index=(0,), probability=None):
    probability = [1.0] * len(rows) if probability is None else probability
    return float(
        layer(
            tf.constant([[1.0, 0.0]] * len(index)),
            tf.constant(items),
            item_index=tf.constant(index),
            item_rows=tf.constant(rows),
            probability=tf.constant(probability),
            weights=tf.constant([1.0] + [0.0] * (len(index) - 1)),
        )
    )


THREE = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]


def test_only_the_hardest_negatives_count():
    every = SampledSoftmax(temperature=1.0)
    hardest = SampledSoftmax(temperature=1.0, num_hard_negatives=1)
    setting = {"items": THREE, "rows": [5, 6, 7], "index": (0, 1, 2)}
    # Logits 1, 0.8 and 0: ln(e + e^0.8 + 1) - 1 with all of them, ln(e + e^0.8) - 1 with the hardest.
    assert loss_of(every, **setting) == pytest.approx(math.log(math.e + math.exp(0.8) + 1.0) - 1.0, rel=1e-5)
    assert loss_of(hardest, **setting) == pytest.approx(math.log(math.e + math.exp(0.8)) - 1.0, rel=1e-5)


def test_items_that_no_row_is_about_are_negatives():
    layer = SampledSoftmax(temperature=1.0)
    # Items 6 and 7 came into the batch without a row.
    assert loss_of(layer, items=THREE, rows=[5, 6, 7]) == pytest.approx(
        math.log(math.e + math.exp(0.8) + 1.0) - 1.0, rel=1e-5
    )
    # logQ is taken off them too: 0 - ln 0.5 for the last.
    assert loss_of(layer, items=THREE, rows=[5, 6, 7], probability=[1.0, 1.0, 0.5]) == pytest.approx(
        math.log(math.e + math.exp(0.8) + 2.0) - 1.0, rel=1e-5
    )


def test_items_of_earlier_batches_are_negatives_until_the_memory_bank_is_full():
    layer = SampledSoftmax(temperature=1.0, memory_bank_size=2, key_dim=2)
    one = {"items": [[1.0, 0.0]], "rows": [5]}
    layer.update_memory_bank(tf.constant([[0.8, 0.6]]), tf.constant([6]), tf.constant([1.0]))
    assert loss_of(layer, **one) == pytest.approx(math.log(math.e + math.exp(0.8)) - 1.0, rel=1e-5)
    layer.update_memory_bank(tf.constant([[0.0, 1.0]]), tf.constant([7]), tf.constant([1.0]))
    assert loss_of(layer, **one) == pytest.approx(math.log(math.e + math.exp(0.8) + 1.0) - 1.0, rel=1e-5)
    # The batch's own version of an item counts, not the remembered one.
    assert loss_of(layer, items=[[1.0, 0.0], [0.0, 1.0]], rows=[5, 6], index=(0, 1)) == pytest.approx(
        math.log(math.e + 1.0 + 1.0) - 1.0, rel=1e-5
    )
    # A newer version of an item takes the place of the older one; a third item pushes out the oldest.
    layer.update_memory_bank(tf.constant([[0.6, 0.8]]), tf.constant([6]), tf.constant([1.0]))
    assert layer.memory_bank.rows.numpy().tolist() == [6, 7]
    layer.update_memory_bank(tf.constant([[0.0, -1.0]]), tf.constant([8]), tf.constant([1.0]))
    assert layer.memory_bank.rows.numpy().tolist() == [8, 6]
    assert loss_of(layer, **one) == pytest.approx(math.log(math.e + 1.0 + math.exp(0.6)) - 1.0, rel=1e-5)


def test_the_memory_bank_gets_no_gradient():
    layer = SampledSoftmax(temperature=1.0, memory_bank_size=2, key_dim=2)
    assert not layer.trainable_variables
    layer.update_memory_bank(tf.constant([[0.8, 0.6]]), tf.constant([6]), tf.constant([1.0]))
    np.testing.assert_allclose(layer.memory_bank.keys.numpy(), [[0.8, 0.6], [0.0, 0.0]])
