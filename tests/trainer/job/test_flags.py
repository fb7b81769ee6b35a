import argparse
import json

import pytest

from trainer.job.flags import add_config_flags, attribute_docs, config_fields, config_from_flags
from trainer.spec.config import Config, to_dict
from trainer.spec.presets import tiny
from trainer.spec.training import Precision


def parsed(*arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_config_flags(parser)
    return parser.parse_args(arguments)


def leaves(value, path=""):
    for key, item in value.items():
        if isinstance(item, dict) and not key.endswith("_weights"):  # these are values: names with a number each
            yield from leaves(item, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_field_is_a_flag_with_its_default_in_the_help():
    assert [field.path for field in config_fields()] == list(leaves(to_dict(Config())))
    parser = argparse.ArgumentParser()
    add_config_flags(parser)
    text = " ".join(parser.format_help().split())
    for field in config_fields():
        assert f"--{field.path} " in text
    assert "--train.learning_rate X Highest rate of AdamW for one replica without accumulation. default 0.003" in text
    assert "--train.precision {float32,bfloat16} Of the encoders. default float32" in text


def test_every_flag_can_be_set():
    for field in config_fields(tiny()):
        value = field.default
        if isinstance(value, tuple):
            given = ",".join(map(str, value))
        elif isinstance(value, dict):
            given = json.dumps(value)
        else:
            given = str(value).lower() if isinstance(value, bool) else str(value)
        config = config_from_flags(parsed(f"--{field.path}={given}"))
        assert {f.path: f.default for f in config_fields(config)}[field.path] == value


def test_the_later_wins(tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"train": {"epochs": 7, "batch_size": 48, "seed": 3}}')
    options = parsed("--preset=tiny", f"--config={file}", "--set", "train.seed=4", "--train.batch_size", "16")
    config = config_from_flags(options, {"train": {"batch_size": 24, "gradient_accumulation_steps": 2}})
    # tiny has 2 epochs and 64 rows; the file has 7 and 48, the environment 24 rows, the flag 16.
    train = config.train
    assert (train.epochs, train.batch_size, train.gradient_accumulation_steps, train.seed) == (7, 16, 2, 4)
    assert config.tower.dim == 16


def test_values_are_read_as_studies_send_them():
    config = config_from_flags(
        parsed("--train.batch_size=64.0", "--tower.vision.image_channels=8,16", "--train.precision=bfloat16")
    )
    assert (config.train.batch_size, config.tower.vision.image_channels) == (64, (8, 16))
    assert config.train.precision is Precision.BFLOAT16


def test_a_wrong_value_is_named():
    with pytest.raises(ValueError, match="'train.epochs' must be a whole number; got 'many'"):
        config_from_flags(parsed("--train.epochs=many"))
    with pytest.raises(ValueError, match="'train.batch_size' must be a whole number; got 2.5"):
        config_from_flags(parsed("--train.batch_size=2.5"))


def test_docs_are_read_from_the_attributes_section():
    text = """First.

    Attributes:
      one: What it
        is.
      two: More.
    """
    assert attribute_docs(text) == {"one": "What it is.", "two": "More."}
    assert attribute_docs("Nothing.") == {}
