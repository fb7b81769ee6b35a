"""Bundles with one signature, for tests that build many of them: most of a build is the tracing of the others."""

import contextlib
from collections.abc import Iterator

import pytest

from serving.bundle import saved_model, warmup
from trainer.spec.serving.signatures import signatures


@contextlib.contextmanager
def search_alone() -> Iterator[None]:
    """Builds bundles whose only signature is `search` while it is open."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (saved_model, warmup):
            patch.setattr(
                module,
                "signatures",
                lambda config: tuple(declared for declared in signatures(config) if declared.name == "search"),
            )
        yield
