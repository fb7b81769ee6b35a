import dataclasses
import json

import pytest

from tests.support.golden import check_golden
from trainer.spec.config import Config, TrainConfig, WireConfig, from_json, override, to_dict, to_json
from trainer.spec.presets import PRESETS, preset
from trainer.spec.tower import Fusion


@pytest.mark.parametrize("name", list(PRESETS))
def test_json_round_trip(name):
    config = preset(name)
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize("name", list(PRESETS))
def test_resolved_configuration(name):
    check_golden(f"config_{name}.json", to_json(preset(name)))


def test_keys_left_out_keep_the_value_of_the_base():
    config = from_json('{"wire": {"num_frames": 3}}', preset("tiny"))
    assert config.wire == dataclasses.replace(preset("tiny").wire, num_frames=3)
    assert config.tower == preset("tiny").tower


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tower": {"dims": 8}}', r"Unknown config key 'tower.dims'. Did you mean 'dim'\?"),
        ('{"tower": {"text": {"lstm_unit": 8}}}', r"'tower.text.lstm_unit'. Did you mean 'lstm_units'\?"),
        ('{"zzz": 1}', r"Unknown config key 'zzz'. Known here: data, run, search, tower, train, wire."),
        ('{"train": {"epochs": 2.5}}', r"'train.epochs' must be a whole number; got 2.5"),
        ('{"train": {"epochs": true}}', r"'train.epochs' must be a whole number; got True"),
        ('{"train": {"learning_rate": "fast"}}', r"'train.learning_rate' must be a number; got 'fast'"),
        ('{"train": {"learning_rate": NaN}}', r"'train.learning_rate' must be a number; got nan"),
        ('{"tower": {"fusion": "sums"}}', r"'tower.fusion' must be one of gated, sum, concat, attention; got 'sums'"),
        ('{"tower": {"vision": {"image_channels": [8, "x"]}}}', r"image_channels' must be a list of whole numbers"),
        ('{"tower": 3}', r"'tower' must be an object; got 3"),
        ("[1]", r"'top level' must be an object"),
        ("{", r"The configuration is not JSON"),
        ('{"train": {"batch_size": 1}}', r"batch_size must be at least 2 for in-batch negatives; got 1"),
        ('{"tower": {"dropout": 1.0}}', r"TowerConfig.dropout is 1.0; it must be in \[0, 1\)"),
        ('{"wire": {"num_frames": 0}}', r"WireConfig.num_frames is 0; it must be at least 1"),
        ('{"train": {"task_weights": {"clicks": 1}}}', r"'train.task_weights.clicks'. Did you mean 'click'\?"),
        ('{"train": {"task_weights": {"click": "1"}}}', r"'train.task_weights' must be an object of numbers"),
        ('{"search": {"bm25_b": 1.5}}', r"SearchConfig.bm25_b is 1.5; it must be at most 1. Lower it."),
        ('{"search": {"score_weights": {"dence": 1}}}', r"'search.score_weights.dence'. Did you mean 'dense'\?"),
    ],
)
def test_errors_name_the_wrong_key_or_value(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)


@pytest.mark.parametrize(
    ("index", "similarity", "knows"),
    [("ivf", "dot", "cosine"), ("binary", "hamming", "cosine"), ("scann", "kl", "cosine, dot, euclidean")],
)
def test_an_index_refuses_a_similarity_that_it_does_not_support(index, similarity, knows):
    message = f"search.index is {index}, which supports {knows}; tower.similarity is {similarity}. Set search.index"
    with pytest.raises(ValueError, match=message):
        override(Config(), [f"tower.similarity={similarity}", f"search.index={index}"])
    for choice in ("exact", "auto"):
        override(Config(), [f"tower.similarity={similarity}", f"search.index={choice}"])


def test_overrides_are_applied_in_order():
    config = override(Config(), ["train.epochs=3", "tower.fusion=sum", "train.epochs=4", "train.learning_rate=1"])
    assert config.train == dataclasses.replace(TrainConfig(), epochs=4, learning_rate=1.0)
    assert config.tower.fusion is Fusion.SUM
    assert isinstance(config.train.learning_rate, float)


def test_overrides_reach_lists_and_mappings():
    config = override(Config(), ["tower.vision.image_channels=[4,8]", "train.task_weights.click=0.5"])
    assert config.tower.vision.image_channels == (4, 8)
    assert config.train.task_weights == {"click": 0.5}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.epochs", r"Override 'train.epochs' has no '='; write it as key=value"),
        ("train.epoch=3", r"Unknown config key 'train.epoch'. Did you mean 'epochs'\?"),
        ("train.epochs.more=3", r"'train.epochs' must be a whole number; got \{'more': 3\}"),
    ],
)
def test_a_wrong_override_is_named(assignment, message):
    with pytest.raises(ValueError, match=message):
        override(Config(), [assignment])


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match=r"Unknown preset 'tinny'. Did you mean 'tiny'\?"):
        preset("tinny")


def test_the_plain_form_has_only_json_types():
    assert json.loads(json.dumps(to_dict(preset("base")))) == to_dict(preset("base"))
    with pytest.raises(TypeError, match="wants a configuration dataclass; got int"):
        to_dict(3)


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        WireConfig().num_frames = 3
