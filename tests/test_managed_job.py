"""A managed job from end to end: source distribution, empty environment, killed twice, resumed, bundle served.

Training needs the base requirements only; the environment has those of the server and the client besides.
"""

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.environments import base_closure, install_sdist, make_environment

ROOT = Path(__file__).resolve().parents[1]
STEPS = 40
EXTRA_MODULES = ("tfx", "apache_beam", "tensorflow_transform", "tensorflow_data_validation", "ml_metadata", "pyarrow")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment with the base requirements and the project from `python setup.py sdist`."""
    tree = tmp_path_factory.mktemp("sdist")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "tfx_pipeline.py"):
        shutil.copy(ROOT / name, tree / name)
    for package in ("trainer", "serving", "beam_preprocess", "vitrine"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "setup.py", "--quiet", "sdist"]
    subprocess.run(command, cwd=tree, capture_output=True, check=True)
    [archive] = (tree / "dist").glob("*.tar.gz")
    environment = make_environment(tmp_path_factory.mktemp("managed"), base_closure(extras=("serve", "client")))
    install_sdist(environment, archive)
    return environment


class Service:
    """Starts the job as a managed service does: by module name, with its variables, in a folder of its own."""

    def __init__(self, python, folder, data):
        self.python, self.folder = python, folder
        self.env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.env |= {
            "AIP_MODEL_DIR": f"{folder}/model/",
            "AIP_CHECKPOINT_DIR": f"{folder}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{folder}/logs/",
            "AIP_TRAINING_DATA_URI": f"{data}/events/train/*",
            "AIP_VALIDATION_DATA_URI": f"{data}/events/eval/*",
            "AIP_TEST_DATA_URI": f"{data}/events/eval/*",
            "AIP_DATA_FORMAT": "tfrecord",
            "CLOUD_ML_HP_METRIC_FILE": f"{folder}/metrics",
            "CLOUD_ML_TRIAL_ID": "3",
        }

    def start(self):
        flags = ["--preset=tiny", f"--train.max_steps={STEPS}", "--train.epochs=99", "--run.checkpoint_every_steps=4"]
        flags += ["--train.batch_size=32", "--train.learning_rate=0.01", "--flavours=stock,scann"]
        command = [self.python, "-m", "trainer.task", *flags]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def steps(self):
        return sorted(int(path.parent.name[5:]) for path in self.folder.glob("checkpoints/*/step-*/manifest.json"))

    def wait_for_step(self, process, step):
        deadline = time.monotonic() + 240
        while not [found for found in self.steps() if found >= step]:
            assert process.poll() is None, process.communicate()[0][-3000:]
            assert time.monotonic() < deadline, "no checkpoint"
            time.sleep(0.02)


def test_the_base_requirements_do_not_bring_the_extra():
    closure = base_closure()
    assert {"vitrine-search", "tensorflow", "tf-keras", "scann"} <= closure
    assert not {"tfx", "apache-beam", "tensorflow-transform", "ml-metadata", "aiohttp", "av"} & closure
    assert len(closure) < len(list(importlib.metadata.distributions()))


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_that_is_killed_twice_ends_in_a_bundle_that_answers(python, tmp_path):
    from tests.support import tiny_shop

    tiny_shop.write(tmp_path / "data")
    service = Service(python, tmp_path, tmp_path / "data")
    with service.start() as killed:
        service.wait_for_step(killed, 4)
        killed.kill()
    first = service.steps()[-1]
    assert killed.returncode == -signal.SIGKILL
    with service.start() as stopped:
        service.wait_for_step(stopped, first + 1)
        stopped.terminate()
        said = stopped.communicate(timeout=120)[0]
    assert stopped.returncode == 143, said[-3000:]
    assert f"continuing at step {first} of {STEPS}" in said
    assert "its checkpoint is written" in said
    second = service.steps()[-1]
    assert first < second < STEPS
    with service.start() as resumed:
        said = resumed.communicate(timeout=300)[0]
    assert resumed.returncode == 0, said[-3000:]
    assert f"continuing at step {second} of {STEPS}" in said
    model = tmp_path / "model"
    assert '"recall_at_10"' in (tmp_path / "metrics").read_text()
    assert "train.max_steps` = 40" in (model / "run.md").read_text()
    assert '"max_steps": 40' in (model / "config.json").read_text()
    assert list((tmp_path / "logs").glob("events.out.tfevents*"))
    program = f"""
import importlib.util, sys
from serving.client import Client
from serving.server.workers.process import ServerProcess

assert not [name for name in {EXTRA_MODULES} if importlib.util.find_spec(name)]
assert "site-packages" in importlib.util.find_spec("trainer").origin
for flavour in ("stock", "scann"):
    with ServerProcess("vitrine", f"model/bundle/{{flavour}}", flags=["--enable_model_warmup=false"]) as server:
        client = Client(grpc=server.grpc_address, timeout_seconds=120.0)
        print(len(client.search(text="colour3").ids), "found in", flavour)
"""
    done = subprocess.run([python, "-c", program], cwd=tmp_path, env=service.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("10 found in stock\n10 found in scann\n")
