import concurrent.futures
import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.bundle import publish as publishing
from serving.bundle.publish import publish
from serving.manifest import check_manifest, write_manifest

FILES = ("saved_model.pb", "variables/variables.index", "variables/variables.data", "assets.extra/towers.json")


def make_bundle(folder: Path, content: str, *, flavours: tuple[str, ...] = ("stock", "scann"), number: int = 1) -> Path:
    for flavour in flavours:
        bundle = folder / flavour / str(number)
        for name in FILES:
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (bundle / name).write_bytes(f"{content} {flavour} {name}".encode() * 100)
        write_manifest(bundle, extra={"bundle_version": content})
    return folder


def no_check(directory: Path, *, flavour: str) -> None:
    del directory, flavour


def versions(destination: Path, flavour: str = "stock") -> list[int]:
    folder = destination / flavour
    return sorted(int(path.name) for path in folder.iterdir()) if folder.is_dir() else []


def test_a_bundle_becomes_version_one_in_both_flavours(tmp_path):
    source, destination = make_bundle(tmp_path / "built", "a"), tmp_path / "published"
    assert publish(source, destination, check=no_check) == 1
    for flavour in ("stock", "scann"):
        assert versions(destination, flavour) == [1]
        assert check_manifest(destination / flavour / "1") == []
    assert not list(destination.glob(".tmp*"))


def test_numbers_go_up_by_one_whatever_the_clock_or_the_builds_number(tmp_path):
    destination = tmp_path / "published"
    (destination / "scann" / "1700000000").mkdir(parents=True)  # pushed by a clock, in one flavour only
    assert publish(make_bundle(tmp_path / "a", "a", number=3), destination, check=no_check) == 1700000001
    assert publish(make_bundle(tmp_path / "b", "b", number=2), destination, check=no_check) == 1700000002


def test_the_newest_content_is_not_published_again_but_an_older_one_is(tmp_path):
    first, second, destination = make_bundle(tmp_path / "a", "a"), make_bundle(tmp_path / "b", "b"), tmp_path / "to"
    assert [publish(source, destination, check=no_check) for source in (first, first, second, second, first)] == [
        1, 1, 2, 2, 3,
    ]  # fmt: skip
    assert versions(destination) == [1, 2, 3]


def test_a_damaged_newest_version_is_published_again(tmp_path):
    source, destination = make_bundle(tmp_path / "a", "a"), tmp_path / "to"
    publish(source, destination, check=no_check)
    (destination / "stock/1/saved_model.pb").write_bytes(b"")
    assert publish(source, destination, check=no_check) == 2


def test_a_flavour_that_is_missing_is_added_under_the_same_number(tmp_path):
    source, destination = make_bundle(tmp_path / "a", "a"), tmp_path / "to"
    publish(source, destination, check=no_check)
    shutil.rmtree(destination / "scann/1")
    assert publish(source, destination, check=no_check) == 1
    assert check_manifest(destination / "scann/1") == []


def test_a_bundle_that_is_not_whole_is_refused(tmp_path):
    source = make_bundle(tmp_path / "a", "a")
    (source / "scann/1/saved_model.pb").write_bytes(b"half")
    with pytest.raises(ValueError, match="is not whole: 'saved_model.pb' has 4 bytes"):
        publish(source, tmp_path / "to", check=no_check)
    assert not versions(tmp_path / "to")


def test_flavours_of_different_contents_are_refused(tmp_path):
    make_bundle(tmp_path / "a", "a", flavours=("stock",))
    make_bundle(tmp_path / "a", "b", flavours=("scann",))
    with pytest.raises(ValueError, match="wanted one bundle_version"):
        publish(tmp_path / "a", tmp_path / "to", check=no_check)


def test_no_bundle_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="No bundle in .*Build one first"):
        publish(tmp_path, tmp_path / "to", check=no_check)


def test_foreign_ops_publish_nothing(tmp_path):
    def refuse(directory: Path, *, flavour: str) -> None:
        if flavour == "stock":
            raise ValueError("foreign ops")

    with pytest.raises(ValueError, match="foreign ops"):
        publish(make_bundle(tmp_path / "a", "a"), tmp_path / "to", check=refuse)
    assert not versions(tmp_path / "to")
    assert not versions(tmp_path / "to", "scann")


@pytest.mark.parametrize("failing_file", range(10))
def test_a_full_disk_publishes_nothing_and_leaves_nothing(tmp_path, monkeypatch, failing_file):
    source, destination = make_bundle(tmp_path / "b", "b"), tmp_path / "to"
    publish(make_bundle(tmp_path / "a", "a"), destination, check=no_check)
    copied = []

    def copy(start: Path, target: Path) -> None:
        if len(copied) == failing_file:
            target.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(target)
        shutil.copyfile(start, target)

    monkeypatch.setattr(publishing, "_copy_file", copy)
    with pytest.raises(OSError, match="No space left"):
        publish(source, destination, check=no_check)
    for flavour in ("stock", "scann"):
        assert versions(destination, flavour) == [1]
    assert not list(destination.glob(".tmp*"))


def test_too_little_space_is_seen_before_anything_is_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(publishing.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OSError, match="has 1 bytes free; publishing needs .*Make room"):
        publish(make_bundle(tmp_path / "a", "a"), tmp_path / "to", check=no_check)


# Publishes in a process without TensorFlow that is killed just before, or after, its n-th step of any kind.
KILLED = """
import os, signal, sys
from serving.bundle import publish
steps = int(sys.argv[3])
def counted(call):
    def step(*arguments):
        global steps
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        steps -= 1
        return call(*arguments)
    return step
publish._copy_file = counted(publish._copy_file)
publish._sync = counted(publish._sync)
publish.os.rename = counted(os.rename)
publish.publish(sys.argv[1], sys.argv[2], check=lambda directory, flavour: None)
assert "tensorflow" not in sys.modules
print("whole")
"""


def test_killed_at_any_step_it_leaves_only_whole_versions(tmp_path):
    source, steps, finished = make_bundle(tmp_path / "b", "b"), 0, False
    old = make_bundle(tmp_path / "a", "a")
    while not finished:
        destination = tmp_path / f"to{steps}"
        publish(old, destination, check=no_check)
        command = [sys.executable, "-c", KILLED, str(source), str(destination), str(steps)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        finished = child.returncode == 0
        assert finished or child.returncode == -signal.SIGKILL, child.stderr
        for flavour in ("stock", "scann"):
            for version in versions(destination, flavour):
                assert check_manifest(destination / flavour / str(version)) == []
        assert publish(source, destination, check=no_check) == 2
        for flavour in ("stock", "scann"):
            assert versions(destination, flavour) == [1, 2]
        assert not list(destination.glob(".tmp*"))
        steps += 1
    assert steps > 15  # ten files, their folders and two renames


def test_publishers_at_the_same_time_get_numbers_of_their_own(tmp_path):
    sources = [make_bundle(tmp_path / name, name) for name in "abcdef"]
    with concurrent.futures.ThreadPoolExecutor(len(sources)) as pool:
        numbers = list(pool.map(lambda source: publish(source, tmp_path / "to", check=no_check), sources))
    assert sorted(numbers) == versions(tmp_path / "to") == versions(tmp_path / "to", "scann") == [1, 2, 3, 4, 5, 6]
