import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from trainer.spec.features import Side
from trainer.spec.training import Strategy
from trainer.training import strategy
from trainer.training.steps import Measured, Steps, gather


@pytest.fixture
def eager():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def gradients(rig, numbers, **train):
    """The gradients that one update takes from some batches."""
    config = dataclasses.replace(rig.parts.config.train, **train)
    steps = Steps(rig.parts.model, None, train=config, strategy=tf.distribute.get_strategy())
    stream = iter([tf.nest.map_structure(tf.constant, rig.parts.batches.batch(number)) for number in numbers])
    measured = steps.step(stream, numbers[0] // config.accumulate)
    return measured, [np.asarray(kept) for kept in steps._sums]


def test_accumulated_gradients_are_the_mean_of_those_of_their_batches(rig, tmp_path, eager):
    rig.loop(tmp_path)  # everything at its start
    rig.parts.snapshots.refresh()
    first, second = gradients(rig, [6]), gradients(rig, [7])
    both, kept = gradients(rig, [6, 7], accumulate=2)
    for together, one, other in zip(kept, first[1], second[1], strict=True):
        np.testing.assert_allclose(together, (one + other) / 2, atol=1e-6)
    assert both.total == pytest.approx((first[0].total + second[0].total) / 2)
    norm = np.sqrt(sum(float(np.sum(np.square(gradient))) for gradient in kept))
    assert both.gradient_norm == pytest.approx(norm, rel=1e-4)


def test_what_a_step_measures_says_whether_it_is_sound():
    sound = Measured(losses={"click": 0.5}, total=0.5, gradient_norm=1.0, weights={Side.ITEM: np.ones(2)})
    assert sound.is_finite()
    assert not dataclasses.replace(sound, gradient_norm=float("inf")).is_finite()
    assert not dataclasses.replace(sound, losses={"click": float("nan")}).is_finite()


class TwoReplicas:
    """The second of two replicas; the first one's rows stand before its own."""

    replica_id_in_sync_group = 1

    def __init__(self, other):
        self._other = iter(other)

    def all_gather(self, tensor, axis):
        return tf.concat([tf.constant(next(self._other), tensor.dtype), tensor], axis)


def test_gathered_rows_point_to_their_own_items():
    # Replica 0 has items 7 and 9 and rows of both; replica 1 has item 4 and two rows of it.
    batch = {
        "item_rows": tf.constant([4]),
        "item_index": tf.constant([0, 0]),
        "sampling_probability": tf.constant([0.5]),
        "requests": tf.constant([12, 12]),
        "labels": {"positive": tf.constant([1.0, 0.0])},
        "day_labels": {"label_units": tf.constant([4.0])},
    }
    encoded = {
        Side.ITEM: {"vector": tf.constant([[3.0]])},
        Side.QUERY: {"vector": tf.constant([[5.0], [6.0]])},
        Side.DAY: {"demand": tf.constant([0.3])},
    }
    of_batch = [[7.0, 9.0], [0, 1], [7, 9], [1.0, 1.0], [11, 12], [0.2, 0.3]]
    others = [[2], [0.1, 0.2], [[1.0], [2.0]], [[8.0], [9.0]], *of_batch]
    # In the order of gathering: sizes, days, items, queries, then by name: labels of days, index, rows, labels,
    # requests, probability.
    vectors, joined = gather(encoded, batch, TwoReplicas(others))
    assert vectors[Side.ITEM]["vector"][:, 0].numpy().tolist() == [1.0, 2.0, 3.0]
    assert vectors[Side.QUERY]["vector"][:, 0].numpy().tolist() == [8.0, 9.0, 5.0, 6.0]
    assert joined["item_rows"].numpy().tolist() == [7, 9, 4]
    # The rows of replica 1 point behind the two items of replica 0.
    assert joined["item_index"].numpy().tolist() == [0, 1, 2, 2]
    assert joined["labels"]["positive"].numpy().tolist() == [1.0, 1.0, 1.0, 0.0]
    np.testing.assert_allclose(vectors[Side.DAY]["demand"], [0.1, 0.2, 0.3])
    assert joined["day_labels"]["label_units"].numpy().tolist() == [7.0, 9.0, 4.0]
    assert joined["requests"].numpy().tolist() == [11, 12, 12, 12]


def test_several_workers_need_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="run.strategy is multi_worker and TF_CONFIG holds no cluster"):
        strategy.make_strategy(Strategy.MULTI_WORKER)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"], "evaluator": ["d:1"]}}')
    assert strategy.cluster_size() == 3


@pytest.mark.parametrize(
    ("members", "task", "writes"),
    [
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("chief", 0), True),
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("worker", 0), False),
        ({"worker": ["a:1", "b:1"]}, ("worker", 0), True),
        ({"worker": ["a:1", "b:1"]}, ("worker", 1), False),
    ],
)
def test_one_worker_writes(members, task, writes):
    resolver = types.SimpleNamespace(
        task_type=task[0], task_id=task[1], cluster_spec=lambda: types.SimpleNamespace(as_dict=lambda: members)
    )
    assert strategy.is_chief(types.SimpleNamespace(cluster_resolver=resolver)) is writes
    assert strategy.is_chief(types.SimpleNamespace(cluster_resolver=None))
