"""The bundle as a SavedModel to be: one exported function per signature, with the declared defaults."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2, saved_model_pb2

from serving.engine import request_inputs
from serving.engine.signatures import Outputs, SignatureFunctions
from trainer.spec.serving.signature_fields import Signature
from trainer.spec.serving.signatures import signatures

SERVING_DEFAULT = "serving_default"
DEFAULT_SIGNATURE = "search"


class Bundle(tf.Module):
    """A SavedModel to be; each signature is an attribute of its name."""

    def __init__(self, answers: SignatureFunctions) -> None:
        super().__init__(name="bundle")
        self.answers = answers
        self.declared = tuple(signature.name for signature in signatures(answers.config))
        for signature in signatures(answers.config):
            setattr(self, signature.name, as_signature_function(signature, getattr(answers, signature.name)))

    def save(self, directory: str, *, namespaces: tuple[str, ...] = ()) -> None:
        """Writes the SavedModel; `namespaces` are those of ops that are not TensorFlow's own."""
        functions = {name: getattr(self, name) for name in self.declared}
        functions[SERVING_DEFAULT] = functions[DEFAULT_SIGNATURE]
        options = tf.saved_model.SaveOptions(namespace_whitelist=list(namespaces))
        tf.saved_model.save(self, directory, signatures=functions, options=options)
        optimize_for_loading(Path(directory) / "saved_model.pb")


def optimize_for_loading(path: Path) -> None:
    """Changes a SavedModel so that a server is ready to answer sooner; what it computes stays.

    Its functions are optimized once over where the default is twice, and the default signature is the same part of the
    graph as the signature that it stands for, so that it is not prepared again.
    """
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    graph = meta_graph.graph_def
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if "config_proto" in node.attr:
                config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
                config.graph_options.rewrite_options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
                node.attr["config_proto"].s = config.SerializeToString(deterministic=True)
    meta_graph.signature_def[SERVING_DEFAULT].CopyFrom(meta_graph.signature_def[DEFAULT_SIGNATURE])
    path.write_bytes(model.SerializeToString(deterministic=True))


def as_signature_function(declared: Signature, method: Callable[[Mapping[str, tf.Tensor]], Outputs]) -> Any:
    """`method` as a `tf.function` with the declared inputs by name; a default argument becomes a signature default.

    Raises:
      ValueError: When traced: the method's outputs are not the declared ones.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [port for port in declared.inputs if port.default is None]
    ports = [*required, *(port for port in declared.inputs if port.default is not None)]

    def function(*values: tf.Tensor) -> Outputs:
        outputs = method({port.name: value for port, value in zip(ports, values, strict=True)})
        want = {port.name for port in declared.outputs}
        if set(outputs) != want:
            raise ValueError(
                f"Signature {declared.name!r} gives {sorted(outputs)}; trainer/spec/serving/signatures.py declares "
                f"{sorted(want)}. Change one of them."
            )
        return {port.name: tf.ensure_shape(outputs[port.name], [None, *port.shape]) for port in declared.outputs}

    function.__name__ = declared.name
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                port.name,
                kind,
                default=inspect.Parameter.empty if port.default is None else request_inputs.default_input(port),
            )
            for port in ports
        ]
    )
    specs = [tf.TensorSpec([None, *port.shape], port.dtype.value, name=port.name) for port in ports]
    return tf.function(function, input_signature=specs, autograph=False)  # explicit control flow traces much faster
