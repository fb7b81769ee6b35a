"""The scripts of examples/, run as a reader runs them, on small shops."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import fake_media, text_shop

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("query_from_python", "quick_start", "train_without_tfx", "your_own_shop")
pytestmark = [pytest.mark.extended, pytest.mark.slow, pytest.mark.e2e]


def run(name: str, *arguments: object) -> str:
    """Runs one script with the tree on its path; returns what it printed."""
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory):
    """(folder, output) of the quick start on a small generated shop."""
    folder = tmp_path_factory.mktemp("quick_start")
    return folder, run("quick_start", "--output", folder, "--items", 40, "--users", 20, "--events", 1200)


def test_every_script_has_a_test():
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.py")) == sorted(SCRIPTS)


def test_the_quick_start_publishes_and_finds_something(quick_start):
    folder, output = quick_start
    assert (folder / "published" / "stock" / "1" / "saved_model.pb").exists()
    assert "version 1 is published" in output
    assert output.count("item-") == 5


def test_every_kind_of_query_is_answered(quick_start):
    import vitrine

    folder, _ = quick_start
    photo = folder / "photo.jpg"
    photo.write_bytes(fake_media.photo(3))
    with vitrine.Server(model_base_path=folder / "published" / "stock") as server:
        output = run("query_from_python", "--rest", server.rest, "--photo", photo, "--text", "linen pillow")
    for title in ("text 'linen pillow'", "the second page", "a photo and text", "like item-", "suggest:"):
        assert title in output
    assert "nothing" not in output.split("a photo:")[1].splitlines()[0]


def test_twelve_rows_and_fifty_events_become_a_search(tmp_path):
    output = run("your_own_shop", "--output", tmp_path)
    assert "12 items, 59 events" in output
    # Words decide here: one item has both, and a swapped letter is corrected.
    assert "'blue mug': mug-blue, " in output
    assert "'lmap': lamp-" in output
    assert "vase-tall" not in output.split("vases in stock: ")[1]


def test_two_fusions_are_compared_without_tfx(tmp_path):
    shop = text_shop.write(tmp_path / "shop")
    output = run("train_without_tfx", "--shop", shop, "--output", tmp_path / "out", "--epochs", 2)
    assert "gated    recall@10 " in output
    assert "sum      recall@10 " in output
    assert (tmp_path / "out" / "bundle" / "stock" / "1" / "saved_model.pb").exists()
