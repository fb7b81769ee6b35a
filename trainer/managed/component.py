"""TFX component of training as a managed job: the same Trainer, run on the machines of a service."""

from typing import Any

from tfx.dsl.components.base import executor_spec
from tfx.extensions.google_cloud_ai_platform import constants
from tfx.extensions.google_cloud_ai_platform.trainer import executor

from trainer.component import TowersExecutor, Trainer
from trainer.job.cloud import Cloud


class ManagedExecutor(executor.GenericExecutor):
    """Starts a managed custom job that runs `TowersExecutor` in the project's image."""

    def _GetExecutorClass(self) -> type[TowersExecutor]:
        return TowersExecutor


class ManagedTrainer(Trainer):
    """Trains the towers in a managed job."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ManagedExecutor)


def managed_arguments(cloud: Cloud) -> dict[str, Any]:
    """Returns the executor's part of `custom_config`: machine, image, project and region of the job."""
    return {
        constants.ENABLE_VERTEX_KEY: True,
        constants.VERTEX_REGION_KEY: cloud.region,
        executor.TRAINING_ARGS_KEY: {"project": cloud.project, "job_spec": cloud.job_spec()},
    }
