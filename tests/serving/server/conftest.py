"""Servers that the tests of the server share."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.server.models.memory import freeze_gc
from tests.serving.server import toy_models
from tests.serving.server.in_process import Served, serve
from tests.serving.server.zoo import serve_zoo, write_zoo


@pytest.fixture(scope="package", autouse=True)
def settled() -> Iterator[None]:
    """As in a server process: a collection looks at what was made since, not at the whole test run."""
    freeze_gc()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def half_plus_two_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("half_plus_two")
    return {
        "tf1": toy_models.save_half_plus_two_tf1(root / "tf1" / "1").parent,
        "tf2": toy_models.save_half_plus_two(root / "tf2" / "1").parent,
    }


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server with the model of words, for every test that only asks."""
    base_path = tmp_path_factory.mktemp("words")
    toy_models.save_words(base_path / "7")
    with serve(base_path, max_body_bytes=1 << 20) as served:
        yield served


@pytest.fixture(scope="session")
def zoo_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="session")
def zoo(zoo_config: Path) -> Iterator[Served]:
    """One server with several models, as it is by default."""
    with serve_zoo(zoo_config, file_system_poll_wait_seconds=0) as served:
        yield served


@pytest.fixture(scope="session")
def serve_toy():
    """The context manager that serves a base path under the name `toy`."""
    return serve
