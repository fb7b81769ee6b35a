"""Two workers on loopback against one with the joined batch, one of them lost on the way."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import worker
from trainer.spec.training import Strategy

ROOT = Path(__file__).resolve().parents[4]
LOST_AT = 4  # Checkpoints are written after update 3 and 6.
PATIENCE_SECONDS = 400


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Ended:
    """What a worker has left."""

    def __init__(self, process):
        printed, self.said = process.communicate(timeout=PATIENCE_SECONDS)
        self.code = process.returncode
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        self.losses = {line["step"]: line["losses"] for line in lines if "step" in line}
        self.weights = next((line["weights"] for line in lines if "weights" in line), None)


def run_both(folder, *, killed_at=(), meanwhile=lambda: None):
    """Both workers to their end; the second one is killed after update `killed_at`."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in (0, 1):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        env = {**os.environ, "TF_CONFIG": json.dumps(cluster), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.support.worker", str(folder), "16", "multi_worker"]
        command += [str(step) for step in killed_at if index == 1]
        workers.append(
            subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    try:
        found = meanwhile()
        return found, [Ended(process) for process in workers]
    finally:
        for process in workers:
            process.kill()
            process.communicate()


@pytest.mark.extended
@pytest.mark.slow
def test_two_workers_of_which_one_is_lost_and_restarted_give_the_losses_of_one_with_the_joined_batch(shop, tmp_path):
    (tmp_path / "inputs.json").write_text(json.dumps(dataclasses.asdict(shop)))
    single, (left, lost) = run_both(
        tmp_path,
        killed_at=[LOST_AT],
        meanwhile=lambda: worker.losses(tmp_path, shop, rows=32, strategy=Strategy.NONE),
    )
    assert lost.code == -signal.SIGKILL, lost.said[-3000:]
    assert left.code == 1
    assert "WorkerGone: Another worker of the job is gone" in left.said
    assert "the checkpoint of step 3 is intact. Start all workers again" in left.said
    checkpoints = tmp_path / "multi_worker"
    # Only the first worker writes.
    assert [path.name for path in checkpoints.glob("*/step-*")] == ["step-0000000003"]

    _, again = run_both(tmp_path)
    for result in again:
        assert result.code == 0, result.said[-3000:]
        assert sorted(result.losses) == [4, 5, 6], "it went on from the checkpoint"
        losses = {**left.losses, **result.losses}
        for step, expected in enumerate(single["losses"], 1):
            for task, loss in expected.items():
                assert losses[step][task] == pytest.approx(loss, rel=1e-3), (step, task)
    np.testing.assert_allclose([result.weights for result in again], single["weights"], rtol=1e-4)
