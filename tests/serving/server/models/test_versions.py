"""The life of versions, with models that are plain objects."""

import itertools
import shutil
import threading
import weakref
from pathlib import Path

import pytest

from serving.manifest import MANIFEST_PATH, write_manifest
from serving.server.flags import RetryPolicy
from serving.server.models.loaded_versions import State
from serving.server.models.version_policy import VersionPolicy
from serving.server.models.versions import ModelVersions
from serving.server.protocol.errors import ServingError


class FakeModel:
    def __init__(self, path: Path) -> None:
        self.text = (path / "saved_model.pb").read_text()
        if self.text == "broken":
            raise RuntimeError("does not load")
        self.closed = False

    def close(self) -> None:
        self.closed = True


def put(base: Path, version: int, text: str, *, manifest: bool = False) -> Path:
    folder = base / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(text)
    if manifest:
        write_manifest(folder, extra={})
    return folder


@pytest.fixture
def versions(tmp_path: Path) -> ModelVersions[FakeModel]:
    return ModelVersions("toy", base_path=tmp_path, load=FakeModel)


def states(versions: ModelVersions[FakeModel]) -> dict[int, State]:
    return {status.version: status.state for status in versions.statuses()}


def serving(versions: ModelVersions[FakeModel]) -> tuple[int, str]:
    with versions.lease() as lease:
        return lease.version, lease.model.text


def test_nothing_there_serves_nothing(versions):
    versions.poll()
    with (
        pytest.raises(ServingError, match=r"NOT_FOUND: Servable not found for request: Latest\(toy\)"),
        versions.lease(),
    ):
        pass
    assert versions.statuses() == []
    assert not versions.available.is_set()


def test_the_highest_number_serves_not_the_last_by_name(versions, tmp_path):
    put(tmp_path, 9, "nine")
    put(tmp_path, 10, "ten")
    (tmp_path / "tmp-11").mkdir()
    (tmp_path / "12").write_text("a file")
    versions.poll()
    assert serving(versions) == (10, "ten")
    assert states(versions) == {10: State.AVAILABLE}
    with pytest.raises(ServingError, match=r"Specific\(toy, 9\)"), versions.lease(9):
        pass


def test_a_half_written_folder_is_left_alone_until_it_is_complete(versions, tmp_path):
    put(tmp_path, 1, "one")
    versions.poll()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "variables").mkdir()
    versions.poll()
    assert serving(versions) == (1, "one")
    assert 2 not in states(versions)
    put(tmp_path, 2, "two")
    versions.poll()
    assert serving(versions) == (2, "two")
    assert states(versions) == {2: State.AVAILABLE, 1: State.END}


def test_a_corrupt_manifest_is_ignored_then_picked_up_when_fixed(versions, tmp_path):
    put(tmp_path, 1, "one", manifest=True)
    folder = put(tmp_path, 2, "two", manifest=True)
    good = (folder / MANIFEST_PATH).read_bytes()
    (folder / MANIFEST_PATH).write_bytes(good[: len(good) // 2])
    versions.poll()
    versions.poll()
    assert serving(versions) == (1, "one")
    (folder / MANIFEST_PATH).write_bytes(good)
    versions.poll()
    assert serving(versions) == (2, "two")


def test_a_copy_that_stops_anywhere_is_never_served(versions, tmp_path):
    put(tmp_path, 1, "one", manifest=True)
    versions.poll()
    whole = put(tmp_path / "elsewhere", 2, "two")
    for name in ("variables.index", "variables.data"):
        (whole / name).write_text(name)
    write_manifest(whole, extra={})
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    target = tmp_path / "2"
    for order in (files, files[::-1]):
        for stopped, part in itertools.product(range(len(files)), (0, 3)):
            for number, name in enumerate(order[: stopped + 1]):
                data = (whole / name).read_bytes()
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(data if number < stopped else data[:part])
            if (target / MANIFEST_PATH).exists() or not (target / "saved_model.pb").exists():
                versions.poll()
                assert serving(versions) == (1, "one")
            shutil.rmtree(target)
    shutil.copytree(whole, target)
    versions.poll()
    assert serving(versions) == (2, "two")


def test_a_file_that_differs_from_the_manifest_keeps_the_version_out(versions, tmp_path):
    put(tmp_path, 1, "one", manifest=True)
    folder = put(tmp_path, 2, "two", manifest=True)
    (folder / "saved_model.pb").write_text("TWO")
    versions.poll()
    assert serving(versions) == (1, "one")


def test_a_version_that_fails_to_load_never_replaces_a_good_one_and_is_tried_again_when_changed(versions, tmp_path):
    put(tmp_path, 1, "one")
    versions.poll()
    put(tmp_path, 2, "broken")
    versions.poll()
    assert serving(versions) == (1, "one")
    failed = versions.statuses()[0]
    assert (failed.version, failed.state, failed.code.name, failed.message) == (
        2,
        State.END,
        "UNKNOWN",
        "does not load",
    )
    put(tmp_path, 2, "fixed")
    versions.poll()
    assert serving(versions) == (2, "fixed")


def test_files_that_change_while_they_load_do_not_serve(tmp_path):
    def load(path: Path) -> FakeModel:
        model = FakeModel(path)
        if model.text == "early":
            (path / "saved_model.pb").write_text("finished")
        return model

    versions = ModelVersions("toy", base_path=tmp_path, load=load)
    put(tmp_path, 1, "early")
    versions.poll()
    assert states(versions) == {1: State.END}
    versions.poll()
    assert serving(versions) == (1, "finished")


@pytest.mark.parametrize(
    ("policy", "wanted", "later"),
    [
        (VersionPolicy(num_latest=2), [4, 3], [5, 4]),
        (VersionPolicy(num_latest=None), [4, 3, 1], [5, 4, 3, 1]),
        (VersionPolicy(num_latest=None, specific=frozenset({1, 3, 9})), [3, 1], [3, 1]),
    ],
)
def test_policies_choose_among_the_good_versions(tmp_path, policy, wanted, later):
    versions = ModelVersions("toy", base_path=tmp_path, load=FakeModel, policy=policy)
    for version, text in ((1, "one"), (2, "broken"), (3, "three"), (4, "four")):
        put(tmp_path, version, text)
    versions.poll()
    assert [one.version for one in versions.statuses() if one.state is State.AVAILABLE] == wanted
    with versions.lease(wanted[-1]) as oldest, versions.lease() as latest:
        assert (oldest.version, latest.version) == (wanted[-1], wanted[0])
    put(tmp_path, 5, "five")
    versions.poll()
    assert [one.version for one in versions.statuses() if one.state is State.AVAILABLE] == later
    with pytest.raises(ServingError, match="Specific"), versions.lease(2):
        pass


def test_a_request_keeps_its_version_and_the_old_one_unloads_after_it(versions, tmp_path):
    put(tmp_path, 1, "one")
    versions.poll()
    with versions.lease() as held:
        put(tmp_path, 2, "two")
        versions.poll()
        assert serving(versions) == (2, "two")
        assert not held.model.closed
        assert states(versions) == {2: State.AVAILABLE, 1: State.UNLOADING}
    versions.poll()
    assert held.model.closed
    assert states(versions) == {2: State.AVAILABLE, 1: State.END}


def test_removing_the_serving_version_rolls_back_and_an_empty_base_keeps_serving(versions, tmp_path):
    put(tmp_path, 1, "one")
    folder = put(tmp_path, 2, "two")
    versions.poll()
    assert serving(versions) == (2, "two")
    (folder / "saved_model.pb").unlink()
    folder.rmdir()
    versions.poll()
    assert serving(versions) == (1, "one")
    (tmp_path / "1" / "saved_model.pb").unlink()
    (tmp_path / "1").rmdir()
    versions.poll()
    assert serving(versions) == (1, "one")


def test_stopping_unloads(versions, tmp_path):
    put(tmp_path, 1, "one")
    versions.start(poll_seconds=0.01)
    assert versions.available.wait(10)
    with versions.lease() as lease:
        model = lease.model
    versions.stop(grace_seconds=5)
    assert model.closed
    assert states(versions) == {1: State.END}
    with pytest.raises(ServingError, match="Servable not found"), versions.lease():
        pass


def test_many_swaps_under_load_never_fail_and_never_hand_out_a_closed_model(versions, tmp_path):
    put(tmp_path, 1, "1")
    versions.poll()
    stop, faults = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                with versions.lease() as lease:
                    if lease.model.closed or lease.model.text != str(lease.version):
                        faults.append(lease.version)
            except ServingError as error:
                faults.append(error)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    for version in range(2, 32):
        put(tmp_path, version, str(version))
        versions.poll()
    stop.set()
    for asker in askers:
        asker.join()
    assert faults == []
    assert serving(versions) == (31, "31")
    assert len(versions.statuses()) == 17, "one that serves and the last 16 that ended"


def test_a_new_folder_that_fails_half_way_is_no_reason_to_stop_polling(tmp_path):
    calls = []

    def load(path: Path) -> FakeModel:
        calls.append(path.name)
        raise MemoryError

    versions = ModelVersions("toy", base_path=tmp_path, load=load)
    put(tmp_path, 1, "one")
    versions.poll()
    versions.poll()
    assert calls == ["1"], "the same files are not tried twice"
    assert versions.statuses()[0].message == "MemoryError"


class Flaky:
    """Fails to load a given number of times, then loads."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.calls = 0

    def __call__(self, path: Path) -> FakeModel:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise OSError("not now")
        return FakeModel(path)


@pytest.mark.parametrize(("reports_failures_immediately", "meanwhile"), [(True, State.END), (False, State.LOADING)])
def test_a_version_that_failed_is_tried_again_as_often_as_asked(tmp_path, reports_failures_immediately, meanwhile):
    load, retries = (
        Flaky(9),
        RetryPolicy(max_retries=2, interval_seconds=0, reports_failures_immediately=reports_failures_immediately),
    )
    versions = ModelVersions("toy", base_path=tmp_path, load=load, retries=retries)
    put(tmp_path, 1, "one")
    reported = []
    for _ in range(5):
        versions.poll()
        reported.append(versions.statuses()[0].state)
    # The first attempt and two more; only then TF Serving's manner reports that it failed.
    assert load.calls == 3
    assert reported == [meanwhile, meanwhile, State.END, State.END, State.END]
    assert versions.statuses()[0].message == "not now"
    load.left = 1
    put(tmp_path, 1, "other files")
    versions.poll()
    versions.poll()
    assert (load.calls, serving(versions)) == (5, (1, "other files"))


def test_a_retry_waits_for_its_interval_and_needs_no_polling_of_the_base_path(tmp_path):
    load = Flaky(2)
    versions = ModelVersions(
        "toy", base_path=tmp_path, load=load, retries=RetryPolicy(max_retries=5, interval_seconds=0.05)
    )
    put(tmp_path, 1, "one")
    versions.poll()
    versions.poll()
    assert load.calls == 1
    versions.start(poll_seconds=0)
    assert versions.available.wait(20)
    assert load.calls == 3
    versions.stop(grace_seconds=5)


def test_an_unloaded_version_is_let_go_of(versions, tmp_path):
    put(tmp_path, 1, "one")
    versions.poll()
    with versions.lease() as lease:
        gone = weakref.ref(lease.model)
    del lease
    put(tmp_path, 2, "two")
    versions.poll()
    assert states(versions)[1] is State.END
    assert gone() is None
