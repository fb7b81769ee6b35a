"""Metric of a hyper-parameter study, in the file that the managed service reads (format of `hypertune`)."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

METRIC = "recall_at_10"
_PATH = "CLOUD_ML_HP_METRIC_FILE"
_TRIAL = "CLOUD_ML_TRIAL_ID"
_DEFAULT_PATH = "/var/hypertune/output.metrics"


def report_metric(value: float, *, step: int, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Appends `METRIC` = `value` after `step` updates; does nothing outside a study.

    Returns:
      The file, None outside a study.
    """
    if not environment.get(_PATH) and not environment.get(_TRIAL):
        return None
    path = Path(environment.get(_PATH) or _DEFAULT_PATH)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "timestamp": time.time(),
        "trial": environment.get(_TRIAL) or "0",
        METRIC: str(value),
        "global_step": str(step),
        "checkpoint_path": "",
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")
    return path
