import dataclasses

import pytest
import tensorflow as tf

from trainer.spec.training import LrScaling, Schedule, TrainConfig
from trainer.training.schedule import TrainingPlan, make_learning_rate, make_optimizer, peak_learning_rate


def test_the_plan_stops_at_the_updates_it_is_given():
    config = TrainConfig(epochs=4)
    assert TrainingPlan.from_config(config, 10) == TrainingPlan(epochs=4, epoch_steps=10, steps=40)
    assert TrainingPlan.from_config(dataclasses.replace(config, max_steps=25), 10) == TrainingPlan(
        epochs=3, epoch_steps=10, steps=25
    )
    assert TrainingPlan.from_config(dataclasses.replace(config, max_steps=3), 10) == TrainingPlan(
        epochs=1, epoch_steps=10, steps=3
    )
    # Ten batches are four updates of three batches; the last of them reaches into the next walk.
    assert TrainingPlan.from_config(dataclasses.replace(config, gradient_accumulation_steps=3), 10) == TrainingPlan(
        epochs=4, epoch_steps=4, steps=16
    )


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # A tenth of 100 updates up, ninety down: their middle is update 55, three quarters are over at 77.5.
        (Schedule.COSINE, [0.0, 0.005, 0.01, 0.005, 0.0]),
        (Schedule.LINEAR, [0.0, 0.005, 0.01, 0.005, 0.0]),
        (Schedule.CONSTANT, [0.0, 0.005, 0.01, 0.01, 0.01]),
    ],
)
def test_the_rate_warms_up_and_falls(schedule, expected):
    rate = make_learning_rate(TrainConfig(learning_rate=0.01, schedule=schedule), 100)
    assert [round(float(rate(step)), 5) for step in (0, 5, 10, 55, 100)] == expected


def test_cosine_and_linear_differ_between_their_ends():
    cosine, linear = (
        make_learning_rate(TrainConfig(learning_rate=0.01, schedule=schedule, warmup_fraction=0.0), 100)(75)
        for schedule in (Schedule.COSINE, Schedule.LINEAR)
    )
    # (1 + cos(135°)) / 2 = 0.14645; a quarter is left of the line.
    assert (round(float(cosine), 6), round(float(linear), 6)) == (0.001464, 0.0025)


@pytest.mark.parametrize(
    ("scaling", "expected"), [(LrScaling.NONE, 0.001), (LrScaling.SQRT, 0.003), (LrScaling.LINEAR, 0.009)]
)
def test_the_rate_grows_with_the_rows_of_an_update(scaling, expected):
    # Three replicas and three batches an update: nine times the rows.
    train = TrainConfig(learning_rate=0.001, gradient_accumulation_steps=3, lr_scaling=scaling)
    assert peak_learning_rate(train, replicas=3) == pytest.approx(expected)
    assert peak_learning_rate(dataclasses.replace(train, gradient_accumulation_steps=1), replicas=1) == 0.001


def test_pretrained_weights_move_by_their_share():
    train = TrainConfig(learning_rate=0.01, pretrained_lr_multiplier=0.25, weight_decay=0.0, schedule=Schedule.CONSTANT)
    learned, pretrained = tf.Variable([1.0]), tf.Variable([1.0])
    optimizer = make_optimizer(train, make_learning_rate(train, 100), pretrained=[pretrained])
    optimizer.build([learned, pretrained])
    for _ in range(30):
        optimizer.apply_gradients([(tf.constant([2.0]), learned), (tf.constant([2.0]), pretrained)])
    # Equal gradients: Adam takes whole steps, a tenth of the updates up (0 to 0.009) and twenty of 0.01.
    assert float(learned[0]) == pytest.approx(1.0 - 0.045 - 0.2, abs=1e-4)
    assert float(pretrained[0]) == pytest.approx(1.0 - 0.25 * (0.045 + 0.2), abs=1e-4)
