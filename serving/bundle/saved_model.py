"""Bundle SavedModel: one `tf.function` for each signature, with the declared default inputs."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2, saved_model_pb2

from serving.bundle.flat_signatures import flatten_signatures
from serving.engine import request_inputs
from serving.engine.signatures import Outputs, SignatureFunctions
from trainer.spec.serving.signature_fields import Signature, SignatureField
from trainer.spec.serving.signatures import signatures

SERVING_DEFAULT = "serving_default"
DEFAULT_SIGNATURE = "search"
# Signatures that read the towers, the tables and the texts of a bundle, but not its index of vectors.
WITHOUT_INDEX = frozenset(
    {"rank", "facets", "browse", "update_items", "suggest", "complete", "embed_query", "embed_item", "wire_spec"}
)


class Bundle(tf.Module):
    """Module to save as a bundle; each signature function is an attribute of its name."""

    def __init__(self, functions: SignatureFunctions, *, same_but_index: "Bundle | None" = None) -> None:
        """Makes the functions of the signatures.

        Args:
          functions: What they compute.
          same_but_index: A bundle of the same towers, tables and texts: what does not read the index is taken from it,
            so that it is traced once.
        """
        super().__init__(name="bundle")
        self.functions = functions
        self.declared = tuple(signature.name for signature in signatures(functions.config))
        for signature in signatures(functions.config):
            if same_but_index is not None and signature.name in WITHOUT_INDEX:
                function = getattr(same_but_index, signature.name)
            else:
                function = as_signature_function(signature, getattr(functions, signature.name))
            setattr(self, signature.name, function)

    def save(self, directory: str, *, namespaces: tuple[str, ...] = (), flat: bool = False) -> None:
        """Writes the SavedModel.

        Args:
          directory: Its folder.
          namespaces: Those of ops that are not TensorFlow's own.
          flat: Whether the signatures are flat; see `serving.bundle.flat_signatures`.
        """
        functions = {name: getattr(self, name) for name in self.declared}
        functions[SERVING_DEFAULT] = functions[DEFAULT_SIGNATURE]
        options = tf.saved_model.SaveOptions(namespace_whitelist=list(namespaces))
        tf.saved_model.save(self, directory, signatures=functions, options=options)
        path = Path(directory) / "saved_model.pb"
        inline_functions_only(path)
        if flat:
            flatten_signatures(path, aliases={SERVING_DEFAULT: DEFAULT_SIGNATURE})


def inline_functions_only(path: Path) -> None:
    """Changes a SavedModel so that it is loaded faster; its results stay the same.

    Its functions are inlined when they are first called, once, and not optimized further, which takes longer than
    most of their calls together; and the default signature shares the graph of the signature that it is an alias of,
    so that it is not prepared a second time.
    """
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    graph = meta_graph.graph_def
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if "config_proto" in node.attr:
                config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
                rewrite = config.graph_options.rewrite_options
                rewrite.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
                rewrite.optimizers[:] = ["function"]
                node.attr["config_proto"].s = config.SerializeToString(deterministic=True)
    meta_graph.signature_def[SERVING_DEFAULT].CopyFrom(meta_graph.signature_def[DEFAULT_SIGNATURE])
    path.write_bytes(model.SerializeToString(deterministic=True))


def as_signature_function(declared: Signature, method: Callable[[Mapping[str, tf.Tensor]], Outputs]) -> Any:
    """Returns `method` as a `tf.function` with the declared inputs as named arguments.

    TensorFlow takes the names and the default inputs of a signature from the Python signature of the function, so one
    is built with `inspect`: arguments without a default come first, as Python requires.

    Raises:
      ValueError: When traced: the method's outputs are not the declared ones.
    """
    fields = sorted(declared.inputs, key=lambda field: field.default is not None)

    def function(*values: tf.Tensor) -> Outputs:
        outputs = method({field.name: value for field, value in zip(fields, values, strict=True)})
        want = {field.name for field in declared.outputs}
        if set(outputs) != want:
            raise ValueError(
                f"Signature {declared.name!r} gives {sorted(outputs)}; trainer/spec/serving/signatures.py declares "
                f"{sorted(want)}. Change one of them."
            )
        return {field.name: tf.ensure_shape(outputs[field.name], [None, *field.shape]) for field in declared.outputs}

    function.__name__ = declared.name
    function.__signature__ = inspect.Signature([_parameter(field) for field in fields])  # type: ignore[attr-defined]
    specs = [tf.TensorSpec([None, *field.shape], field.dtype.value, name=field.name) for field in fields]
    return tf.function(function, input_signature=specs, autograph=False)  # explicit control flow traces much faster


def _parameter(field: SignatureField) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is None else request_inputs.default_input(field)
    return inspect.Parameter(field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
