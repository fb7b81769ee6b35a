"""Vitrine: multimodal search and recommendation for shops, on TensorFlow.

    import vitrine

    config = vitrine.preset("tiny")
    vitrine.preprocess("shop", "runs/data", config=config)
    vitrine.train("runs/data", "runs/model", config=config)
    vitrine.build_bundle("runs/model/towers", "runs/data", "runs/model/bundle")
    vitrine.publish("runs/model/bundle", "runs/published")
    with vitrine.Server(model_base_path="runs/published/stock") as server:
        print(vitrine.Client(rest=server.rest).search(text="red shoe").ids)

Every name is imported when it is first used (PEP 562): `import vitrine` loads no TensorFlow. `Config`, `preset`,
`Client`, `Credentials`, `Filters`, `SearchResult` and `Server` never load it; the others raise ImportError where
TensorFlow was imported with Keras 3 before and they need Keras 2.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.client import Client as Client
    from serving.client import Credentials as Credentials
    from serving.client import Filters as Filters
    from serving.client import SearchResult as SearchResult
    from trainer.spec.config import Config as Config
    from trainer.spec.presets import preset as preset
    from vitrine.jobs import build_bundle as build_bundle
    from vitrine.jobs import evaluate as evaluate
    from vitrine.jobs import preprocess as preprocess
    from vitrine.jobs import publish as publish
    from vitrine.jobs import refresh as refresh
    from vitrine.jobs import train as train
    from vitrine.loaded_bundle import load_bundle as load_bundle
    from vitrine.server import Server as Server
    from vitrine.version import __version__ as __version__

# The module that defines each public name; tests/vitrine/test_facade.py compares it with the imports above.
_MODULES = {
    "Client": "serving.client",
    "Config": "trainer.spec.config",
    "Credentials": "serving.client",
    "Filters": "serving.client",
    "SearchResult": "serving.client",
    "Server": "vitrine.server",
    "__version__": "vitrine.version",
    "build_bundle": "vitrine.jobs",
    "evaluate": "vitrine.jobs",
    "load_bundle": "vitrine.loaded_bundle",
    "preprocess": "vitrine.jobs",
    "preset": "trainer.spec.presets",
    "publish": "vitrine.jobs",
    "refresh": "vitrine.jobs",
    "train": "vitrine.jobs",
}
__all__ = [  # noqa: F822  defined by __getattr__
    "Client",
    "Config",
    "Credentials",
    "Filters",
    "SearchResult",
    "Server",
    "__version__",
    "build_bundle",
    "evaluate",
    "load_bundle",
    "preprocess",
    "preset",
    "publish",
    "refresh",
    "train",
]


def __getattr__(name: str) -> Any:
    """Returns a public name, importing its module at the first use."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'vitrine' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Returns the public names, imported or not, and the module's own attributes."""
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
