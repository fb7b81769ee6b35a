"""A SavedModel in memory, run the way TF Serving runs it: one session, fed and fetched by tensor name.

A session takes SavedModels of TF1 and TF2 alike, applies no Python-side shape checks (half_plus_two is fed [batch]
where its signature says [batch, 1]), costs less per call than `restored.signatures[...]`, and frees everything when
it is closed.
"""

import importlib
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from serving.server.errors import Code, ServingError, graph_error
from serving.server.log import event
from serving.server.signature import Signature, signature_from_proto

OP_LIBRARIES = ("tensorflow_text", "scann")
MAX_CALLABLES = 64


def load_op_libraries() -> dict[str, str]:
    """Loads the op libraries a bundle may need.

    Returns:
      Why a library is missing, by its name; empty when all are there.
    """
    missing = {}
    for name in OP_LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}"
            event("op_library_missing", library=name, reason=missing[name])
    return missing


class LoadedModel:
    """One SavedModel, ready to be called from several threads.

    Args:
      path: The version folder.
      missing_libraries: From `load_op_libraries`, for the message when an op is unknown.

    Raises:
      ServingError: FAILED_PRECONDITION when the model cannot be loaded, with the reason.
    """

    def __init__(self, path: Path, *, missing_libraries: Mapping[str, str]) -> None:
        self.path = path
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config_pb2.ConfigProto(allow_soft_placement=True))
        try:
            with graph.as_default():
                self._meta_graph = tf.compat.v1.saved_model.load(self._session, [tf.saved_model.SERVING], str(path))
            self._check_variables()
        except Exception as error:
            self._session.close()
            raise _load_error(error, missing_libraries) from error
        definitions = self._meta_graph.signature_def
        self.signatures = {
            name: signature_from_proto(name, definitions[name])
            for name in sorted(definitions)
            if not name.startswith("__saved_model_")
        }
        self._lock = threading.Lock()
        self._callables: dict[tuple[str, tuple[str, ...]], tf.compat.v1.Session._Callable] = {}
        self._dtypes = {
            name: {alias: tf.as_dtype(info.dtype) for alias, info in definitions[name].outputs.items()}
            for name in self.signatures
        }

    @property
    def signature_defs(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDef protos by name."""
        return {name: self._meta_graph.signature_def[name] for name in self.signatures}

    def output_dtype(self, signature: Signature, alias: str) -> tf.DType:
        """The dtype an output has in its signature."""
        return self._dtypes[signature.name][alias]

    def run(
        self, signature: Signature, inputs: Mapping[str, np.ndarray], *, outputs: tuple[str, ...]
    ) -> dict[str, np.ndarray]:
        """The outputs of one call.

        Args:
          signature: One of `signatures`.
          inputs: Every input of the signature, with its dtype.
          outputs: The output aliases wanted, sorted.

        Raises:
          ServingError: With the graph's code when it refuses the inputs.
        """
        call, fetched = self._callable(signature, outputs)
        feeds = [np.asarray(inputs[alias]) for alias in signature.inputs]
        try:
            values = call(*feeds)
        except tf.errors.OpError as error:
            raise graph_error(signature.name, code=error.error_code, message=error.message) from error
        except (TypeError, ValueError) as error:
            raise graph_error(signature.name, code=Code.INVALID_ARGUMENT, message="") from error
        found = dict(zip(fetched, values, strict=True))
        return {alias: np.asarray(found[alias]) for alias in outputs}

    def close(self) -> None:
        """Frees the session, its variables and its tables."""
        with self._lock:
            self._callables.clear()
            self._session.close()

    def _callable(
        self, signature: Signature, outputs: tuple[str, ...]
    ) -> tuple[tf.compat.v1.Session._Callable, tuple[str, ...]]:
        """A compiled call of the signature and the aliases it fetches.

        The private `_make_callable_from_options` is what tf_keras itself uses; the public calls compare the fed shape
        with the placeholder's, which TF Serving does not. Each set of outputs costs memory, so their number is bounded:
        beyond it everything is fetched.
        """
        with self._lock:
            known = (signature.name, outputs) in self._callables
            if not known and len(self._callables) >= MAX_CALLABLES:
                outputs = tuple(signature.outputs)
            call = self._callables.get((signature.name, outputs))
            if call is None:
                options = config_pb2.CallableOptions(
                    feed=[spec.tensor_name for spec in signature.inputs.values()],
                    fetch=[signature.outputs[alias] for alias in outputs],
                )
                call = self._session._make_callable_from_options(options)
                self._callables[signature.name, outputs] = call
            return call, outputs

    def _check_variables(self) -> None:
        """The loader takes a model without its variables folder for one without variables; this one has some."""
        restores = self._meta_graph.saver_def.restore_op_name
        if restores and not (self.path / "variables" / "variables.index").is_file():
            raise FileNotFoundError("variables/variables.index is missing")


def _load_error(error: Exception, missing_libraries: Mapping[str, str]) -> ServingError:
    """What the server says about a SavedModel that did not load."""
    text = getattr(error, "message", None) or str(error)
    if "not registered" in text and missing_libraries:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in missing_libraries.items())
        text += f" This server runs without the op libraries {reasons}: install them to serve this bundle."
    return ServingError(Code.FAILED_PRECONDITION, f"SavedModel does not load ({type(error).__name__}): {text}")
