"""Publishers that are killed, clocks that step back, and pushes that say what is served."""

import os
import subprocess
import sys
import time

import pytest

from serving.bundle import publish as publishing
from serving.bundle import push
from serving.manifest import write_manifest
from tests.serving.server import toy_models
from tests.serving.server.in_process import content

# A hundred publishers, each killed at another step: every other one ours, the rest copying file by file. A
# server's versions follow all the while; what is loaded must be whole.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from serving.bundle import publish as publishing
from serving.manifest import MANIFEST_PATH, write_manifest
from serving.server.models.versions import ModelVersions

root = Path(sys.argv[1])
FILES = ("saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/data", "assets/words.txt")

def make(folder, content):
    for name in FILES:
        path = folder / "scann" / "1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content} {name} " * 50)
    write_manifest(folder / "scann" / "1", extra={"bundle_version": content})
    return folder

bad, loaded = [], []

class Model:
    def __init__(self, path):
        words = {(path / name).read_text() for name in FILES if (path / name).exists()}
        whole = len(words) == len(FILES) and all(text.endswith(" ") and len(text) > 100 for text in words)
        (loaded if whole else bad).append(path.name)
    def close(self):
        pass

def counted(call, steps):
    def step(*arguments, **named):
        steps[0] -= 1
        if steps[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return step

def publish_and_die(source, steps):
    left = [steps]
    for name in ("_copy_file", "_sync"):
        setattr(publishing, name, counted(getattr(publishing, name), left))
    publishing.os.rename = counted(os.rename, left)
    publishing.publish(source, root / "to", check=lambda directory, flavour: None)

def copy_and_die(source, steps, *, graph_last):
    # File by file into the numbered folder: the graph last, as TFX's Pusher does, or early.
    start, target = source / "scann" / "1", root / "to" / "scann" / str(100_000 + steps_done)
    names = sorted((str(path.relative_to(start)) for path in start.rglob("*") if path.is_file()), reverse=graph_last)
    names.sort(key=lambda name: (name == "saved_model.pb") if graph_last else (name != MANIFEST_PATH))
    for number, name in enumerate(names):
        data, path = (start / name).read_bytes(), target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[: len(data) // 2])
        if number == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        path.write_bytes(data)

versions = ModelVersions("toy", base_path=root / "to" / "scann", load=Model)
killed = 0
for steps_done in range(100):
    source = make(root / f"source{steps_done}", f"content {steps_done}")
    child = os.fork()
    if child == 0:
        if steps_done % 2:
            copy_and_die(source, steps_done // 4 % (len(FILES) + 2), graph_last=steps_done % 4 == 1)
        else:
            publish_and_die(source, steps_done // 2 % 12)
        os._exit(0)
    while True:
        versions.poll()
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            killed += os.WIFSIGNALED(status)
            break
    versions.poll()
    if steps_done % 2:
        shutil.rmtree(root / "to" / "scann" / str(100_000 + steps_done), ignore_errors=True)
publishing.publish(make(root / "last", "last"), root / "to", check=lambda directory, flavour: None)
versions.poll()
with versions.lease() as lease:
    newest = max(int(path.name) for path in (root / "to" / "scann").iterdir() if path.name.isdigit())
    assert lease.version == newest, (lease.version, newest)
print(f"killed={killed} loaded={len(loaded)} bad={bad}")
"""


@pytest.mark.extended
def test_a_hundred_killed_publishers_never_get_half_a_version_loaded(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    counts = dict(pair.split("=", 1) for pair in done.stdout.splitlines()[-1].split(" ", 2))
    assert int(counts["killed"]) > 60
    assert int(counts["loaded"]) > 5
    assert counts["bad"] == "[]"


@pytest.fixture
def stepping_clock(monkeypatch):
    """A clock that stands still, then steps back an hour at every look."""
    now = [time.time()]

    def step() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", step)
    monkeypatch.setattr(time, "time_ns", lambda: int(step() * 1e9))


def make_bundle(folder, *, plus: float, content: str):
    path = toy_models.save_half_plus_two(folder / "scann" / "1", plus=plus)
    write_manifest(path, extra={"bundle_version": content})
    return folder


def test_whatever_the_time_of_the_clock_the_newest_push_is_the_one_that_serves(
    stepping_clock, serve_toy, tmp_path, capsys
):
    bundles = [make_bundle(tmp_path / name, plus=plus, content=name) for name, plus in (("a", 1.0), ("b", 2.0))]
    destination = tmp_path / "published"
    assert publishing.publish(bundles[0], destination) == 1
    with serve_toy(destination / "scann") as served:
        for bundle, version, value in ((bundles[1], 2, 2.0), (bundles[0], 3, 1.0)):
            arguments = [str(bundle), str(destination), f"--server={served.url}", "--model_name=toy"]
            assert push.main(arguments) == 0
            assert capsys.readouterr().out == f"published {version}\nserving {version} at {served.url}\n"
            assert content(served.post({"instances": [0.0]})) == {"predictions": [value]}


def test_a_push_that_is_not_served_fails_and_reports_what_is(serve_toy, tmp_path, capsys):
    good = make_bundle(tmp_path / "good", plus=1.0, content="good")
    destination = tmp_path / "published"
    publishing.publish(good, destination)
    bad = tmp_path / "bad"
    graph = toy_models.save_half_plus_two(bad / "scann" / "1") / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-200])
    write_manifest(bad / "scann" / "1", extra={"bundle_version": "bad"})
    with serve_toy(destination / "scann") as served:
        with pytest.raises(push.NotServedError, match=r"does not serve version 9 after 0.3 s: it has 1 AVAILABLE\.$"):
            push.wait_until_served(served.url, model_name="toy", version=9, wait_seconds=0.3)
        published = publishing.publish(bad, destination, check=lambda directory, flavour: None)
        with pytest.raises(push.NotServedError, match=r"gave version 2 up: .*; it has 2 END, 1 AVAILABLE"):
            push.wait_until_served(served.url, model_name="toy", version=published, wait_seconds=60)
    with pytest.raises(push.NotServedError, match=r"after 0 s: it did not answer \(ConnectionError\)"):
        push.wait_until_served(served.url, model_name="toy", version=1, wait_seconds=0)
    assert push.main([str(tmp_path / "nothing"), str(destination)]) == 1
    assert "No bundle in" in capsys.readouterr().err
