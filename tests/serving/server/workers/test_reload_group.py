"""Workers that change their models together, with models that are plain objects."""

import contextlib
import threading
import time
from pathlib import Path

import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.server.models.model_config import ModelConfig
from serving.server.models.server_core import ServerCore
from serving.server.protocol.errors import ServingError
from serving.server.workers import reload_group
from serving.server.workers.reload_group import ReloadGroup


class FakeModel:
    def __init__(self, path: Path) -> None:
        self.text = (path / "saved_model.pb").read_text()

    def close(self) -> None:
        pass


def put(root: Path, name: str) -> Path:
    (root / name / "1").mkdir(parents=True)
    (root / name / "1" / "saved_model.pb").write_text(name)
    return root / name


def config_of(root: Path, *names: str) -> model_server_config_pb2.ModelServerConfig:
    config = model_server_config_pb2.ModelServerConfig()
    for name in names:
        config.model_config_list.config.add(name=name, base_path=str(root / name), model_platform="tensorflow")
    return config


class Worker:
    """What one worker process has: its models and its part in the cohort."""

    def __init__(self, root: Path, number: int, *, load=FakeModel) -> None:
        self.reload_group = ReloadGroup(root / "shared", worker=number, workers=2)
        self.core = ServerCore(load)
        agreed = self.reload_group.agreed_configs()
        plans = [ModelConfig(name="a", base_path=root / "a")] if agreed is None else agreed
        self.core.start(plans, poll_seconds=0, allows_pending_labels=True)
        while not self.core.ready:
            time.sleep(0.002)

    def die(self) -> None:
        self.reload_group.close()
        self.core.stop(grace_seconds=0.1)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(reload_group, "ORPHAN_SECONDS", 0.02)
    (tmp_path / "shared").mkdir()
    for name in "ab":
        put(tmp_path, name)
    return tmp_path


@pytest.fixture
def started(root):
    with contextlib.ExitStack() as stack:

        def start(number: int, **more) -> Worker:
            worker = Worker(root, number, **more)
            worker.reload_group.join(worker.core)
            stack.callback(worker.die)
            return worker

        yield start


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def test_a_reload_reaches_every_worker_and_those_that_start_later(root, started):
    first, second = started(1), started(2)
    first.reload_group.reload(config_of(root, "b"))
    assert [worker.core.names for worker in (first, second)] == [["b"], ["b"]]
    second.reload_group.reload(config_of(root, "a", "b"))
    assert [worker.core.names for worker in (first, second)] == [["a", "b"], ["a", "b"]]
    second.die()
    assert started(2).core.names == ["a", "b"], "one that is started again serves what was decided"
    first.reload_group.forget_agreement()
    assert ReloadGroup(root / "shared", worker=1, workers=2).agreed_configs() is None, (
        "the file of the configuration holds again"
    )


def test_what_one_worker_cannot_load_changes_none(root, started):
    def unable(path: Path) -> FakeModel:
        if path.parent.name == "b":
            raise MemoryError("no room here")
        return FakeModel(path)

    first, second = started(1), started(2, load=unable)
    with pytest.raises(ServingError, match=r"UNKNOWN: 1 model\(s\) did not become available: .*no room here"):
        first.reload_group.reload(config_of(root, "b"))
    assert [worker.core.names for worker in (first, second)] == [["a"], ["a"]]
    first.reload_group.reload(config_of(root))
    assert [worker.core.names for worker in (first, second)] == [[], []], "nothing was left locked"


def test_a_worker_that_is_not_there_keeps_all_as_they_are(root, started):
    first = started(1)
    with pytest.raises(ServingError, match=r"UNAVAILABLE: Worker 2 is not there \(yet\); nothing was changed"):
        first.reload_group.reload(config_of(root, "b"))
    assert first.core.names == ["a"]
    started(2)
    first.reload_group.reload(config_of(root, "b"))
    assert first.core.names == ["b"]


def test_a_worker_that_starts_while_the_others_decide_catches_up(root, started):
    first, second = started(1), started(2)
    late = Worker(root, 2)
    second.die()
    second = started(2)
    first.reload_group.reload(config_of(root, "b"))
    second.die()
    assert late.core.names == ["a"], "it read the configuration of before"
    late.reload_group.join(late.core)
    assert late.core.names == ["b"]
    late.die()


@pytest.mark.parametrize("is_decided", [True, False])
def test_when_the_asker_dies_the_others_do_what_was_decided(root, started, is_decided):
    first, second = started(1), started(2)
    config = config_of(root, "b")
    with first.reload_group._exclusive(wait=True):
        assert first.reload_group._call_workers([2], "Prepare", "t1", config.SerializeToString()) == {}
        if is_decided:
            first.reload_group._write_decision("t1", config)
        time.sleep(0.2)
        assert second.core.names == ["a"], "it waits as long as somebody holds the lock"
    wait_for(lambda: second.reload_group._pending is None)
    assert second.core.names == (["b"] if is_decided else ["a"])


def test_reloads_of_two_workers_at_once_come_one_after_the_other(root, started):
    workers = [started(1), started(2)]
    threads = [
        threading.Thread(target=worker.reload_group.reload, args=(config_of(root, *names),))
        for worker, names in zip(workers * 3, ("a", "b", "ab") * 2, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert workers[0].core.names == workers[1].core.names
    assert workers[0].reload_group.agreed_configs() is not None
