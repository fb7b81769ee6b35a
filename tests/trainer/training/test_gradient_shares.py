import numpy as np
import pytest
import tensorflow as tf

from trainer.training.gradient_shares import GradientShares


class TwoHeads:
    """Losses w² and 3u of the variables w = 2 and u, weighted 1 and 2; a third is constant."""

    names = ("near", "far", "silent")

    def __init__(self):
        self.objective = self
        self.w, self.u = tf.Variable([2.0]), tf.Variable([1.0])
        self.trainable_variables = [self.w, self.u]

    def encode_batch(self, batch):
        return batch["rows"]

    def losses(self, encoded, batch):
        ones = tf.reduce_mean(encoded)
        return {"near": ones * self.w[0] ** 2, "far": 3.0 * self.u[0], "silent": tf.constant(7.0)}

    def weighted(self, by_name):
        return {"near": by_name["near"], "far": 2.0 * by_name["far"], "silent": by_name["silent"]}


def test_shares_are_those_of_the_lengths_of_the_gradients():
    shares = GradientShares(TwoHeads())
    # 2w = 4 and 2 · 3 = 6 and nothing, of 10
    batch = {"rows": np.ones([3], np.float32)}
    assert shares.measure(batch) == pytest.approx({"near": 0.4, "far": 0.6, "silent": 0.0})
    assert shares.measure({"rows": np.ones([5], np.float32)}) == pytest.approx({"near": 0.4, "far": 0.6, "silent": 0.0})
