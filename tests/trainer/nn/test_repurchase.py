"""What a shopper acted on before has an advantage, which is learned by what was acted on next."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.nn import losses
from trainer.nn.heads import RepurchaseHead

HISTORY = {
    "history_age_days": tf.constant([[0.0, 30.0, 0.0]]),
    "history_counts": tf.constant([[1.0, 5.0, 1.0]]),
    "history_present": tf.constant([[True, True, False]]),
}


def test_bonuses_start_at_zero_and_stay_zero_for_absent_entries():
    head = RepurchaseHead(hidden_dim=2)
    assert head(HISTORY, tf.constant([0.0])).numpy().tolist() == [[0.0, 0.0, 0.0]]
    head.bonus.bias.assign([0.5])
    assert head(HISTORY, tf.constant([1.0])).numpy().tolist() == [[0.5, 0.5, 0.0]]
    assert RepurchaseHead.from_config(head.get_config()).hidden_dim == 2


def test_bonuses_depend_on_age_count_and_presence_of_a_query():
    head = RepurchaseHead(hidden_dim=2)
    head(HISTORY, tf.constant([0.0]))
    # Behind the two hidden units stand ln(1 + age), ln(count) and what is asked: ln 31 = 3.434, ln 5 = 1.609.
    for place, wanted in ((2, [0.0, 3.434, 0.0]), (3, [0.0, 1.6094, 0.0]), (4, [1.0, 1.0, 0.0])):
        head.bonus.kernel.assign(np.eye(5)[:, place : place + 1])
        np.testing.assert_allclose(head(HISTORY, tf.constant([1.0]))[0], wanted, atol=1e-3)


def loss(gains, *, history=((71, -1),), probability=(0.5, 0.5, 0.5), weights=(1.0,), items=None):
    """A query like item 70, which is in the batch twice, of a user who acted on item 71."""
    return losses.repurchase_softmax(
        tf.constant([[1.0, 0.0]]),
        tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]) if items is None else items,
        gains,
        scale=tf.constant(2.0),
        history_rows=tf.constant(history),
        item_index=tf.constant([1]),
        item_rows=tf.constant([70, 71, 70]),
        probability=tf.constant(probability),
        weights=tf.constant(weights),
    )


def test_the_loss_by_hand():
    # Logits: 2 (0 + 0.5) = 1 for the item itself, 2 - ln 0.5 = 2.6931 for the other, met in every second batch of one
    # row and counted once: ln(1 + e^1.6931) = 1.8620. What is absent gains nothing.
    assert float(loss(tf.constant([[0.5, 9.0]]))) == pytest.approx(1.8620, abs=1e-4)
    # The other item gains instead: ln(1 + e^(2.6931 + 1)) = 3.7177.
    assert float(loss(tf.constant([[0.5, 9.0]]), history=[[70, -1]])) == pytest.approx(3.7177, abs=1e-4)


def test_rows_without_history_or_action_count_nothing():
    assert float(loss(tf.constant([[0.5, 0.5]]), history=[[-1, -1]])) == 0.0
    assert float(loss(tf.constant([[0.5, 0.5]]), weights=[0.0])) == 0.0


def test_only_the_bonus_gets_a_gradient():
    gains, items = tf.Variable([[0.5, 0.5]]), tf.Variable([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
        found = loss(gains, items=items)
    by_gain, by_item = tape.gradient(found, [gains, items])
    # -2 (1 - softmax) with softmax = 1 / (1 + e^1.6931) = 0.1554.
    np.testing.assert_allclose(tf.convert_to_tensor(by_gain), [[-1.6893, 0.0]], atol=1e-3)
    assert by_item is None
