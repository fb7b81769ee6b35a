"""The bundle as a SavedModel to be: one exported function per signature, with the declared defaults."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving import rows
from serving.signatures import Answer, Answers
from trainer.spec.ports import Signature
from trainer.spec.signatures import signatures

SERVING_DEFAULT = "serving_default"
DEFAULT_SIGNATURE = "search"


class Bundle(tf.Module):
    """A SavedModel to be; each signature is an attribute of its name."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(name="bundle")
        self.answers = answers
        self.declared = tuple(signature.name for signature in signatures(answers.config))
        for signature in signatures(answers.config):
            setattr(self, signature.name, exported(signature, getattr(answers, signature.name)))

    def save(self, directory: str, *, namespaces: tuple[str, ...] = ()) -> None:
        """Writes the SavedModel; `namespaces` are those of ops that are not TensorFlow's own."""
        functions = {name: getattr(self, name) for name in self.declared}
        functions[SERVING_DEFAULT] = functions[DEFAULT_SIGNATURE]
        options = tf.saved_model.SaveOptions(namespace_whitelist=list(namespaces))
        tf.saved_model.save(self, directory, signatures=functions, options=options)


def exported(declared: Signature, method: Callable[[Mapping[str, tf.Tensor]], Answer]) -> Any:
    """`method` as a `tf.function` with the declared inputs by name; a default argument becomes a signature default.

    Raises:
      ValueError: When traced: the method's outputs are not the declared ones.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [port for port in declared.inputs if port.default is None]
    ports = [*required, *(port for port in declared.inputs if port.default is not None)]

    def function(*values: tf.Tensor) -> Answer:
        outputs = method({port.name: value for port, value in zip(ports, values, strict=True)})
        want = {port.name for port in declared.outputs}
        if set(outputs) != want:
            raise ValueError(
                f"Signature {declared.name!r} gives {sorted(outputs)}; trainer/spec/signatures.py declares "
                f"{sorted(want)}. Change one of them."
            )
        return {port.name: tf.ensure_shape(outputs[port.name], [None, *port.shape]) for port in declared.outputs}

    function.__name__ = declared.name
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                port.name, kind, default=inspect.Parameter.empty if port.default is None else rows.default_input(port)
            )
            for port in ports
        ]
    )
    specs = [tf.TensorSpec([None, *port.shape], port.dtype.value, name=port.name) for port in ports]
    return tf.function(function, input_signature=specs, autograph=False)  # explicit control flow traces much faster
