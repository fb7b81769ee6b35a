"""Several worker processes on one pair of ports."""

import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc, predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as predictions

from serving.server.workers.process import ServerProcess
from serving.server.workers.supervisor import reserved_port
from tests.serving.server import toy_models
from tests.serving.server.in_process import content


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def ready_workers(process: ServerProcess) -> set[int]:
    """The process ids of the workers that want traffic, from the page that any of them answers."""
    page = requests.get(f"{process.rest_url}/monitoring/prometheus/metrics", timeout=30).text
    return {int(pid) for pid in re.findall(r'^vitrine_ready\{pid="(\d+)"\} 1\.0$', page, re.MULTILINE)}


def ask_grpc(process: ServerProcess) -> float:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    request.inputs["steps"].CopyFrom(tf.make_tensor_proto(np.int32([1])))
    with grpc.insecure_channel(process.grpc_address) as channel:
        answer = predictions.PredictionServiceStub(channel).Predict(request, timeout=60, wait_for_ready=True)
    return answer.outputs["trace"].float_val[0]


def reload_with(process: ServerProcess, **base_paths: Path) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    for name, path in base_paths.items():
        request.config.model_config_list.config.add(name=name, base_path=str(path), model_platform="tensorflow")
    with grpc.insecure_channel(process.grpc_address) as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=120)


def statuses(process: ServerProcess, model: str) -> set[int]:
    """What workers answer about a model; of sixteen connections each gets some."""
    url = f"{process.rest_url}/v1/models/{model}"
    return {requests.get(url, headers={"Connection": "close"}, timeout=60).status_code for _ in range(16)}


@pytest.mark.e2e
def test_workers_share_the_ports_come_back_from_death_and_end_together(tmp_path):
    toy_models.save_slow(tmp_path / "models" / "1")
    config = tmp_path / "monitoring.config"
    config.write_text("prometheus_config { enable: true }")
    flags = ["--workers=2", f"--monitoring_config_file={config}"]
    answers = []
    with ServerProcess("toy", tmp_path / "models", flags=flags) as process:
        url = f"{process.rest_url}/v1/models/toy:predict"
        wait_for(lambda: len(ready_workers(process)) == 2)
        # The trace of a 256 x 256 identity.
        for _ in range(8):
            assert content(requests.post(url, json={"instances": [1]}, timeout=60)) == {"predictions": [256.0]}
        assert ask_grpc(process) == 256.0
        reload_with(process, toy=tmp_path / "models", again=tmp_path / "models")
        assert statuses(process, "again") == {200}

        old = ready_workers(process)
        victim = min(old)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: '"worker_died"' in process.log_tail)
        # One is enough to answer; the other comes back.
        assert content(requests.post(url, json={"instances": [1]}, timeout=60)) == {"predictions": [256.0]}
        wait_for(lambda: len(ready_workers(process) - {victim}) == 2)
        assert statuses(process, "again") == {200}, "the one that came back serves what the others serve"
        page = requests.get(f"{process.rest_url}/monitoring/prometheus/metrics", timeout=30).text
        counted = re.search(r'request_count\{model_name="toy",status="OK"\} (\S+)', page)
        assert counted, page
        # 8 + 1 by REST and 1 by gRPC, whichever worker answered, the dead one's included.
        assert float(counted[1]) == 10

        asker = threading.Thread(
            target=lambda: answers.append(requests.post(url, json={"instances": [4000]}, timeout=60))
        )
        asker.start()
        asker.join(0.5)
        assert asker.is_alive(), "the call is in flight when the signal comes"
        workers = ready_workers(process)
        assert process.stop() == 0
        asker.join(30)
    assert [content(answer) for answer in answers] == [{"predictions": [256.0]}]
    assert not [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
    lines = [json.loads(line) for line in process.log_tail.splitlines() if line.startswith("{")]
    assert {line.get("worker") for line in lines} >= {1, 2}
    assert lines[-1]["event"] == "stopped"


def test_a_port_that_somebody_has_ends_the_start():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="is the port taken"),
        reserved_port("127.0.0.1", taken.getsockname()[1]),
    ):
        pass
    with reserved_port("127.0.0.1", 0) as port, reserved_port("127.0.0.1", port) as again:
        assert again == port
    with reserved_port("127.0.0.1", None) as none:
        assert none is None
