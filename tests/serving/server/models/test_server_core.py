"""Several models and their replacement, with models that are plain objects."""

import threading
import time
from pathlib import Path

import pytest

from serving.server.flags import RetryPolicy
from serving.server.models.config_watcher import ConfigWatcher
from serving.server.models.loaded_versions import State
from serving.server.models.model_config import ModelConfig
from serving.server.models.server_core import ServerCore
from serving.server.models.version_policy import VersionPolicy
from serving.server.protocol.errors import ServingError


class FakeModel:
    loaded = 0

    def __init__(self, path: Path) -> None:
        self.text = (path / "saved_model.pb").read_text()
        if self.text == "broken":
            raise RuntimeError("does not load")
        type(self).loaded += 1
        self.closed = False

    def close(self) -> None:
        self.closed = True


def put(root: Path, name: str, version: int, text: str = "") -> None:
    folder = root / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(text or f"{name}{version}")


def plan(root: Path, name: str, *, versions: tuple[int, ...] = (), **labels: int) -> ModelConfig:
    policy = VersionPolicy(num_latest=None, specific=frozenset(versions)) if versions else VersionPolicy()
    return ModelConfig(name=name, base_path=root / name, policy=policy, labels=labels)


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def models(tmp_path):
    put(tmp_path, "a", 1)
    put(tmp_path, "b", 7)
    models = ServerCore(FakeModel, load_threads=2)
    models.start([plan(tmp_path, "a"), plan(tmp_path, "b")], poll_seconds=0.01, allows_pending_labels=True)
    wait_for(lambda: models.ready)
    yield models
    models.stop(grace_seconds=5)


def answer(models, name, **asked):
    with models.lease(name, **asked) as lease:
        return lease.model.text


def states(models, name):
    return {one.version: one.state for one in models.statuses(name)}


def test_every_model_is_served_under_its_name(models):
    assert (answer(models, "a"), answer(models, "b", version=7)) == ("a1", "b7")
    assert models.names == ["a", "b"]
    assert models.serving_versions() == {"a": 1, "b": 7}
    with pytest.raises(ServingError, match=r"NOT_FOUND: Servable not found for request: Latest\(c\)"):
        answer(models, "c")


def test_a_reload_is_the_whole_truth(models, tmp_path):
    put(tmp_path, "c", 3)
    models.reload([plan(tmp_path, "c"), plan(tmp_path, "a")])
    assert (answer(models, "c"), answer(models, "a")) == ("c3", "a1")
    with pytest.raises(ServingError, match="NOT_FOUND"):
        answer(models, "b")
    wait_for(lambda: states(models, "b") == {7: State.END})
    models.reload([])
    assert models.names == []
    assert models.ready


def test_a_reload_that_cannot_be_changes_nothing(models, tmp_path):
    put(tmp_path, "good", 1)
    put(tmp_path, "bad", 2, "broken")
    with pytest.raises(
        ServingError,
        match=r"UNKNOWN: 2 model\(s\) did not become available: \{\{name: bad version: 2 due to error: UNKNOWN: "
        r"does not load\}, \{name: none has no version in its base_path\}\}; nothing was changed.",
    ):
        models.reload([plan(tmp_path, "good"), plan(tmp_path, "bad"), plan(tmp_path, "none")])
    assert models.names == ["a", "b"]
    assert answer(models, "a") == "a1"
    with pytest.raises(ServingError, match="NOT_FOUND"):
        answer(models, "good")


def test_a_change_of_policy_shares_what_is_loaded_and_is_all_or_nothing(models, tmp_path):
    put(tmp_path, "a", 2)
    wait_for(lambda: models.serving_versions()["a"] == 2)
    with models.lease("a") as lease:
        loads, second = FakeModel.loaded, lease.model
    with pytest.raises(ServingError, match="did not become available"):
        models.reload([plan(tmp_path, "a", versions=(9,)), plan(tmp_path, "b")])
    assert answer(models, "a") == "a2"
    models.reload([plan(tmp_path, "a", versions=(1, 2)), plan(tmp_path, "b")])
    assert (answer(models, "a", version=1), answer(models, "a", version=2)) == ("a1", "a2")
    assert FakeModel.loaded == loads + 1, "only version 1 was loaded"
    models.reload([plan(tmp_path, "a", versions=(1,)), plan(tmp_path, "b")])
    assert answer(models, "a") == "a1"
    wait_for(lambda: states(models, "a")[2] is State.END)
    assert second.closed
    assert states(models, "a")[1] is State.AVAILABLE


def test_another_base_path_with_the_same_number_takes_over(models, tmp_path):
    put(tmp_path, "elsewhere", 1)
    with models.lease("a") as held:
        models.reload([ModelConfig(name="a", base_path=tmp_path / "elsewhere"), plan(tmp_path, "b")])
        assert answer(models, "a") == "elsewhere1"
        assert not held.model.closed
    wait_for(lambda: held.model.closed)
    assert states(models, "a") == {1: State.AVAILABLE}
    put(tmp_path, "worse", 1, "broken")
    with pytest.raises(ServingError, match="did not become available"):
        models.reload([ModelConfig(name="a", base_path=tmp_path / "worse"), plan(tmp_path, "b")])
    assert states(models, "a") == {1: State.AVAILABLE}, "the failure of another path does not stain the one that serves"


def test_labels_point_to_versions_that_serve(models, tmp_path):
    with pytest.raises(ServingError, match="INVALID_ARGUMENT: Unrecognized servable version label: stable"):
        answer(models, "a", label="stable")
    models.reload([plan(tmp_path, "a", stable=1), plan(tmp_path, "b")])
    assert answer(models, "a", label="stable") == "a1"
    with pytest.raises(
        ServingError,
        match="FAILED_PRECONDITION: Request to assign label to version 5 of model a, which is not currently available",
    ):
        models.reload([plan(tmp_path, "a", stable=5), plan(tmp_path, "b")])
    assert answer(models, "a", label="stable") == "a1"
    with pytest.raises(ServingError, match="Unrecognized"):
        answer(models, "b", label="stable")


def test_only_a_new_label_may_wait_for_its_version(tmp_path):
    put(tmp_path, "a", 1)
    models = ServerCore(FakeModel, allows_pending_labels=True)
    models.start([plan(tmp_path, "a")], poll_seconds=0, allows_pending_labels=False)
    wait_for(lambda: models.ready)
    models.reload([plan(tmp_path, "a", canary=2)])
    with pytest.raises(ServingError, match=r"Specific\(a, 2\)"):
        answer(models, "a", label="canary")
    with pytest.raises(ServingError, match="FAILED_PRECONDITION"):
        models.reload([plan(tmp_path, "a", canary=3)])
    models.stop(grace_seconds=1)
    strict = ServerCore(FakeModel)
    with pytest.raises(ServingError, match="Request to assign label to version 1 of model a"):
        strict.start([plan(tmp_path, "a", stable=1)], poll_seconds=0, allows_pending_labels=False)


def test_reloads_lose_no_request(models, tmp_path):
    stop, faults = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                with models.lease("a") as lease:
                    if lease.model.closed:
                        faults.append("closed")
            except ServingError as error:
                faults.append(error)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for round_number in range(30):
        put(tmp_path, f"path{round_number}", 1)
        models.reload([ModelConfig(name="a", base_path=tmp_path / f"path{round_number}")])
    stop.set()
    for asker in askers:
        asker.join()
    assert faults == []


def test_the_config_file_is_followed(models, tmp_path):
    def write(*names: str) -> None:
        configs = [f"config {{ name: '{n}' base_path: '{tmp_path}/{n}' model_platform: 'tensorflow' }}" for n in names]
        path.write_text("model_config_list {" + "".join(configs) + "}")

    path = tmp_path / "models.config"
    write("a", "b")
    follower = ConfigWatcher(path, reload=models.reload)
    put(tmp_path, "c", 1)
    write("a", "c")
    follower.poll()
    assert models.names == ["a", "c"]
    path.write_text("model_config_list { config {")
    follower.poll()
    write("nowhere")
    follower.poll()
    path.unlink()
    follower.poll()
    assert models.names == ["a", "c"], "what cannot be used changes nothing"
    follower.start(poll_seconds=0.01)
    write("b")
    wait_for(lambda: models.names == ["b"])
    follower.stop()


def test_a_reload_waits_for_retries_where_failures_are_reported_late(tmp_path):
    put(tmp_path, "a", 1)
    left = [2]

    def load(path: Path) -> FakeModel:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError("not now")
        return FakeModel(path)

    for reports_failures_immediately, attempts in ((True, 1), (False, 3)):
        left[0] = 2
        models = ServerCore(
            load,
            retries=RetryPolicy(
                max_retries=5, interval_seconds=0, reports_failures_immediately=reports_failures_immediately
            ),
        )
        if reports_failures_immediately:
            with pytest.raises(ServingError, match="not now"):
                models.reload([plan(tmp_path, "a")])
        else:
            models.reload([plan(tmp_path, "a")])
            assert answer(models, "a") == "a1"
        assert 2 - left[0] == attempts
        models.stop(grace_seconds=1)
