import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.support.model_inputs import DAILY_INPUTS, random_inputs
from trainer.model.build import build_model
from trainer.model.forecast import day_baselines
from trainer.model.tower import drop_branches, mask_modalities
from trainer.nn.blocks import gather_rows
from trainer.spec.branches import DAILY_MODALITIES, branches_of
from trainer.spec.feature_list import TREND_CHANNELS
from trainer.spec.features import Modality, Side
from trainer.spec.presets import tiny
from trainer.spec.tasks import TaskKind
from trainer.spec.training import LossWeighting, Precision, TrainConfig

CONFIG = dataclasses.replace(tiny(), wire=dataclasses.replace(tiny().wire, num_images=2))
ITEMS, EVENTS = 5, 8
SEEN = np.array([0, 0, 1, 2, 3, 4])  # item 0 is seen on two days, the others on one


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(3)
    model = build_model(CONFIG, num_subwords=50)
    random = np.random.default_rng(5)
    # Weights that start at zero would hide an error in what they multiply.
    for variable in model.trainable_variables:
        variable.assign_add(0.05 * random.normal(size=variable.shape).astype(np.float32))
    model.set_snapshot(random.normal(size=[ITEMS, CONFIG.tower.dim]).astype(np.float32))
    return model


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(11)
    given = {"config": CONFIG, "num_items": ITEMS, "random": random}
    content = [modality for modality in branches_of(Side.ITEM) if modality not in DAILY_MODALITIES]
    values = {
        "query": random_inputs(branches_of(Side.QUERY), side=Side.QUERY, rows=EVENTS, **given),
        "items": {
            **random_inputs(content, side=Side.ITEM, rows=ITEMS, **given),
            **random_inputs(DAILY_MODALITIES, side=Side.ITEM, rows=len(SEEN) + ITEMS, **given),
            "item_number": np.array([1, 2, 0, 3, 4], np.int32),
            "content_of": np.concatenate([SEEN, np.arange(ITEMS)]).astype(np.int32),
        },
        "item_rows": SEEN.astype(np.int32),
        "item_index": np.array([0, 2, 3, 4, 5, 1, 0, 3], np.int32),
        "sampling_probability": np.array([0.4, 0.1, 0.3, 0.1, 0.1], np.float32)[SEEN],
        "day_labels": {
            "label_units": np.array([0, 2, np.nan, 0.5, 7], np.float32),
            # An odd number of them, or the gradients of as many that lie above as below cancel out.
            "label_price": np.array([-1, np.nan, 0.3, np.nan, 1], np.float32),
        },
        "requests": np.array([0, 0, 0, 1, 2, 3, 3, 3], np.int32),
        "review_words": np.array([[0, 0, 0, 0]] * 6 + [[1, 2, 3, 0], [4, 0, 0, 0]], np.int32),
        "labels": {
            "positive": np.array([1, 1, 0, 1, 1, 1, 0, 1], np.float32),
            "label_click": np.array([1, 1, 0, 1, -1, 1, 0, 1], np.float32),
            "label_purchase": np.array([1, 0, 0, -1, 1, 0, 0, 1], np.float32),
            "label_relevance": np.array([3, 1, 0, 1, -1, 1, 0, 3], np.float32),
            "label_intent": np.array([0, -1, -1, 2, 1, 0, -1, -1], np.float32),
            "label_sentiment": np.array([-1, -1, -1, -1, -1, -1, 2, 0], np.float32),
        },
    }
    return tf.nest.map_structure(tf.constant, values)


def _gradients(model, batch):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch)
    gradients = tape.gradient(loss, model.trainable_variables)
    return float(loss), {
        v.name: tf.convert_to_tensor(g) for v, g in zip(model.trainable_variables, gradients, strict=True)
    }


def test_every_variable_learns(model, batch):
    _, gradients = _gradients(model, batch)
    silent = [name for name, gradient in gradients.items() if float(tf.reduce_max(tf.abs(gradient))) == 0.0]
    assert set(silent) <= {"relevance/logit/bias:0"}  # a shift of all scores changes no order; calibration sets it


def test_encoding_each_item_once_gives_the_gradients_of_the_naive_way(model, batch):
    # The naive way: one copy of the item's content for every event, and for every further day, each encoded on its own.
    index = batch["item_index"]
    days = tf.concat([index, tf.range(len(SEEN), len(SEEN) + ITEMS)], axis=0)
    content_of = tf.gather(batch["items"]["content_of"], days)
    items = {
        name: tf.gather(tensor, days if name in DAILY_INPUTS else content_of)
        for name, tensor in batch["items"].items()
        if name != "content_of"
    }
    naive = {
        **batch,
        "items": items,
        "item_rows": tf.gather(batch["item_rows"], index),
        "sampling_probability": tf.gather(batch["sampling_probability"], index),
        "item_index": tf.range(EVENTS),
    }
    loss, expected = _gradients(model, naive)
    value, gradients = _gradients(model, batch)
    assert value == pytest.approx(loss, rel=1e-5)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], gradient, atol=2e-5, err_msg=name)


def test_the_vector_is_the_sum_of_its_branches_over_its_length(model, batch):
    for output, side in (
        (model.encode_items(batch["items"]), Side.ITEM),
        (model.encode_queries(batch["query"]), Side.QUERY),
    ):
        total = tf.reduce_sum(output["branches"], axis=1).numpy()
        assert output["branches"].shape[1] == len(branches_of(side))
        np.testing.assert_allclose(output["vector"], total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("modality", list(Modality))
def test_a_masked_modality_weighs_nothing_and_nothing_becomes_nan(model, batch, modality):
    for encode, inputs, side in (
        (model.encode_items, batch["items"], Side.ITEM),
        (model.encode_queries, batch["query"], Side.QUERY),
    ):
        output = encode({**inputs, **mask_modalities([modality])})
        assert all(np.isfinite(tensor).all() for tensor in output.values())
        whole = encode({**inputs, **mask_modalities([])})["weights"].numpy()
        for place, other in enumerate(branches_of(side)):
            seen = output["weights"][:, place].numpy()
            assert not seen.any() if other is modality else (seen != 0.0).tolist() == (whole[:, place] != 0.0).tolist()
        if modality is Modality.HISTORY and side is Side.QUERY:
            np.testing.assert_array_equal(output["repeats"], 0.0)


def test_a_query_without_branches_has_the_zero_vector(model, batch):
    output = model.encode_queries({**batch["query"], **mask_modalities(tuple(Modality))})
    np.testing.assert_array_equal(output["vector"], 0.0)


def test_a_query_of_nothing_but_a_text_has_the_vector_of_one_whose_other_branches_are_masked(model, batch):
    others = [modality for modality in branches_of(Side.QUERY) if modality is not Modality.TEXT]
    masked = model.encode_queries({**batch["query"], **mask_modalities(others)})
    alone = model.encode_queries({"text_tokens": batch["query"]["text_tokens"]})
    for name in ("vector", "branches", "weights"):
        np.testing.assert_allclose(alone[name], masked[name], atol=1e-6, err_msg=name)
    assert alone["repeats"].shape == (len(batch["query"]["text_tokens"]), 0)


def test_modality_dropout_never_hides_the_last_branch():
    tf.random.set_seed(1)
    present = tf.constant([[True, False, True]] * 500 + [[False, True, False]] * 500)
    kept = drop_branches(present, (0.5, 0.5, 0.5)).numpy()
    assert not kept[~present.numpy()].any()
    assert kept.any(axis=1).all()
    # Of two branches each goes with probability one half; both going (a quarter) puts both back: 1/4 + 1/4 stay whole.
    assert kept[:500][:, [0, 2]].all(axis=1).mean() == pytest.approx(0.5, abs=0.07)


def test_pair_probabilities_lie_between_0_and_1(model, batch):
    items = model.encode_items(batch["items"])["vector"]
    queries = model.encode_queries(batch["query"])["vector"]
    scores = model.score_pairs(queries, tf.repeat(items[tf.newaxis], EVENTS, axis=0))
    assert set(scores) == {"click", "purchase", "relevance"}
    for score in scores.values():
        assert score.shape == (EVENTS, len(SEEN) + ITEMS)
        assert ((score.numpy() > 0) & (score.numpy() < 1)).all()


def test_bfloat16_is_inside_the_encoders_only(model, batch):
    half = build_model(CONFIG, num_subwords=50, precision=Precision.BFLOAT16)
    half.set_snapshot(model.snapshot.numpy())
    for to, source in zip(half.trainable_variables, model.trainable_variables, strict=True):
        assert to.dtype == tf.float32
        to.assign(source)
    assert half.item_tower.encoders["image"].stack.convolutions[0].compute_dtype == "bfloat16"
    assert half.item_tower.encoders["tabular"].project.compute_dtype == "float32"
    for side in (Side.ITEM, Side.QUERY):
        output, exact = half.encode_batch(batch)[side], model.encode_batch(batch)[side]
        assert {tensor.dtype for name, tensor in output.items() if name != "history_rows"} == {tf.float32}
        # Eight bits of mantissa: vectors of length 1 stay within a degree or two of each other.
        assert float(tf.reduce_min(tf.reduce_sum(output["vector"] * exact["vector"], axis=1))) > 0.999
    _, gradients = _gradients(half, batch)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_learned_weights_count_a_loss_by_its_certainty():
    config = dataclasses.replace(CONFIG, train=TrainConfig(loss_weighting=LossWeighting.UNCERTAINTY))
    model = build_model(config, num_subwords=50)
    names = [task.name for task in model.tasks]
    by_task = {name: tf.constant(float(index + 1)) for index, name in enumerate(names)}
    weights, total = model.objective.task_weights, model.objective.total
    assert float(total(by_task)) == pytest.approx(sum((i + 1) * weights[n] for i, n in enumerate(names)))
    model.uncertainty.assign([np.log(2.0)] + [0.0] * (len(names) - 1))
    # The first task counts half of its loss, and ln 2 for saying so.
    change = weights[names[0]] * (0.5 + np.log(2.0) - 1.0)
    assert float(total(by_task)) == pytest.approx(sum((i + 1) * weights[n] for i, n in enumerate(names)) + change)


def test_the_content_of_an_item_is_the_sum_of_its_other_branches(model, batch):
    masked = model.encode_items({**batch["items"], **mask_modalities(DAILY_MODALITIES)})
    whole = model.encode_items(batch["items"])
    content = tf.reduce_sum(whole["branches"][:, : -len(DAILY_MODALITIES)], axis=1)
    np.testing.assert_allclose(masked["vector"], tf.linalg.normalize(content, axis=-1)[0], atol=1e-5)


def test_forecasts_of_an_item_do_not_depend_on_its_price(model, batch):
    def forecasts(items):
        return model.forecast(model.encode_items_without_price(items)["encoded"], items)

    dearer = {**batch["items"], "price_scaled": batch["items"]["price_scaled"] + 3.0}
    now, then = forecasts(batch["items"]), forecasts(dearer)
    assert np.abs(model.encode_items(dearer)["vector"] - model.encode_items(batch["items"])["vector"]).max() > 1e-3
    for name, values in now.items():
        np.testing.assert_allclose(then[name], values, atol=1e-6, err_msg=name)


def test_demand_is_forecast_from_the_series_of_an_item_and_from_nothing_that_names_it(model, batch):
    items = batch["items"]
    encoded = model.encode_items_without_price(items)["encoded"]
    trend = model.item_tower.modalities.index(Modality.TREND)
    names = tf.one_hot(trend, encoded.shape[1])[:, tf.newaxis]  # [branch, 1]
    now = model.forecast(encoded, items)
    others, series = model.forecast(encoded + (1.0 - names), items), model.forecast(encoded + names, items)
    np.testing.assert_array_equal(others["demand"], now["demand"])
    assert np.abs(series["demand"] - now["demand"]).max() > 1e-4
    assert np.abs(others["price"] - now["price"]).max() > 1e-4


def test_encoding_days_later_gives_the_same_as_encoding_them_at_once(model, batch):
    items = batch["items"]
    content = {name: values for name, values in items.items() if name not in DAILY_INPUTS}
    neighbours, present = gather_rows(model.snapshot, items["neighbour_rows"])
    later = model.encode_days(
        model.encode_items_without_price(content)["encoded"],
        {**items, "neighbour_vectors": neighbours, "neighbour_present": present},
    )
    at_once = model.encode_items_without_price(items)
    np.testing.assert_allclose(later["branches"], at_once["branches"][:, -len(DAILY_MODALITIES) :], atol=1e-5)
    forecasts = model.forecast(at_once["encoded"], items)
    np.testing.assert_allclose(later["price"], forecasts["price"], atol=1e-5)
    np.testing.assert_allclose(later["demand"], tf.exp(forecasts["demand"]), rtol=1e-4)


def test_baselines_are_the_last_week_and_the_last_price():
    units = np.log1p(np.array([[0.0] * 7 + [3.0] * 7]))
    series = np.zeros([1, 14, len(TREND_CHANNELS)], np.float32)
    series[..., list(TREND_CHANNELS).index("units")] = units
    days = {"trend": series, "popularity": [2.0], "last_price": [0.7], "last_price_present": [1.0]}
    known, base = day_baselines({name: tf.constant(values) for name, values in days.items()})
    np.testing.assert_allclose(known, [[np.log(4.0), np.log(2.5), 2.0, 0.7, 1.0]], rtol=1e-5)
    assert float(base[TaskKind.COUNT][0]) == pytest.approx(np.log(0.02 + 0.5 * (3.0 + 1.5)), rel=1e-5)
    assert float(base[TaskKind.REGRESSION][0]) == pytest.approx(0.7)
