"""Two workers on loopback against one with the joined batch."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import worker
from trainer.spec.training import Strategy

ROOT = Path(__file__).resolve().parents[3]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.mark.slow
def test_two_workers_give_the_loss_curve_of_one_with_the_joined_batch(shop, tmp_path):
    (tmp_path / "inputs.json").write_text(json.dumps(dataclasses.asdict(shop)))
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in (0, 1):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        env = {**os.environ, "TF_CONFIG": json.dumps(cluster), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.support.worker", str(tmp_path), "16", "multi_worker"]
        workers.append(
            subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    try:
        single = worker.losses(tmp_path, shop, rows=32, strategy=Strategy.NONE)
        results = []
        for process in workers:
            printed, said = process.communicate(timeout=300)
            assert process.returncode == 0, said[-3000:]
            results.append(json.loads(printed.splitlines()[-1]))
    finally:
        for process in workers:
            process.kill()
            process.communicate()
    assert len(single["losses"]) == worker.STEPS
    for step, expected in enumerate(single["losses"]):
        for result in results:
            for task, loss in expected.items():
                assert result["losses"][step][task] == pytest.approx(loss, rel=1e-3), (step, task)
    np.testing.assert_allclose([result["weights"] for result in results], single["weights"], rtol=1e-4)
    # Only the first worker writes.
    assert [path.name for path in (tmp_path / "multi_worker").glob("*/step-*")] == ["step-0000000006"]
