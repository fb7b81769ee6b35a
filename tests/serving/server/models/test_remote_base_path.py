"""Base paths that are URIs, on TensorFlow's file system in memory."""

import tempfile
import time
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.config import model_server_config_pb2

from serving.manifest import MANIFEST_PATH, write_manifest
from serving.server.flags import RetryPolicy, parse_flags
from serving.server.models.loaded_versions import State
from serving.server.models.model_config import ModelConfig, model_configs_from_flags, model_configs_from_proto
from serving.server.models.remote_base_path import RemoteBasePath
from serving.server.models.versions import ModelVersions
from serving.server.protocol.errors import ServingError
from tests.serving.server import toy_models


@pytest.fixture
def uri(request):
    folder = f"ram://{request.node.name.partition('[')[0]}"
    tf.io.gfile.makedirs(folder)
    yield folder
    tf.io.gfile.rmtree(folder)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where copies are made, to see what is left of them."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def upload(source: Path, target: str, *, only: tuple[str, ...] = ()) -> None:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_file() and (not only or name in only) and not tf.io.gfile.exists(f"{target}/{name}"):
            tf.io.gfile.makedirs(f"{target}/{name}".rpartition("/")[0])
            with tf.io.gfile.GFile(f"{target}/{name}", "wb") as stream:
                stream.write(path.read_bytes())


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def test_versions_of_a_store_are_served_once_they_are_complete(uri, scratch, serve_toy, tmp_path):
    models = {}
    for version, plus in ((1, 1.0), (2, 2.0)):
        models[version] = toy_models.save_half_plus_two(tmp_path / str(version), plus=plus)
        write_manifest(models[version], extra={})
    upload(models[1], f"{uri}/1")
    with serve_toy(uri) as served:

        def answer() -> float:
            return served.post({"instances": [0.0]}).json()["predictions"][0]

        assert answer() == 1.0
        upload(models[2], f"{uri}/2", only=("saved_model.pb", MANIFEST_PATH))
        served.server.core.reload([ModelConfig(name="toy", base_path=uri)])
        assert answer() == 1.0
        upload(models[2], f"{uri}/2")
        wait_for(lambda: answer() == 2.0)
        tf.io.gfile.rmtree(f"{uri}/2")
        wait_for(lambda: answer() == 1.0)
    assert list(scratch.glob("vitrine-version-*")) == [], "copies are removed"


class Text:
    def __init__(self, path: Path) -> None:
        self.text = (path / "saved_model.pb").read_text()

    def close(self) -> None:
        pass


def put(uri: str, version: str, text: str) -> None:
    tf.io.gfile.makedirs(f"{uri}/{version}")
    with tf.io.gfile.GFile(f"{uri}/{version}/saved_model.pb", "w") as stream:
        stream.write(text)


def texts(uri: str, **more) -> ModelVersions[Text]:
    return ModelVersions("toy", base_path=uri, load=Text, **more)


def test_numbers_are_read_as_they_are_on_a_disk(uri):
    for version in ("9", "010", "latest", "1.5"):
        put(uri, version, version)
    assert RemoteBasePath(uri).list_versions() == [10, 9]
    versions = texts(uri)
    versions.poll()
    with versions.lease() as lease:
        assert (lease.version, lease.model.text) == (10, "010")
    assert RemoteBasePath(f"{uri}/nowhere").list_versions() == []


@pytest.mark.parametrize("scheme", ["file", "ram"])
def test_a_store_that_cannot_be_read_changes_nothing_and_is_tried_again(uri, scheme, tmp_path, monkeypatch):
    base = uri if scheme == "ram" else f"file://{tmp_path}/models"
    put(base, "1", "one")
    versions = texts(base, retries=RetryPolicy(max_retries=3, interval_seconds=0))
    versions.poll()
    put(base, "2", "two")
    with monkeypatch.context() as broken:

        def fail(*_, **__):
            raise tf.errors.UnavailableError(None, None, "no network")

        broken.setattr(tf.io.gfile, "GFile", fail)
        versions.poll()
        assert [(one.version, one.state, one.code.name) for one in versions.statuses()] == [
            (2, State.END, "UNAVAILABLE"),
            (1, State.AVAILABLE, "OK"),
        ]
        broken.setattr(tf.io.gfile, "listdir", fail)
        versions.poll()
        with versions.lease(1) as lease:
            assert lease.model.text == "one"
    versions.poll()
    with versions.lease(2) as lease:
        assert lease.model.text == "two"


def test_names_that_lead_out_of_the_copy_are_not_fetched(tmp_path, scratch, monkeypatch):
    put(f"file://{tmp_path}/models", "1", "one")
    base = RemoteBasePath(f"file://{tmp_path}/models")
    walked = [(f"file://{tmp_path}/models/1", [], ["saved_model.pb"]), (f"file://{tmp_path}/models/1/..", [], ["evil"])]
    monkeypatch.setattr(tf.io.gfile, "walk", lambda location: walked)
    folder = base.snapshot(1)
    assert [name for name, _, _ in folder.fingerprint] == ["saved_model.pb"]
    with base.materialize(folder) as copy:
        assert sorted(path.name for path in copy.rglob("*")) == ["saved_model.pb"]


def test_an_unknown_scheme_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(
        ValueError, match=r"--model_base_path: nope://b/m: this server has no file system for nope://; .*ram"
    ):
        model_configs_from_flags(parse_flags(["--model_base_path=nope://b/m"]))
    flags = parse_flags(["--model_base_path=gs://bucket/models"])
    assert model_configs_from_flags(flags) == [ModelConfig(name="default", base_path="gs://bucket/models")]
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name="m", base_path="nope://b", model_platform="tensorflow")
    with pytest.raises(ServingError, match="UNIMPLEMENTED: Model m has the base_path nope://b; this server has no"):
        model_configs_from_proto(config)
