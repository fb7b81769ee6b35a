import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_shop
from trainer.training.batches import Batches
from trainer.training.fit import fit


def test_training_finds_what_was_clicked(trained_report):
    assert trained_report.value("held_out", "all", "recall@1") > 0.9
    assert trained_report.value("heads", "click", "auc") > 0.9


def test_the_snapshot_is_that_of_the_final_weights(trained):
    items = trained.tables.items
    now = trained.model.encode_items(items.content(np.arange(items.num_items)))["vector"]
    np.testing.assert_allclose(trained.model.snapshot, now, atol=1e-5)


def test_probabilities_keep_to_the_mean_of_the_log(trained):
    # A third of all rows is a click although three quarters of a batch are.
    train = trained.tables.train
    rows = np.arange(train.num_rows)
    queries = trained.model.encode_queries(train.gather_queries(rows))["vector"]
    now = trained.model.encode_items(trained.tables.items.gather(np.arange(24)))["vector"]
    items = tf.gather(now, train.values("item_row"))
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
    further = np.unique(item_rows)
    # The naive way: the content of its item for every row and further day, read and encoded again.
    content_of = np.concatenate([item_rows, further])
    places = np.concatenate([batch["item_index"], np.arange(len(batch["item_rows"]), len(batch["items"]["trend"]))])
    days = {name: batch["items"][name][places] for name in tables.items.days.gather(further[:1], item_rows=further[:1])}
    naive = {
        **batch,
        "items": {**tables.items.content(content_of), **days},
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
