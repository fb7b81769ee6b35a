"""Environment variables of a managed training service: locations of data and model, and the cluster."""

import dataclasses
import json
from collections.abc import Mapping, MutableMapping
from typing import Any

_FORMAT = "tfrecord"
# The worker pools of a managed job by their names in TF_CONFIG.
_POOLS = {"workerpool0": "chief", "workerpool1": "worker", "workerpool2": "ps", "workerpool3": "evaluator"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ServiceEnvironment:
    """The environment of a managed job; "" where a variable is not set.

    Attributes:
      model_dir: `AIP_MODEL_DIR`, folder for the model.
      checkpoint_dir: `AIP_CHECKPOINT_DIR`.
      log_dir: `AIP_TENSORBOARD_LOG_DIR`.
      training: `AIP_TRAINING_DATA_URI`, pattern of the training events.
      validation: `AIP_VALIDATION_DATA_URI`, pattern of the events for early stopping.
      test: `AIP_TEST_DATA_URI`, pattern of the events of the final evaluation.
      task: `chief`, `worker` or `evaluator` of TF_CONFIG; "" when this job has one machine.
      num_workers: Training workers, the chief included; 0 without a cluster.
    """

    model_dir: str = ""
    checkpoint_dir: str = ""
    log_dir: str = ""
    training: str = ""
    validation: str = ""
    test: str = ""
    task: str = ""
    num_workers: int = 0


def read_service_environment(environment: Mapping[str, str]) -> ServiceEnvironment:
    """Reads the environment.

    Raises:
      ValueError: Data of a format other than TFRecord, or a TF_CONFIG that cannot be read or used.
    """
    given = environment.get("AIP_DATA_FORMAT") or _FORMAT
    if given.lower() not in (_FORMAT, "tf-record"):
        raise ValueError(
            f"AIP_DATA_FORMAT is {given!r}; training reads Examples in TFRecord files ({_FORMAT!r}). "
            "Run `python -m beam_preprocess` on the shop first and point the job at what it wrote."
        )
    cluster = _object(environment, "TF_CONFIG")
    task = str(cluster.get("task", {}).get("type", ""))
    if task not in ("", "chief", "worker", "master", "evaluator"):
        raise ValueError(
            f"TF_CONFIG names a task of type {task!r}; training knows chief, worker and evaluator. "
            "Take parameter servers out of the job's worker pools."
        )
    members = cluster.get("cluster", {})
    workers = sum(len(members.get(kind, [])) for kind in ("chief", "master", "worker"))
    return ServiceEnvironment(
        model_dir=environment.get("AIP_MODEL_DIR", "").rstrip("/"),
        checkpoint_dir=environment.get("AIP_CHECKPOINT_DIR", "").rstrip("/"),
        log_dir=environment.get("AIP_TENSORBOARD_LOG_DIR", "").rstrip("/"),
        training=environment.get("AIP_TRAINING_DATA_URI", ""),
        validation=environment.get("AIP_VALIDATION_DATA_URI", ""),
        test=environment.get("AIP_TEST_DATA_URI", ""),
        task=task if workers > 1 or task == "evaluator" else "",
        num_workers=workers,
    )


def use_cluster_spec(environment: MutableMapping[str, str]) -> None:
    """Sets TF_CONFIG to the cluster of CLUSTER_SPEC, unless TF_CONFIG is set.

    Raises:
      ValueError: CLUSTER_SPEC cannot be read.
    """
    if environment.get("TF_CONFIG"):
        return
    given = _object(environment, "CLUSTER_SPEC")
    if not given:
        return
    cluster = {_POOLS.get(pool, pool): addresses for pool, addresses in given.get("cluster", {}).items()}
    task = given.get("task", {})
    config = {
        "cluster": cluster,
        "task": {"type": _POOLS.get(task.get("type", ""), task.get("type", "")), "index": int(task.get("index", 0))},
    }
    environment["TF_CONFIG"] = json.dumps(config)


def _object(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    text = environment.get(name) or "{}"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON ({error}); wanted the cluster as an object. Fix or unset it.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {text[:80]!r}; wanted the cluster as an object. Fix or unset it.")
    return value
