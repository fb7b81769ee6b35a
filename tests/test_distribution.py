"""`python setup.py sdist` and the wheel hold the whole project: Beam's --setup_file and managed jobs install them."""

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("trainer", "serving", "beam_preprocess", "vitrine")
TOP = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "tfx_pipeline.py")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A source distribution and a wheel, built from a copy without network or isolation."""
    tree = tmp_path_factory.mktemp("distribution")
    for name in TOP:
        shutil.copy(ROOT / name, tree / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for command in (["sdist"], ["bdist_wheel"]):
        done = subprocess.run(
            [sys.executable, "setup.py", "--quiet", *command], cwd=tree, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return tree / "dist"


def modules():
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)) for path in files} | {"tfx_pipeline.py"}


def test_source_distribution_holds_every_module(built):
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
        prefix = tar.getnames()[0].split("/")[0]
    assert prefix == "vitrine_search-0.1.0"
    assert modules() <= names
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_wheel_holds_every_module_and_says_what_it_needs(built):
    [archive] = built.glob("*.whl")
    assert archive.name == "vitrine_search-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive) as wheel:
        names = set(wheel.namelist())
        metadata = email.message_from_bytes(wheel.read("vitrine_search-0.1.0.dist-info/METADATA"))
        entry_points = wheel.read("vitrine_search-0.1.0.dist-info/entry_points.txt").decode()
    assert modules() <= names
    assert {*(f"{package}/py.typed" for package in PACKAGES), "serving/report/report.html"} <= names
    assert "vitrine_search-0.1.0.dist-info/licenses/LICENSE" in names
    assert metadata["Name"] == "vitrine-search"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra")) == {
        *("client", "completion", "databases", "heic", "pipeline", "report", "serve")
    }
    required = metadata.get_all("Requires-Dist")
    assert "tensorflow==2.20.0" in required
    assert 'tfx==1.21.0; extra == "pipeline"' in required
    assert "vitrine = vitrine.cli:main" in entry_points
