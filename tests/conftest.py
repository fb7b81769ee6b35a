"""What every test shares: quiet TensorFlow, Keras 2, repeatable hypothesis."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ["VITRINE_USER_KEY"] = "key-of-the-tests"
os.environ.pop("VITRINE_USER_KEY_PREVIOUS", None)

import collections
import pathlib
import sys
import types
from typing import Any

import hypothesis
import pytest

import trainer  # noqa: F401  selects Keras 2 before any test imports TensorFlow

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def repeatable_weights() -> None:
    """A layer that a test builds begins with the same weights in every run."""
    if "tensorflow" in sys.modules:  # tests that read sources alone do not wait for it
        sys.modules["tensorflow"].keras.utils.set_random_seed(1)


@pytest.fixture(scope="session")
def components() -> types.SimpleNamespace:
    """The modules of the TFX components; importing TFX takes its time."""
    from tests.support.tfx_import import import_components

    return import_components()


# Fixtures of a session that take long, and the files that use them: one process runs these, so that it is made once.
SHARED = {
    "facade_run": ("tests/vitrine/",),
    "golden_folder": (
        "tests/serving/report/",
        "tests/serving/server/pages/",
        "tests/serving/test_golden_answers.py",
    ),
    "trained": ("tests/trainer/evaluation/", "tests/trainer/training/", "tests/trainer/test_task.py"),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each process whole files, and files that share a fixture of a session to one process."""
    from xdist.scheduler import LoadFileScheduling

    class SharedFixtureScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return next((name for name, places in SHARED.items() if path.startswith(places)), path)

    return SharedFixtureScheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that processes which share the files end together."""
    length: collections.Counter[pathlib.Path] = collections.Counter()
    for item in items:
        length[item.path] += 100 * bool(item.get_closest_marker("e2e")) + bool(item.get_closest_marker("slow"))
        for name in SHARED.keys() & {*getattr(item, "fixturenames", ())}:
            assert item.nodeid.startswith(SHARED[name]), f"{item.nodeid} uses {name}; add its file to SHARED"
    items.sort(key=lambda item: -length[item.path])
    if "tensorflow" in sys.modules:
        # Graphs run as they were traced: to optimize one takes longer than the few runs that a test makes of it.
        # Programs that tests start (a managed job, servers) keep the default.
        sys.modules["tensorflow"].config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
