"""The model with what is off by default: every loss is finite, everything learns."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.hub_modules import MeanColour, saved
from tests.support.model_inputs import DAILY_INPUTS
from tests.trainer.model.test_model import CONFIG, ITEMS, _gradients, batch  # noqa: F401  the batch is a fixture
from trainer.model.build import build_model
from trainer.nn.blocks import gather_rows
from trainer.spec.branches import DAILY_MODALITIES, branches_of
from trainer.spec.config import override
from trainer.spec.features import Modality, Side
from trainer.spec.tower import SimilarityKind

OPTIONS = (
    *(
        "train.alignment_weight=0.5",
        "train.reconstruction_weight=0.25",
        "train.memory_bank_size=7",
        "train.num_hard_negatives=2",
    ),
    *("tower.vision.temporal_encoder=cnn", "tower.history.gru_units=4"),
)


def made(*assignments: str):
    tf.keras.utils.set_random_seed(3)
    config = override(CONFIG, assignments)
    model = build_model(config, num_subwords=50)
    random = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign_add(0.05 * random.normal(size=variable.shape).astype(np.float32))
    model.set_snapshot(random.normal(size=[ITEMS, config.tower.dim]).astype(np.float32))
    return model


def test_every_option_together_learns(batch):  # noqa: F811
    model = made(*OPTIONS)
    encoded = model.encode_batch(batch)
    by_name = model.objective.losses(encoded, batch)
    weighted = model.objective.weighted(by_name)
    assert set(weighted) == {task.name for task in model.tasks} | {"alignment", "reconstruction"}
    np.testing.assert_allclose(weighted["alignment"], 0.5 * by_name["alignment"])
    np.testing.assert_allclose(
        model.objective.total(by_name), sum(float(value) for value in weighted.values()), rtol=1e-5
    )
    _, gradients = _gradients(model, batch)
    silent = {name for name, gradient in gradients.items() if float(tf.reduce_max(tf.abs(gradient))) == 0.0}
    assert silent <= {"relevance/logit/bias:0"}
    model.objective.update_memory_bank(encoded, batch)
    kept = set(model.heads["retrieval"].memory_bank.rows.numpy().tolist())
    assert kept == {*batch["item_rows"].numpy().tolist(), -1}


@pytest.mark.parametrize("similarity", [s for s in SimilarityKind if s is not SimilarityKind.COSINE])
def test_retrieval_learns_by_every_similarity(batch, similarity):  # noqa: F811
    model = made(f"tower.similarity={similarity.value}")
    with tf.GradientTape() as tape:
        loss = model.objective.losses(model.encode_batch(batch), batch)["retrieval"]
    gradient = tape.gradient(loss, model.item_tower.encoders["text"].trainable_variables)
    assert np.isfinite(float(loss))
    assert all(np.isfinite(tf.convert_to_tensor(part)).all() for part in gradient)
    assert max(float(tf.reduce_max(tf.abs(tf.convert_to_tensor(part)))) for part in gradient) > 0.0


@pytest.mark.parametrize("fine_tune", [False, True])
def test_fine_tuned_variables_are_listed_once(fine_tune, tmp_path):
    handle = saved(MeanColour(), tmp_path / "mean")
    model = made(f"tower.vision.pretrained={handle}", f"tower.vision.fine_tune={str(fine_tune).lower()}")
    assert [variable.shape for variable in model.pretrained_variables] == [(3, 3)] * fine_tune
    assert all(any(one is each for each in model.trainable_variables) for one in model.pretrained_variables)


def test_disabled_branches_are_zeros_and_have_no_variables(batch):  # noqa: F811
    plain, disabled = made(), made("tower.disabled_branches=image,graph,history")
    encoders = [disabled.item_tower.encoders["image"], disabled.item_tower.encoders["graph"]]
    assert [encoder.variables for encoder in encoders] == [[], []]
    encoded = disabled.encode_batch(batch)
    weights, branches = (
        {side: encoded[side][name].numpy() for side in (Side.ITEM, Side.QUERY)} for name in ("weights", "branches")
    )
    for side, name in ((Side.ITEM, "image"), (Side.ITEM, "graph"), (Side.QUERY, "image"), (Side.QUERY, "history")):
        place = [modality.value for modality in branches_of(side)].index(name)
        assert not weights[side][:, place].any()
        assert not branches[side][:, place].any()
        assert plain.encode_batch(batch)[side]["weights"].numpy()[:, place].any()
    # Nor are they there on a day that is encoded later, as serving does.
    items = batch["items"]
    content = {name: values for name, values in items.items() if name not in DAILY_INPUTS}
    neighbours, present = gather_rows(disabled.snapshot, items["neighbour_rows"])
    days = {**items, "neighbour_vectors": neighbours, "neighbour_present": present}
    later = disabled.encode_days(disabled.encode_items_without_price(content)["encoded"], days)["branches"].numpy()
    graph, trend = (DAILY_MODALITIES.index(modality) for modality in (Modality.GRAPH, Modality.TREND))
    assert not later[:, graph].any()
    assert later[:, trend].any()
