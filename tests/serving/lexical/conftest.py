"""Shared by the tests of lexical search: every test has words of its own, and few queries of them."""

from collections.abc import Iterator

import pytest

from tests.support.eager_bundle import eagerly


@pytest.fixture(scope="module", autouse=True)
def op_by_op() -> Iterator[None]:
    with eagerly():
        yield
