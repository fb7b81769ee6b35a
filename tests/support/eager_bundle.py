"""A bundle whose signatures run op by op: a few requests cost far less so than the trace of their graphs."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from serving.bundle.saved_model import Bundle


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Runs every `tf.function` op by op while it is open."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


class EagerBundle:
    """Signatures of a bundle by name, called with named inputs as those of `Bundle`.

    Attributes:
      functions: Those of the bundle.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.functions = bundle.functions
        self._bundle = bundle

    def __getattr__(self, name: str) -> Callable[..., dict[str, tf.Tensor]]:
        function = getattr(self._bundle, name).python_function

        def call(**inputs: Any) -> dict[str, tf.Tensor]:
            bound = inspect.signature(function).bind(**inputs)
            bound.apply_defaults()
            with eagerly():
                outputs: dict[str, tf.Tensor] = function(*map(tf.convert_to_tensor, bound.arguments.values()))
            return outputs

        return call
