"""The models a server is told to serve: from flags, from a config file or from a reload request."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2

from serving.server.flags import ServerFlags, location
from serving.server.models.remote_base_path import unknown_scheme
from serving.server.models.version_policy import LATEST, VersionPolicy
from serving.server.protocol.config_protos import read_config
from serving.server.protocol.errors import Code, ServingError, invalid
from serving.server.telemetry.log import event

PLATFORM = "tensorflow"
FILE_FLAG = "model_config_file"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """One model as it shall be served.

    Args:
      name: The name in requests.
      base_path: The folder with the numbered versions, a local path or a URI.
      policy: Which of them serve.
      labels: Version by label.
    """

    name: str
    base_path: Path | str
    policy: VersionPolicy = LATEST
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def plans_of_flags(flags: ServerFlags) -> list[ModelPlan]:
    """The models that the flags or their config file name.

    Raises:
      ValueError: When the file cannot be used.
    """
    if flags.model_config_file:
        return read_plans(flags.model_config_file)
    if flags.model_base_path is None:
        raise ValueError("Neither --model_base_path nor --model_config_file was given; say what to serve.")
    problem = unknown_scheme(flags.model_base_path)
    if problem:
        raise ValueError(f"--model_base_path: {flags.model_base_path}: this server {problem}.")
    return [ModelPlan(name=flags.model_name, base_path=flags.model_base_path)]


def read_plans(path: Path) -> list[ModelPlan]:
    """The models of a config file.

    Raises:
      ValueError: When it cannot be read or parsed, or says what cannot be.
    """
    config = read_config(path, model_server_config_pb2.ModelServerConfig(), flag=FILE_FLAG)
    try:
        return plans_of_config(config)
    except ServingError as error:
        raise ValueError(f"--{FILE_FLAG}: {str(path)!r}: {error.message}") from error


def plans_of_config(config: model_server_config_pb2.ModelServerConfig) -> list[ModelPlan]:
    """The models of a ModelServerConfig; an empty one has none.

    Raises:
      ServingError: INVALID_ARGUMENT in TF Serving's words.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("Missing custom_model_config_loader in ServerCore Options")
    plans: dict[str, ModelPlan] = {}
    for model in config.model_config_list.config:
        if model.name in plans:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        plans[model.name] = _plan(model)
    return list(plans.values())


def _plan(model: model_server_config_pb2.ModelConfig) -> ModelPlan:
    if not model.name:
        raise invalid("A model of the config list has no name.")
    problem = unknown_scheme(model.base_path)
    if problem:
        raise ServingError(
            Code.UNIMPLEMENTED, f"Model {model.name} has the base_path {model.base_path}; this server {problem}."
        )
    base_path = location(model.base_path)
    if isinstance(base_path, Path) and not base_path.is_absolute():
        raise invalid(f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}")
    platform = _platform(model)
    if platform != PLATFORM:
        raise invalid(f"Model {model.name} requests unsupported platform {platform}")
    if model.HasField("logging_config"):
        event("request_logging_ignored", level=logging.WARNING, model=model.name)
    labels = dict(model.version_labels)
    policy = VersionPolicy.of(model.model_version_policy)
    return ModelPlan(name=model.name, base_path=base_path, policy=policy, labels=labels)


def _platform(model: model_server_config_pb2.ModelConfig) -> str:
    kind = model.model_type
    if kind == model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if not model.model_platform:
            raise invalid(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                "ModelServerConfig::model_platform."
            )
        return str(model.model_platform)
    if model.model_platform:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
        )
    if kind != model_server_config_pb2.TENSORFLOW:
        raise invalid(f"ModelServerConfig::model_type choice {kind} not supported.")
    return PLATFORM
