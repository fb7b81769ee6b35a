"""The identity path of a frozen text encoder: its own cosine as a score part that proposes candidates.

Fake towers: the query "1" has the vector (1, 0, ..) and, by the encoder, (.., 0, 1).
"""

import numpy as np
import pytest
import tensorflow as tf

from serving.bundle.build import build_bundle, export_towers
from serving.bundle.refresh import Rebuild, refresh_bundle
from serving.catalogue.catalogue import CatalogueItems, build_catalogue, encode_catalogue
from serving.engine.matching.text_vectors import TextVectors
from serving.towers import load_towers
from tests.serving.conftest import MODEL_ID, TEXT, make_bundle
from tests.support import hub_modules, tiny_shop
from tests.support.fake_towers import FakeModel, FakeOps, text_of, write_items
from tests.support.only_signatures import only_signatures
from trainer.spec.branches import branches_of
from trainer.spec.config import override
from trainer.spec.features import Side
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, TEXT_ENCODER
from trainer.training.fit import fit

DIM = 16
FIRST, LAST = np.eye(DIM)[0], np.eye(DIM)[-1]
WEIGHT = DEFAULT_SCORE_WEIGHTS[TEXT_ENCODER]


def test_cosines_and_the_nearest_by_hand():
    vectors = TextVectors(np.array([[3.0, 0.0], [-1.0, 9.0], [0.0, 0.0], [0.6, 0.8], [np.nan, 1.0]]))
    query = tf.constant([[1.0, 0.0]])
    found = vectors.cosines(query, tf.constant([[0, 1, 2, 3, 4, -1]]))
    np.testing.assert_allclose(found, [[1.0, -0.110, 0.0, 0.6, 0.0, 0.0]], atol=0.01)  # a byte a dimension
    # Neither what has no vector, nor what lies on the other side.
    assert vectors.retrieve(query, 5, None).numpy().tolist() == [[0, 3, -1, -1, -1]]
    allowed = tf.constant([[False, True, True, True, True]])
    assert vectors.retrieve(query, 2, allowed).numpy().tolist() == [[3, -1]]
    assert vectors.retrieve(tf.zeros([1, 2]), 2, None).numpy().tolist() == [[-1, -1]]


@pytest.fixture(scope="module")
def towers(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "towers"
    settings = ["tower.text.pretrained=hub:none", f"wire.text_embedding_dim={DIM}", "search.ranking_depth=2"]
    own = override(config, [*settings, "search.optimize_graphs=false"])
    return export_towers(FakeModel(own), FakeOps(own), folder, model_id=MODEL_ID)


@pytest.fixture(scope="module")
def bundle(towers):
    """Four items that the towers like, and one that only the encoder does; three candidates for two results."""
    ids = [b"far", b"w", b"x", b"y", b"z"]
    branches = np.zeros([5, len(branches_of(Side.ITEM)), DIM], np.float32)
    branches[:, TEXT] = np.stack([-FIRST, *[FIRST] * 4])
    columns = {"text_embedding": np.stack([5.0 * LAST, *[np.zeros(DIM)] * 4])}
    items = CatalogueItems(ids=ids, groups=[b""] * 5, branches=branches, columns=columns)
    return make_bundle(load_towers(towers), build_catalogue(items))


def test_the_encoder_proposes_what_the_towers_do_not_and_its_cosine_counts(bundle):
    answer = bundle.search(query_text=tf.constant(["1"]))
    assert answer["ids"][0, :2].numpy().tolist() == [b"far", b"w"]
    np.testing.assert_allclose(answer["score_text_encoder"][0, :2], [1.0, 0.0], atol=0.01)
    np.testing.assert_allclose(answer["scores"][0, :2], [WEIGHT - 1.0, 1.0], atol=0.05)
    text = bundle.search_text(query_text=tf.constant(["1"]), page_size=tf.constant([10]), fields=tf.constant([[""]]))
    np.testing.assert_array_equal(text["scores"], answer["scores"])


def test_a_request_weighs_it_as_the_other_parts(bundle):
    without = bundle.search(query_text=tf.constant(["1"]), weight_text_encoder=tf.constant([0.0]))
    assert without["ids"][0, :2].numpy().tolist() == [b"w", b"x"]
    disliked = bundle.search(query_text=tf.constant(["1"]), query_weight_text=tf.constant([-1.0]))
    assert disliked["ids"][0, 0].numpy() == b"far"  # by the towers alone, whose vector is now that of the far one
    assert not disliked["score_text_encoder"].numpy().any()
    ranked = bundle.rank(query_text=tf.constant(["1"]), item_ids=tf.constant([["z", "far"]]))
    np.testing.assert_allclose(ranked["scores"], [[1.0, WEIGHT - 1.0]], atol=0.05)


def test_it_is_a_contribution_of_its_own(bundle):
    found = bundle.explain(query_text=tf.constant(["1"]), item_id=tf.constant(["far"]))
    assert float(found["contribution_text_encoder"][0]) == pytest.approx(WEIGHT, abs=0.05)
    parts = sum(tf.reduce_sum(found[name]) for name in found if name.startswith("contribution_"))
    assert float(parts) == pytest.approx(float(found["score"][0]), abs=1e-5)
    without = bundle.explain(
        query_text=tf.constant(["1"]), item_id=tf.constant(["far"]), weight_text_encoder=tf.constant([0.0])
    )
    assert without["stage"][0].numpy() == b"candidates"


@pytest.mark.slow
def test_a_refresh_takes_the_vectors_of_today(towers, tmp_path):
    def item(name, vector):
        return {"item_id": name, "title": text_of(FIRST), "text_embedding": vector}

    def cosines(folder):
        loaded = tf.saved_model.load(str(folder))
        found = loaded.rank(query_text=tf.constant(["1"]), item_ids=tf.constant([[b"a", b"b", b"c"]]))
        return found["score_text_encoder"].numpy()[0]

    first = [item(b"a", LAST), item(b"b", LAST + FIRST), item(b"c", FIRST)]
    pattern = write_items(tmp_path / "first", first)
    with only_signatures("search", "rank"):
        built = build_bundle(towers, pattern, tmp_path / "built", version=1, flavours=["stock"])
    np.testing.assert_allclose(cosines(built.paths["stock"]), [1.0, 0.707, 0.0], atol=0.01)
    assert not refresh_bundle(tmp_path / "built", pattern, tmp_path / "same").changed
    pattern = write_items(tmp_path / "second", [first[0], item(b"b", FIRST), item(b"c", LAST)])
    with only_signatures("search", "rank"):
        again = refresh_bundle(tmp_path / "built", pattern, tmp_path / "again", rebuild=Rebuild.NEVER)
    assert (again.encoded, again.tombstones) == (2, 2)
    np.testing.assert_allclose(cosines(again.paths["stock"]), [1.0, 0.0, 1.0], atol=0.01)


@pytest.fixture(scope="module")
def misled(tmp_path_factory):
    """Search after a short training on clicks on wrong items only, with an encoder that knows the words' synonyms."""
    folder = tmp_path_factory.mktemp("misled")
    module = hub_modules.Synonyms()
    settings = [
        f"tower.text.pretrained=hub:{hub_modules.saved(module, folder / 'encoder')}",
        f"wire.text_embedding_dim={module.NUM_CONCEPTS}",
        *("tower.text.max_item_tokens=32", "tower.text.max_query_tokens=32"),  # characters
    ]
    config = override(tiny_shop.SHORT_RUN, settings)
    paths = tiny_shop.write(folder / "shop")
    items = [tf.train.Example.FromString(tiny_shop.example(row, Side.ITEM)) for row in tiny_shop.items()]
    for index, example in enumerate(items):
        (vector,) = module(tf.constant([tiny_shop.item_name(index)])).numpy()
        example.features.feature["text_embedding"].float_list.value[:] = vector.tolist()
    half = len(items) // 2
    for shard, part in enumerate((items[:half], items[half:])):
        path = folder / "shop" / "items" / f"items-0000{shard}-of-00002.tfrecord"
        tiny_shop.write_records(path, [example.SerializeToString() for example in part])
    rows = tiny_shop.events(range(1))
    for row in rows:
        row["event_item_id"] = tiny_shop.item_id((int(row["event_item_id"][-2:]) + 7) % tiny_shop.NUM_ITEMS)
    events = [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in rows]
    tiny_shop.write_records(folder / "shop" / "events" / "train" / "events-00000-of-00001.tfrecord", events)
    trained = fit(config, paths, work_dir=folder / "work", log_dir=folder / "logs")
    export_towers(trained.model, trained.tables.ops, folder / "towers", model_id=trained.model_id)
    towers = load_towers(folder / "towers")
    return make_bundle(towers, encode_catalogue(towers, f"{paths.items[0]}/*"))


def places_of_the_right(bundle, **weights):
    """The place of each item among the results of its synonyms, from 0; 20 where it is not there."""
    ids = [tiny_shop.item_id(index).encode() for index in range(tiny_shop.NUM_ITEMS)]
    names = [f"hue{index % 6} object{index // 6}" for index in range(tiny_shop.NUM_ITEMS)]
    given = {name: tf.constant([weight]) for name, weight in weights.items()}
    answer = bundle.search(query_text=tf.constant(names), page_size=tf.constant([20]), **given)
    found = answer["ids"].numpy().tolist()
    return [[*row, item].index(item) for row, item in zip(found, ids, strict=True)]


@pytest.mark.slow
def test_a_training_on_poor_events_never_ends_below_the_encoder_itself(misled):
    # Alone the encoder puts each item first, with a cosine of 1; items with one concept less have 0.5. What the towers
    # have learned moves two items apart by 2 at most, less than the weight of the part times 0.5.
    right = [0] * tiny_shop.NUM_ITEMS
    assert places_of_the_right(misled, weight_lexical=0.0, weight_dense=0.0) == right
    assert places_of_the_right(misled, weight_lexical=0.0) == right
    assert places_of_the_right(misled) == right
    # Not even towers that had learned the opposite would move them, with which alone hardly any item comes first.
    opposite = {"weight_lexical": 0.0, "weight_dense": -1.0}
    assert places_of_the_right(misled, **opposite) == right
    alone = places_of_the_right(misled, **opposite, weight_text_encoder=0.0)
    assert sum(place > 0 for place in alone) >= 20
