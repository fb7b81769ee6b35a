import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_shop
from trainer.batches import Batches
from trainer.spec.config import TrainConfig
from trainer.train import EpochLines, Plan, StopOnBadLoss, fit, make_optimizer, mean_shift


def test_training_finds_what_was_clicked(trained_report):
    assert trained_report.value("held_out", "all", "recall@1") > 0.9
    assert trained_report.value("heads", "click", "auc") > 0.9


def test_the_snapshot_is_that_of_the_final_weights(trained):
    items = trained.tables.items
    now = trained.model.encode_items(items.gather(np.arange(items.num_items)))["vector"]
    np.testing.assert_allclose(trained.model.snapshot, now, atol=1e-5)


def test_probabilities_keep_to_the_mean_of_the_log(trained):
    # A third of all rows is a click although three quarters of a batch are.
    train = trained.tables.train
    rows = np.arange(train.num_rows)
    queries = trained.model.encode_queries(train.gather_queries(rows))["vector"]
    items = tf.gather(trained.model.snapshot, train.values("item_row"))
    clicks = trained.model.score_pairs(queries, items[:, tf.newaxis])["click"]
    assert float(tf.reduce_mean(clicks)) == pytest.approx(1 / 3, abs=0.01)


def test_a_run_that_is_done_is_not_done_again(trained, shop, work_dir):
    again = fit(tiny_shop.CONFIG, shop, work_dir=work_dir, log_dir=work_dir / "logs")
    assert again.model_id == trained.model_id


def test_a_batch_from_the_store_gives_the_gradients_of_the_naive_way(trained):
    tables = trained.tables
    batches = Batches(tables.train, items=tables.items, batch_size=32, seed=1)
    batch, rows = batches.batch(0), batches.rows(0)
    assert len(batch["item_rows"]) < len(rows)
    item_rows = tables.train.values("item_row")[rows]
    # The naive way: the content of its item for every row, read and encoded again.
    naive = {
        **batch,
        "items": tables.items.gather(item_rows),
        "item_rows": item_rows,
        "item_index": np.arange(len(rows), dtype=np.int32),
        "sampling_probability": batch["sampling_probability"][batch["item_index"]],
    }
    variables = trained.model.trainable_variables
    gradients = []
    for inputs in (batch, naive):
        with tf.GradientTape() as tape:
            loss = trained.model.compute_loss(tf.nest.map_structure(tf.constant, inputs))
        gradients.append(tape.gradient(loss, variables, unconnected_gradients="zero"))
    for variable, once, naively in zip(variables, *gradients, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(once), tf.convert_to_tensor(naively), atol=1e-5, err_msg=variable.name
        )


def test_the_plan_stops_at_the_steps_it_is_given():
    config = TrainConfig(epochs=4)
    assert Plan.of(config, 10) == Plan(epochs=4, epoch_steps=10, steps=40)
    assert Plan.of(dataclasses.replace(config, max_steps=25), 10) == Plan(epochs=2, epoch_steps=10, steps=20)
    assert Plan.of(dataclasses.replace(config, max_steps=3), 10) == Plan(epochs=1, epoch_steps=3, steps=3)


def test_the_rate_warms_up_and_falls_to_nothing():
    rate = make_optimizer(TrainConfig(learning_rate=0.01), 100)._learning_rate
    # A tenth of 100 steps up, ninety down along a cosine: its middle is step 55.
    assert [round(float(rate(step)), 5) for step in (0, 5, 10, 55, 100)] == [0.0, 0.005, 0.01, 0.005, 0.0]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_bad_loss_stops_the_run(loss):
    with pytest.raises(FloatingPointError, match=f"loss is {loss} at step 4 .*Lower train.learning_rate"):
        StopOnBadLoss().on_train_batch_end(4, {"loss": loss})
    StopOnBadLoss().on_train_batch_end(4, {"loss": 1.0})


def test_the_shift_brings_the_mean_to_its_place():
    # Two logits of 0 have probability one half; 0.2 is a logit of ln(0.2 / 0.8) = -1.3863.
    assert mean_shift(np.zeros(2), 0.2) == pytest.approx(-1.3863, abs=1e-4)
    assert mean_shift(np.array([3.0]), 0.5) == pytest.approx(-3.0, abs=1e-6)


def test_an_epoch_is_one_line(capsys, monkeypatch):
    clock = iter([100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    lines = EpochLines()
    lines.set_params({"epochs": 5})
    lines.on_train_begin()
    lines.on_epoch_end(1, {"loss": 2.5})  # continued at the second epoch: three more of ten seconds
    assert capsys.readouterr().out == "epoch 2/5: loss 2.500, 10 s, about 30 s left\n"
