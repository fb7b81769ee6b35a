"""`tf.distribute` strategies, and the chief of several workers."""

import json
import os
from typing import Any

import tensorflow as tf

from trainer.spec.training import Strategy


def make_strategy(strategy: Strategy) -> Any:
    """Returns the `tf.distribute` strategy; `multi_worker` waits until all workers of TF_CONFIG are there.

    Call before anything else of TensorFlow runs in the process.

    Raises:
      ValueError: `multi_worker` without a cluster in TF_CONFIG.
    """
    if strategy is Strategy.MULTI_WORKER:
        if not cluster_size():
            raise ValueError(
                "run.strategy is multi_worker and TF_CONFIG holds no cluster; wanted its workers' addresses. "
                "Set TF_CONFIG (or CLUSTER_SPEC) on every worker, or choose another strategy."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if strategy is Strategy.MIRRORED:
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def cluster_size() -> int:
    """Number of training workers in TF_CONFIG, the chief included; 0 without a cluster."""
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    return len(cluster.get("chief", [])) + len(cluster.get("worker", []))


def is_chief(strategy: Any) -> bool:
    """Whether this process writes checkpoints, logs and the model: the chief, or worker 0 where there is none."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    has_chief = "chief" in resolver.cluster_spec().as_dict()
    return bool(resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0))
