"""One server with several small models from a config file, and requests to it by both protocols."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, model_pb2, regression_pb2

from tests.serving.server import half_plus_two, toy_models
from tests.serving.server.in_process import Served, serve

CONFIG = """
model_config_list {{
  config {{
    name: 'tf1' base_path: '{root}/tf1' model_platform: 'tensorflow' model_version_policy {{ all {{}} }}
    version_labels {{ key: 'stable' value: 1 }} version_labels {{ key: 'canary' value: 2 }}
  }}
  config {{ name: 'tf2' base_path: '{root}/tf2' model_platform: 'tensorflow' }}
  config {{ name: 'words' base_path: '{root}/words' model_platform: 'tensorflow' }}
  config {{ name: 'types' base_path: '{root}/types' model_platform: 'tensorflow' }}
  config {{ name: 'slow' base_path: '{root}/slow' model_platform: 'tensorflow' }}
  config {{ name: 'per cent' base_path: '{root}/words' model_platform: 'tensorflow' }}
}}
"""


def write_zoo(root: Path) -> Path:
    """Saves the models and their config file; returns the file."""
    half_plus_two.save_tf1(root / "tf1" / "1")
    half_plus_two.save_tf1(root / "tf1" / "2")
    half_plus_two.save_tf2(root / "tf2" / "123")
    broken = root / "tf2" / "124"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no graph")
    toy_models.save_words(root / "words" / "7")
    toy_models.save_types(root / "types" / "1")
    toy_models.save_slow(root / "slow" / "1")
    path = root / "models.config"
    path.write_text(CONFIG.format(root=root))
    return path


@contextlib.contextmanager
def serve_zoo(config: Path, **more: object) -> Iterator[Served]:
    # Without retries, so that a version that failed has failed at once under --strict too.
    flags = {"model_base_path": None, "allow_version_labels_for_unavailable_models": True, "max_num_load_retries": 0}
    flags |= more
    with serve(None, model_config_file=config, **flags) as served:
        yield served


def spec(name: str = "tf1", signature: str = "", *, version: int | None = None, label: str = "") -> model_pb2.ModelSpec:
    found = model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        found.version.value = version
    if label:
        found.version_label = label
    return found


def example(**features: object) -> tf.train.Example:
    found = tf.train.Example()
    for name, value in features.items():
        found.features.feature[name].float_list.value.extend(value if isinstance(value, list) else [value])
    return found


def examples(*values: float) -> input_pb2.Input:
    return input_pb2.Input(example_list={"examples": [example(x=value) for value in values]})


def classification(asked: model_pb2.ModelSpec, *values: float) -> classification_pb2.ClassificationRequest:
    return classification_pb2.ClassificationRequest(model_spec=asked, input=examples(*values))


def regression(asked: model_pb2.ModelSpec, *values: float) -> regression_pb2.RegressionRequest:
    return regression_pb2.RegressionRequest(model_spec=asked, input=examples(*values))


def task(asked: model_pb2.ModelSpec, method: str) -> inference_pb2.InferenceTask:
    return inference_pb2.InferenceTask(model_spec=asked, method_name=f"tensorflow/serving/{method}")
