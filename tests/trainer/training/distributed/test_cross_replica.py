import numpy as np
import tensorflow as tf

from trainer.spec.features import Side
from trainer.training.distributed.cross_replica import all_gather, all_reduce_sum


class Replica:
    """One of two replicas: keeps what it sends, and gets what the other one has sent, or its own again."""

    num_replicas_in_sync = 2

    def __init__(self, number, other=None):
        self.replica_id_in_sync_group = number
        self.sent = []
        self._other = iter(other.sent) if other else None

    def all_gather(self, tensor, axis):
        self.sent.append(tensor)
        return tf.concat([tensor if self._other is None else next(self._other), tensor], axis)

    def all_reduce(self, op, tensor):
        assert op is tf.distribute.ReduceOp.SUM
        return 2 * tensor


def batch_of(*, items, index, probability, requests, positive, units):
    return {
        "item_rows": tf.constant(items),
        "item_index": tf.constant(index),
        "sampling_probability": tf.constant(probability),
        "requests": tf.constant(requests),
        "labels": {"positive": tf.constant(positive)},
        "day_labels": {"label_units": tf.constant(units)},
    }


def encoded_of(*, items, queries, demand):
    return {
        Side.ITEM: {"vector": tf.constant(items)},
        Side.QUERY: {"vector": tf.constant(queries)},
        Side.ITEM_DAY: {"demand": tf.constant(demand)},
    }


def test_gathered_rows_point_to_their_own_items():
    # Replica 0 has items 7 and 9 and rows of both; replica 1 has item 4 and three rows of it.
    first = Replica(0)
    all_gather(
        encoded_of(items=[[1.0, -1.0], [2.0, -2.0]], queries=[[8.0], [9.0]], demand=[0.1, 0.2]),
        batch_of(
            items=[7, 9], index=[0, 1], probability=[0.2, 0.3], requests=[11, 12], positive=[1.0, 1.0], units=[7.0, 9.0]
        ),
        first,
    )
    second = Replica(1, first)
    vectors, joined = all_gather(
        encoded_of(items=[[3.0, -3.0]], queries=[[5.0], [6.0], [4.0]], demand=[0.3]),
        batch_of(
            items=[4],
            index=[0, 0, 0],
            probability=[0.5],
            requests=[12, 12, 13],
            positive=[1.0, 0.0, 1.0],
            units=[4.0],
        ),
        second,
    )
    np.testing.assert_array_equal(vectors[Side.ITEM]["vector"], [[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    assert vectors[Side.QUERY]["vector"][:, 0].numpy().tolist() == [8.0, 9.0, 5.0, 6.0, 4.0]
    np.testing.assert_allclose(vectors[Side.ITEM_DAY]["demand"], [0.1, 0.2, 0.3])
    assert joined["item_rows"].numpy().tolist() == [7, 9, 4]
    # The rows of replica 1 point behind the two items of replica 0.
    assert joined["item_index"].numpy().tolist() == [0, 1, 2, 2, 2]
    assert joined["item_index"].dtype == tf.int32
    np.testing.assert_allclose(joined["sampling_probability"], [0.2, 0.3, 0.5])
    assert joined["labels"]["positive"].numpy().tolist() == [1.0, 1.0, 1.0, 0.0, 1.0]
    assert joined["day_labels"]["label_units"].numpy().tolist() == [7.0, 9.0, 4.0]
    assert joined["requests"].numpy().tolist() == [11, 12, 12, 12, 13]
    assert joined["counted"].numpy().tolist() == [0.0, 0.0, 2.0, 2.0, 2.0]
    assert len(second.sent) == 3  # sizes, floats and integers, however many tensors there are


def test_the_gradient_of_what_was_gathered_reaches_the_rows_of_this_replica():
    first = Replica(0)
    batch = batch_of(items=[7], index=[0], probability=[1.0], requests=[1], positive=[1.0], units=[1.0])
    all_gather(encoded_of(items=[[1.0]], queries=[[2.0]], demand=[3.0]), batch, first)
    own = tf.Variable([[5.0]])
    with tf.GradientTape() as tape:
        encoded = {**encoded_of(items=[[1.0]], queries=[[2.0]], demand=[3.0]), Side.ITEM: {"vector": own * 1.0}}
        vectors, _ = all_gather(encoded, batch, Replica(1, first))
        loss = tf.reduce_sum(tf.gather(vectors[Side.ITEM]["vector"], [1, 1, 0]) * [[10.0], [1.0], [100.0]])
    np.testing.assert_array_equal(tape.gradient(loss, own), [[11.0]])


def test_sums_over_replicas_keep_their_shapes():
    found = all_reduce_sum({"b": tf.constant([[1.0, 2.0], [3.0, 4.0]]), "a": [tf.constant(5.0)]}, Replica(0))
    assert found["b"].numpy().tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert float(found["a"][0]) == 10.0
