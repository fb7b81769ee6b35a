"""The distribution vitrine-client: built from serving/client, installed alone, queried without TensorFlow."""

import email
import http.server
import json
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys, setuptools.build_meta as build; build.build_wheel(sys.argv[1])"
TENSOR = {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": "-1"}]}, "name": "tensor:0"}
SIGNATURES = {"suggest": {"inputs": {"query_text": TENSOR}, "outputs": {"suggestion": TENSOR}}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy with the setuptools of this environment: nothing is fetched."""
    tree = tmp_path_factory.mktemp("client") / "client"
    shutil.copytree(ROOT / "serving/client", tree, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", tree)
    done = subprocess.run([sys.executable, "-c", BUILD, "dist"], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [archive] = (tree / "dist").glob("*.whl")
    return archive


class Suggest(http.server.BaseHTTPRequestHandler):
    """A server of one signature that reverses the words."""

    def do_GET(self):
        assert self.path == "/v1/models/vitrine/metadata"
        self.answer({"metadata": {"signature_def": {"signature_def": SIGNATURES}}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["signature_name"] == "suggest"
        self.answer({"outputs": [" ".join(reversed(text.split())) for text in asked["inputs"]["query_text"]]})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """The root URL of `Suggest` on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Suggest) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_the_wheel_holds_the_client_alone_and_requires_no_tensorflow(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [path] = [name for name in names if name.endswith("/METADATA")]
        metadata = email.message_from_bytes(archive.read(path))
    modules = {f"vitrine_client/{file.name}" for file in (ROOT / "serving/client").glob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert "vitrine_client/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    required = {line.split(">")[0]: line for line in metadata.get_all("Requires-Dist")}
    base = {name for name, line in required.items() if "extra ==" not in line}
    assert base == {"numpy", "pillow", "protobuf", "requests"}
    assert {name for name, line in required.items() if "extra ==" in line} == {"grpcio", "av", "pillow-heif"}


def test_client_and_project_have_one_version():
    versions = [
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        for folder in (".", "serving/client")
    ]
    assert versions[0] == versions[1]


def test_the_installed_client_queries_over_rest_where_tensorflow_cannot_be_imported(wheel, server, tmp_path):
    with zipfile.ZipFile(wheel) as archive:  # a pure wheel is installed by unpacking it
        archive.extractall(tmp_path)
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('tensorflow', 'trainer', 'serving', 'grpc', 'av', 'vitrine'):\n"
        "            raise ImportError(f'{name} is not installed here')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from vitrine_client import Client\n"
        "print(Client(rest=sys.argv[2]).suggest('shirt red'))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(tmp_path), server], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("red shirt\n", "")
