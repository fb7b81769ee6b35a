"""Shared by the tests of what matches: every example is a catalogue of its own, and few requests of it."""

from collections.abc import Iterator

import pytest

from tests.support.eager_bundle import eagerly


@pytest.fixture(scope="module", autouse=True)
def op_by_op() -> Iterator[None]:
    with eagerly():
        yield
