"""Cached training runs of benchmarks."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

Rows = list[dict[str, Any]]


def train_once(output: pathlib.Path, settings: Sequence[str], *, examples: pathlib.Path, seed: int) -> dict[str, Rows]:
    """Trains on prepared Examples into `output`, unless that was done; returns the rows of its evaluation by section.

    The settings are those of `--set`. The planted truth is evaluated where the Examples bring one.
    """
    metrics = output / "metrics.json"
    if not metrics.exists():
        command = [sys.executable, "-m", "trainer.task", f"--data={examples}", f"--output={output}", "--flavours="]
        command += [f"--work_dir={examples}/tables", f"--set=train.seed={seed}"]
        if (examples / "truth.jsonl").exists():
            command.append(f"--truth={examples}/truth.jsonl")
        subprocess.run([*command, *(f"--set={setting}" for setting in settings)], check=True)
    sections = json.loads(metrics.read_text(encoding="utf-8"))["sections"]
    return {name: section["rows"] for name, section in sections.items()}
