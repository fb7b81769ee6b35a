"""Shared by the tests that run the commands of pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.document_session import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    started = Session(Path(tmp_path_factory.mktemp("pages")))
    yield started
    started.close()
