"""Training and serving need the base requirements only: run in an environment without the `pipeline` extra."""

import importlib.metadata
import os
import subprocess

import pytest

from tests.support.environments import base_closure, make_environment

EXTRA_MODULES = ("tfx", "apache_beam", "tensorflow_transform", "tensorflow_data_validation", "ml_metadata", "pyarrow")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("base"), base_closure())


def run(python, *arguments, cwd):
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([python, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def test_the_base_requirements_do_not_bring_the_extra():
    closure = base_closure()
    assert {"vitrine", "tensorflow", "tf-keras", "scann"} <= closure
    assert not {"tfx", "apache-beam", "tensorflow-transform", "ml-metadata"} & closure
    assert len(closure) < len(list(importlib.metadata.distributions()))


@pytest.mark.slow
def test_training_and_serving_run_without_the_extra(python, tmp_path):
    from tests.support import tiny_shop

    shop = tiny_shop.write(tmp_path / "shop")
    arguments = ["--items", shop.items[0], "--events", shop.train[0].removesuffix("/train"), "--preset", "tiny"]
    arguments += ["--transform_graph", shop.transform_graph, "--output", "out", "--set", "train.max_steps=3"]
    arguments += ["--flavours="]
    program = f"""
import importlib.util

from serving.client import Client
from serving.export import build_bundle
from serving.server.process import ServerProcess
from trainer import task

assert not [name for name in {EXTRA_MODULES} if importlib.util.find_spec(name)]
assert task.main({arguments}) == 0
build_bundle("out/towers", {f"{shop.items[0]}/*"!r}, "bundle", version=1, flavours=("scann",))
with ServerProcess("vitrine", "bundle/scann", flags=["--enable_model_warmup=false"]) as server:
    client = Client(grpc=server.grpc_address, timeout_seconds=120.0)
    print(len(client.search(text="colour3").ids), "found")
"""
    printed = run(python, "-c", program, cwd=tmp_path)
    assert "recall@10" in printed
    assert printed.endswith("10 found\n")
