"""Model configuration of the server: from flags, from a config file or from a reload request."""

import dataclasses
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2

from serving.server.flags import ServerFlags, parse_location
from serving.server.models.remote_base_path import scheme_problem
from serving.server.models.version_policy import LATEST, VersionPolicy
from serving.server.protocol.errors import Code, ServingError, invalid
from serving.server.protocol.protos import read_config
from serving.server.telemetry.log import log_event

PLATFORM = "tensorflow"
FILE_FLAG = "model_config_file"
COLLECTOR = "impressions"
PLAIN_FOLDER = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestLogging:
    """TF Serving's `logging_config` of a model, as far as it is honoured.

    Args:
      rate: The share of its queries whose results are logged.
      folder: The folder of its events; empty: that of all models.
    """

    rate: float
    folder: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Configuration of one served model.

    Args:
      name: The name in requests.
      base_path: The folder with the numbered versions, a local path or a URI.
      policy: Selects the versions to serve.
      labels: Version by label.
      logging: What of its requests is logged; None: as the flags have it.
    """

    name: str
    base_path: Path | str
    policy: VersionPolicy = LATEST
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    logging: RequestLogging | None = None


def model_configs_from_flags(flags: ServerFlags) -> list[ModelConfig]:
    """Returns the models that the flags or their config file name.

    Raises:
      ValueError: When the file cannot be used.
    """
    if flags.model_config_file:
        return read_model_configs(flags.model_config_file)
    if flags.model_base_path is None:
        raise ValueError("Neither --model_base_path nor --model_config_file was given; give one of them.")
    problem = scheme_problem(flags.model_base_path)
    if problem:
        raise ValueError(f"--model_base_path: {flags.model_base_path}: this server {problem}.")
    return [ModelConfig(name=flags.model_name, base_path=flags.model_base_path)]


def read_model_configs(path: Path) -> list[ModelConfig]:
    """Reads the models of a config file.

    Raises:
      ValueError: When it cannot be read or parsed, or is invalid.
    """
    config = read_config(path, model_server_config_pb2.ModelServerConfig(), flag=FILE_FLAG)
    try:
        return model_configs_from_proto(config)
    except ServingError as error:
        raise ValueError(f"--{FILE_FLAG}: {str(path)!r}: {error.message}") from error


def model_configs_from_proto(config: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """Returns the models of a ModelServerConfig; an empty one has none.

    Raises:
      ServingError: INVALID_ARGUMENT in TF Serving's words.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("Missing custom_model_config_loader in ServerCore Options")
    configs: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        if model.name in configs:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        configs[model.name] = _model_config(model)
    return list(configs.values())


def _model_config(model: model_server_config_pb2.ModelConfig) -> ModelConfig:
    if not model.name:
        raise invalid("A model of the config list has no name.")
    problem = scheme_problem(model.base_path)
    if problem:
        raise ServingError(
            Code.UNIMPLEMENTED, f"Model {model.name} has the base_path {model.base_path}; this server {problem}."
        )
    base_path = parse_location(model.base_path)
    if isinstance(base_path, Path) and not base_path.is_absolute():
        raise invalid(f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}")
    platform = _platform(model)
    if platform != PLATFORM:
        raise invalid(f"Model {model.name} requests unsupported platform {platform}")
    labels = dict(model.version_labels)
    policy = VersionPolicy.of(model.model_version_policy)
    return ModelConfig(
        name=model.name, base_path=base_path, policy=policy, labels=labels, logging=_request_logging(model)
    )


def _request_logging(model: model_server_config_pb2.ModelConfig) -> RequestLogging | None:
    """The rate and the folder of a `logging_config`; what else it asks for is named in the log.

    Raises:
      ServingError: INVALID_ARGUMENT for a rate that is none.
    """
    if not model.HasField("logging_config"):
        return None
    config = model.logging_config
    rate, collector = config.sampling_config.sampling_rate, config.log_collector_config
    if not 0 <= rate <= 1:
        raise invalid(f"Model {model.name} has the sampling_rate {rate:g}; wanted a share from 0 to 1.")
    folder = collector.filename_prefix
    ignored = []
    if collector.type not in ("", COLLECTOR):
        ignored.append(f"log_collector_config.type: the only collector is {COLLECTOR}")
    if folder and not PLAIN_FOLDER.fullmatch(folder):
        ignored.append("log_collector_config.filename_prefix: wanted the plain name of a folder in --events_dir")
    if config.sampling_config.per_task_sampling_configs or config.sampling_config.attributes:
        ignored.append("sampling_config: only sampling_rate counts")
    for reason in ignored:
        log_event("request_logging_ignored", level=logging.WARNING, model=model.name, reason=reason)
    if collector.type not in ("", COLLECTOR):
        return None
    return RequestLogging(rate=rate, folder=folder if PLAIN_FOLDER.fullmatch(folder) else "")


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
