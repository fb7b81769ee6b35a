"""The model config: text-proto of TF Serving in, plans out, and its refusals."""

import re
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.server.flags import parse_flags
from serving.server.models.model_config import (
    ModelConfig,
    RequestLogging,
    model_configs_from_flags,
    model_configs_from_proto,
)
from serving.server.models.version_policy import VersionPolicy
from serving.server.protocol.errors import ServingError

# As in TF Serving's guide to its configuration.
TEXT = """
model_config_list {
  config {
    name: 'my_first_model'
    base_path: '/tmp/my_first_model/'
    model_platform: 'tensorflow'
    model_version_policy { specific { versions: 42 versions: 43 } }
    version_labels { key: 'stable' value: 42 }
    version_labels { key: 'canary' value: 43 }
  }
  config { name: 'my_second_model' base_path: '/tmp/my_second_model/' model_type: TENSORFLOW }
  config {
    name: 'third' base_path: '/third' model_platform: 'tensorflow'
    model_version_policy { latest { num_versions: 3 } }
  }
  config { name: 'fourth' base_path: '/f' model_platform: 'tensorflow' model_version_policy { all {} } }
}
"""


def plans(text: str) -> list[ModelConfig]:
    return model_configs_from_proto(text_format.Parse(text, model_server_config_pb2.ModelServerConfig()))


def test_a_file_of_tf_serving_is_understood(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(TEXT)
    first, second, third, fourth = model_configs_from_flags(parse_flags([f"--model_config_file={path}"]))
    assert first == ModelConfig(
        name="my_first_model",
        base_path=Path("/tmp/my_first_model"),
        policy=VersionPolicy(num_latest=None, specific=frozenset({42, 43})),
        labels={"stable": 42, "canary": 43},
    )
    assert (second.name, second.policy) == ("my_second_model", VersionPolicy(num_latest=1))
    assert third.policy == VersionPolicy(num_latest=3)
    assert fourth.policy == VersionPolicy(num_latest=None)
    assert plans("") == []


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["name: 'm' base_path: '/m'"] * 2, "Illegal to list model m multiple times in config list"),
        (["name: 'm' base_path: 'm'"], "Expected model m to have an absolute path or URI; got base_path()=m"),
        (["base_path: '/m'"], "A model of the config list has no name."),
        (["name: 'm' base_path: 'nope://b/m'"], "this server has no file system for nope://"),
        (["name: 'm' base_path: '/m' model_platform: 'other'"], "Model m requests unsupported platform other"),
        (["name: 'm' base_path: '/m' model_platform: ''"], "Illegal setting neither ModelServerConfig::model_type"),
        (["name: 'm' base_path: '/m' model_type: TENSORFLOW model_platform: 't'"], "Illegal setting both"),
        (["name: 'm' base_path: '/m' model_type: OTHER"], "model_type choice 2 not supported."),
    ],
)
def test_what_cannot_be_served_is_refused(models, message):
    texts = [text if "model_" in text else f"{text} model_platform: 'tensorflow'" for text in models]
    with pytest.raises(ServingError, match=re.escape(message)):
        plans("model_config_list {" + "".join(f"config {{ {text} }}" for text in texts) + "}")


def test_the_error_of_a_file_that_does_not_parse_has_the_position(tmp_path):
    path = tmp_path / "models.config"
    path.write_text("model_config_list {\n  confg {}\n}")
    with pytest.raises(ValueError, match=r"--model_config_file: .* 2:3 .*confg"):
        model_configs_from_flags(parse_flags([f"--model_config_file={path}"]))
    path.write_text("custom_model_config {}")
    with pytest.raises(ValueError, match="Missing custom_model_config_loader"):
        model_configs_from_flags(parse_flags([f"--model_config_file={path}"]))


def logging_of(text: str):
    return plans(f"model_config_list {{ config {{ name: 'm' base_path: '/m' model_platform: 'tensorflow' {text} }} }}")[
        0
    ]


def test_a_logging_config_gives_the_rate_and_the_folder_of_our_collector():
    assert logging_of("").logging is None
    assert logging_of("logging_config { sampling_config { sampling_rate: 0.25 } }").logging == RequestLogging(rate=0.25)
    # A path is no plain folder, and another collector is not ours; both are named in the log.
    path = "logging_config { log_collector_config { filename_prefix: '/tmp/log' } }"
    assert logging_of(path).logging == RequestLogging(rate=0.0)
    assert logging_of("logging_config { log_collector_config { type: 'kafka' } }").logging is None
    with pytest.raises(ServingError, match="Model m has the sampling_rate 2; wanted a share from 0 to 1"):
        logging_of("logging_config { sampling_config { sampling_rate: 2 } }")
