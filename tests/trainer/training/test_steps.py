import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from trainer.spec.features import Side
from trainer.spec.training import Strategy
from trainer.training.distributed import strategy
from trainer.training.steps import StepMetrics, TrainStep


@pytest.fixture
def eager():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def gradients(rig, numbers, **train):
    """The gradients that one update takes from some batches."""
    config = dataclasses.replace(rig.context.config.train, **train)
    steps = TrainStep(rig.context.model, None, train=config, strategy=tf.distribute.get_strategy())
    stream = iter([tf.nest.map_structure(tf.constant, rig.context.batches.batch(number)) for number in numbers])
    measured = steps.step(stream, numbers[0] // config.gradient_accumulation_steps)
    return measured, [np.asarray(kept) for kept in steps._accumulated]


def test_accumulated_gradients_are_the_mean_of_those_of_their_batches(rig, tmp_path, eager):
    rig.loop(tmp_path)  # everything at its start
    rig.context.snapshots.refresh()
    first, second = gradients(rig, [6]), gradients(rig, [7])
    both, kept = gradients(rig, [6, 7], gradient_accumulation_steps=2)
    for together, one, other in zip(kept, first[1], second[1], strict=True):
        np.testing.assert_allclose(together, (one + other) / 2, atol=1e-6)
    assert both.total == pytest.approx((first[0].total + second[0].total) / 2)
    norm = np.sqrt(sum(float(np.sum(np.square(gradient))) for gradient in kept))
    assert both.gradient_norm == pytest.approx(norm, rel=1e-4)


def test_the_losses_of_two_replicas_have_the_loss_of_the_joined_batch_as_their_mean(rig):
    model, batch = rig.context.model, tf.nest.map_structure(tf.constant, rig.context.batches.batch(3))
    encoded = model.encode_batch(batch)
    whole = model.objective.losses(encoded, batch)
    is_first = tf.range(tf.shape(batch["item_index"])[0]) % 3 == 0
    halves = [
        model.objective.losses(encoded, {**batch, "counted": tf.where(counts, 2.0, 0.0)})
        for counts in (is_first, ~is_first)
    ]
    assert float(halves[0]["retrieval"]) != pytest.approx(float(halves[1]["retrieval"]), rel=0.01)
    for name, loss in whole.items():
        assert float(halves[0][name] + halves[1][name]) / 2 == pytest.approx(float(loss), rel=1e-5), name


def test_step_metrics_report_whether_they_are_finite():
    sound = StepMetrics(losses={"click": 0.5}, total=0.5, gradient_norm=1.0, weights={Side.ITEM: np.ones(2)})
    assert sound.is_finite()
    assert not dataclasses.replace(sound, gradient_norm=float("inf")).is_finite()
    assert not dataclasses.replace(sound, losses={"click": float("nan")}).is_finite()


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
