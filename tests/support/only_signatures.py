"""Bundles with few signatures, for tests that build many of them: most of a build is the tracing of the others."""

import contextlib
from collections.abc import Iterator

import pytest

from serving.bundle import saved_model, warmup
from trainer.spec.serving.signatures import signatures


@contextlib.contextmanager
def only_signatures(*names: str) -> Iterator[None]:
    """Builds bundles with no signatures but these, `search` among them, while it is open."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (saved_model, warmup):
            patch.setattr(
                module,
                "signatures",
                lambda config: tuple(declared for declared in signatures(config) if declared.name in names),
            )
        yield
