"""Local runner: runs a pipeline's components one by one on this machine, with recovery and retries."""

import datetime
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainer.job.job import Job
from trainer.job.runs import ComponentProgress, wait_for_database

DATABASE_SECONDS = 60.0
ATTEMPTS = 4


def run_with_retries(
    job: Job, create_pipeline: Callable[[Job], Any], *, progress: ComponentProgress
) -> Mapping[str, Mapping[str, Path]]:
    """Runs the pipeline of `job`; steps that a killed run left unfinished, or a lock interrupted, run again.

    Returns:
      {component: {output: folder}} of the run.

    Raises:
      BusyError: The metadata store stays locked.
    """
    from trainer.job.metadata import outputs_of_last_run, recover, was_locked

    for attempt in range(1, ATTEMPTS + 1):
        wait_for_database(job.metadata_path, seconds=DATABASE_SECONDS, say=progress.say)
        recovered = recover(job.metadata_path, artifacts=job.artifacts)
        if recovered:
            progress.say(f"Continuing after a run that was stopped ({recovered} unfinished steps cleared).")
        try:
            run_components(create_pipeline(job), progress=progress, metadata_path=job.metadata_path)
            break
        except Exception as error:
            if attempt == ATTEMPTS or not was_locked(error):
                raise
            progress.say(f"The metadata store was locked by another program; trying again ({attempt}).")
            time.sleep(2.0**attempt)
    return outputs_of_last_run(job.metadata_path)


def run_components(pipeline: Any, *, progress: ComponentProgress, metadata_path: Path) -> None:
    """Runs the components one by one under one run id, so that each can be timed and named."""
    from tfx.dsl.compiler import compiler, constants
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.portable import runtime_parameter_utils

    from trainer.job.metadata import was_cached

    compiled = compiler.Compiler().compile(pipeline)
    run_id = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now(datetime.UTC).isoformat()}
    runtime_parameter_utils.substitute_runtime_parameter(compiled, run_id)
    for chosen in compiled.nodes:
        for node in compiled.nodes:
            node.pipeline_node.execution_options.ClearField("skip")
            if node is not chosen:
                node.pipeline_node.execution_options.skip.SetInParent()
        with progress.step(chosen.pipeline_node.node_info.id, was_cached=lambda: was_cached(metadata_path)):
            LocalDagRunner().run_with_ir(compiled)
