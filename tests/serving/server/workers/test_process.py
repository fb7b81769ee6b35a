"""The server as a process: its ready line, an orderly end with work in flight, a log that keeps no secrets."""

import json
import subprocess
import sys
import threading

import pytest
import requests

from serving.server.flags import parse_flags
from serving.server.workers.process import ServerProcess
from tests.serving.server import toy_models
from tests.serving.server.in_process import content

CANARY = "canary-7261"


def test_the_process_module_loads_no_tensorflow():
    code = "import sys, serving.server.workers.process; print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.e2e
def test_sigterm_finishes_what_is_in_flight_and_exits_0(tmp_path):
    toy_models.save_slow(tmp_path / "3")
    answers = []
    with ServerProcess("slow", tmp_path) as process:
        url = f"{process.rest_url}/v1/models/slow"
        assert process.grpc_port != process.rest_port
        assert requests.get(url, timeout=10).json()["model_version_status"][0]["version"] == "3"
        unknown = requests.post(f"{url}:predict", json={"instances": [CANARY]}, timeout=10)
        assert unknown.status_code == 400
        requests.post(f"{url}:predict", data=f'{{"{CANARY}": [', timeout=10)

        def ask() -> None:
            answers.append(requests.post(f"{url}:predict", json={"instances": [4000]}, timeout=60))

        asker = threading.Thread(target=ask)
        asker.start()
        asker.join(0.5)
        assert asker.is_alive(), "the call is in flight when the signal comes"
        assert process.stop() == 0
        asker.join(30)
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
    # The trace of a 256 x 256 identity, whatever its power.
    assert [content(answer) for answer in answers] == [{"predictions": [256.0]}]
    lines = [json.loads(line) for line in process.log_tail.splitlines() if line.startswith("{")]
    events = [line["event"] for line in lines]
    assert events[-3:] == ["stopping", "version_unloaded", "stopped"]
    assert "version_available" in events
    assert "request_failed" in events
    assert CANARY not in process.log_tail


def test_a_process_that_cannot_start_reports_the_reason():
    with pytest.raises(
        RuntimeError, match="(?s)ended with code 2; end of its log:.*call_threads must be at least 1"
    ) as caught:
        ServerProcess("toy", "/nowhere", flags=["--call_threads=0"]).start()
    assert "usage:" in str(caught.value)


def test_flags_are_named_as_tf_servings():
    flags = parse_flags(["--port=8500", "--rest_api_port", "8501", "--model_name=m", "--model_base_path=/models/m"])
    assert (flags.port, flags.rest_api_port, flags.model_name, str(flags.model_base_path)) == (
        8500,
        8501,
        "m",
        "/models/m",
    )
    defaults = parse_flags(["--model_base_path=/m"])
    assert (defaults.listen_host, defaults.port, defaults.rest_api_port, defaults.model_name) == (
        "127.0.0.1",
        8500,
        None,
        "default",
    )
    with pytest.raises(SystemExit):
        parse_flags(["--model_base=/m"])
