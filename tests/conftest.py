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


# Fixtures of a session that take long: the files that use one of them are run by one process.
SHARED = ("facade_run", "trained", "golden_folder")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are not split among processes, and those that take long come first, so that all processes end together."""
    length: collections.Counter[pathlib.Path] = collections.Counter()
    group: dict[pathlib.Path, str] = {}
    for item in items:
        length[item.path] += 100 * bool(item.get_closest_marker("e2e")) + bool(item.get_closest_marker("slow"))
        shared = [name for name in SHARED if name in getattr(item, "fixturenames", ())]
        group[item.path] = (shared or [group.get(item.path, str(item.path))])[0]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group[item.path]))
    items.sort(key=lambda item: -length[item.path])
    if "tensorflow" in sys.modules:
        # Graphs run as they were traced: to optimize one takes longer than the few runs that a test makes of it.
        # Programs that tests start (a managed job, servers) keep the default.
        sys.modules["tensorflow"].config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
