"""The Transform graph: loaded without the Transform library, its ids, its scale, and the vocabularies beside it."""

import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from beam_preprocess import __main__ as command
from tests.beam_preprocess.little_shop import write_shop
from trainer.ops import examples, text
from trainer.spec.config import override
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.presets import tiny
from trainer.spec.transformed import BRAND_VOCABULARY, CATEGORY_VOCABULARY, WORD_VOCABULARY

CATALOG = [
    {"item_id": "a", "title": "Red mug", "category": ["Home", "Cups"], "brand": "Potter", "price": math.e - 1},
    {"item_id": "b", "title": "Blue mug", "category": ["Home", "Cups"], "brand": "Potter", "price": math.e**3 - 1},
    {"item_id": "c", "title": "", "description": "A plate", "category": ["Home"], "attributes": {"mug": "no"}},
    {"item_id": "d", "title": "Free", "brand": "Rare"},
]
EVENTS = [
    {"timestamp": 1_700_000_000 + day * 86_400, "type": "view", "item_id": "a", "user_id": "u"} for day in range(8)
]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The command line, as a user runs it."""
    directory = tmp_path_factory.mktemp("transform")
    shop = write_shop(directory / "shop [2024]", catalog=CATALOG, events=EVENTS)
    (shop / "truth.jsonl").write_text("{}\n")
    limits = ["--set", "tower.tabular.num_oov_buckets=2", "--set", "tower.tabular.category_vocab_size=2"]
    arguments = ["--source", str(shop), "--output", str(directory / "out [v2]"), "--preset", "tiny", *limits]
    assert command.main(arguments) == 0
    return directory / "out [v2]"


@pytest.fixture(scope="module")
def graph(output):
    """The loaded graph; `tf.saved_model.load(path).transform_fn` takes a dict of dense tensors."""
    return examples.load_transform(output / "transform_graph")


def inputs(category=()):
    """One item of which nothing is known, or only its category path."""
    specs = examples.feature_spec([f for f in features_of(Side.ITEM) if f.transform], tiny().wire)
    batch = {name: tf.constant([spec.default_value], spec.dtype) for name, spec in specs.items()}
    path = [*category, *[""] * (tiny().wire.category_levels - len(category))]
    return {**batch, "category": tf.constant([path])}


def test_the_command_writes_everything_that_training_needs(output):
    found = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_dir())
    folders = ["dead_letters", "events", "events/eval", "events/train", "items", "transform_graph"]
    assert set(folders) <= set(found)
    assert not [name for name in found if "partial" in name]
    assert (output / "summary.json").is_file()
    assert (output / "truth.jsonl").read_text() == "{}\n"


def test_ids_start_after_absent_and_unknown_values_fall_into_buckets(graph):
    # Two paths are known, `Home` (3 items) and `Home > Cups` (2): ids 1 and 2; two buckets follow: 3 and 4.
    known = graph.transform_fn(inputs(category=["Home", "Home > Cups"]))["category_ids"].numpy()
    assert known.tolist() == [[1, 2, 0]]
    unknown = graph.transform_fn(inputs(category=["Garden"]))["category_ids"].numpy()
    assert unknown[0, 0] in (3, 4)
    brands = graph.transform_fn({**inputs(), "brand": tf.constant(["Potter"])})["brand_id"].numpy()
    assert brands.tolist() == [1]
    assert graph.transform_fn(inputs())["brand_id"].numpy().tolist() == [0]


def test_prices_are_scaled_by_the_known_ones(graph):
    # log1p of the two known prices is 1 and 3: mean 2, deviation 1. The item without a price does not count.
    scaled = [graph.transform_fn({**inputs(), "price": tf.constant([price])}) for price in (math.e**4 - 1, -1.0)]
    np.testing.assert_allclose(scaled[0]["price_scaled"], [2.0], atol=1e-5)
    assert scaled[0]["price_present"].numpy().tolist() == [1.0]
    assert scaled[1]["price_scaled"].numpy().tolist() == scaled[1]["price_present"].numpy().tolist() == [0.0]


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf])
def test_no_price_makes_a_number_that_is_none(graph, price):
    made = graph.transform_fn({**inputs(), "price": tf.constant([price])})
    assert made["price_scaled"].numpy().tolist() == made["price_present"].numpy().tolist() == [0.0]


def test_vocabularies_are_assets(output):
    assets = output / "transform_graph" / "transform_fn" / "assets"
    assert dict(text.read_word_counts(assets / WORD_VOCABULARY)) == {
        "mug": 3,
        "red": 1,
        "blue": 1,
        "a": 1,
        "plate": 1,
        "no": 1,
        "free": 1,
    }
    assert (assets / CATEGORY_VOCABULARY).read_text().split("\n")[:2] == ["Home", "Home > Cups"]
    assert (assets / BRAND_VOCABULARY).read_text().split() == ["Potter", "Rare"]


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    arguments = ["--source", str(tmp_path), "--output", str(tmp_path / "out")]
    assert command.main(arguments) == 1
    assert "There is no file at" in capsys.readouterr().err
    assert command.main([*arguments, "--set", "data.eval_percnt=3"]) == 1
    assert "Did you mean 'eval_percent'?" in capsys.readouterr().err
    assert command.main([*arguments, "--presett=tiny"]) == 1
    assert "Unknown argument '--presett=tiny'" in capsys.readouterr().err


def test_the_configuration_file_and_overrides_add_up(tmp_path):
    path = pathlib.Path(tmp_path) / "c.json"
    path.write_text('{"data": {"eval_percent": 30}}')
    options, _ = command.parser().parse_known_args(["--source", "s", "--output", "o", "--config", str(path)])
    assert options.config == path
    assert override(tiny(), ["data.eval_percent=30"]).data.eval_percent == 30
