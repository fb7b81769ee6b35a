"""SavedModel in memory, run as in TF Serving: one session, fed and fetched by tensor name.

A session takes SavedModels of TF1 and TF2 alike, costs less per call than `restored.signatures[...]`, and frees
everything when it is closed. It takes a time limit for each call and, like TF Serving, does not compare a fed shape
with the placeholder's (half_plus_two is fed [batch] where its signature has [batch, 1]).
"""

import importlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.saved_model import loader_impl

from serving.server.protocol.deadline import NO_DEADLINE, Deadline, deadline_exceeded
from serving.server.protocol.errors import Code, ServingError, graph_error
from serving.server.protocol.input_limits import Limits
from serving.server.protocol.signature import ServableSignature, signature_from_proto
from serving.server.sessions.graph_session import GraphSession
from serving.server.telemetry.log import log_event
from trainer.plain_paths import plain_path

OP_LIBRARIES = ("tensorflow_text", "scann")
MAX_FETCHES = 64


def load_op_libraries() -> dict[str, str]:
    """Loads the op libraries a bundle may need.

    Returns:
      {library: reason why it is missing}; empty when all are there.
    """
    missing = {}
    for name in OP_LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}"
            log_event("op_library_missing", library=name, reason=missing[name])
    return missing


class LoadedModel:
    """SavedModel that may be called from several threads.

    Args:
      path: The version folder.
      missing_libraries: From `load_op_libraries`, for the message when an op is unknown.
      tags: The tags of the graph.
      session_config: Threads and devices; None: TensorFlow's choice.
      limits: {signature: limits of its inputs} to check.

    Raises:
      ServingError: FAILED_PRECONDITION when the model cannot be loaded, with the reason.
    """

    def __init__(
        self,
        path: Path,
        *,
        missing_libraries: Mapping[str, str],
        tags: Sequence[str] = (tf.saved_model.SERVING,),
        session_config: config_pb2.ConfigProto | None = None,
        limits: Mapping[str, Limits] | None = None,
    ) -> None:
        self.path = path
        try:
            meta_graph = loader_impl.SavedModelLoader(plain_path(path)).get_meta_graph_def_from_tags(list(tags))
            _check_variables(meta_graph, path)
            config = session_config_for(session_config, meta_graph)
            self._session = GraphSession(meta_graph, directory=plain_path(path), config=config)
        except Exception as error:
            raise _load_error(error, missing_libraries) from error
        definitions = _signature_defs(meta_graph)
        self.signatures = {
            name: signature_from_proto(name, definitions[name], limits=(limits or {}).get(name))
            for name in sorted(definitions)
        }
        self._definitions = definitions
        self._lock = threading.Lock()
        self._fetches: set[tuple[str, tuple[str, ...]]] = set()
        self._dtypes = {
            name: {alias: tf.as_dtype(info.dtype) for alias, info in definitions[name].outputs.items()}
            for name in self.signatures
        }

    @property
    def signature_defs(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDef protos by name."""
        return dict(self._definitions)

    def output_dtype(self, signature: ServableSignature, alias: str) -> tf.DType:
        """The dtype an output has in its signature."""
        return self._dtypes[signature.name][alias]

    def run(
        self,
        signature: ServableSignature,
        inputs: Mapping[str, np.ndarray],
        *,
        outputs: tuple[str, ...],
        deadline: Deadline = NO_DEADLINE,
    ) -> dict[str, np.ndarray]:
        """The outputs of one call.

        Args:
          signature: One of `signatures`.
          inputs: Every input of the signature, with its dtype.
          outputs: The output aliases wanted, sorted.
          deadline: The time at which the graph is cancelled.

        Raises:
          ServingError: With the graph's code when it refuses the inputs; DEADLINE_EXCEEDED.
        """
        deadline.check()
        fetched = self._fetched(signature, outputs)
        feeds = {spec.tensor_name: np.asarray(inputs[alias]) for alias, spec in signature.inputs.items()}
        fetches = [signature.outputs[alias] for alias in fetched]
        options = config_pb2.RunOptions(timeout_in_ms=deadline.timeout_ms)
        try:
            values = self._session.run(feeds, fetches, options=options)
        except tf.errors.DeadlineExceededError as error:
            raise deadline_exceeded() from error
        except tf.errors.OpError as error:
            raise graph_error(signature.name, code=error.error_code, message=error.message) from error
        except (TypeError, ValueError) as error:
            raise graph_error(signature.name, code=Code.INVALID_ARGUMENT, message="") from error
        found = dict(zip(fetched, values, strict=True))
        return {alias: np.asarray(found[alias]) for alias in outputs}

    def close(self) -> None:
        """Frees the session, its variables and its tables."""
        with self._lock:
            self._session.close()

    def _fetched(self, signature: ServableSignature, outputs: tuple[str, ...]) -> tuple[str, ...]:
        """The outputs to fetch. Each set of them costs memory that is never freed, so beyond some all are fetched."""
        with self._lock:
            if (signature.name, outputs) not in self._fetches and len(self._fetches) >= MAX_FETCHES:
                return tuple(signature.outputs)
            self._fetches.add((signature.name, outputs))
            return outputs


def session_config_for(
    base: config_pb2.ConfigProto | None, meta_graph: meta_graph_pb2.MetaGraphDef
) -> config_pb2.ConfigProto:
    """Returns the ConfigProto of the session of a model: a copy of `base` without optimizing twice.

    All that a SavedModel of TF2 computes is in functions, which are optimized when they are first called. The session
    would do it for the whole library once more for each signature, a third of the time until a version is ready.
    """
    config = config_pb2.ConfigProto(allow_soft_placement=True)
    if base:
        config.CopyFrom(base)
    if meta_graph.HasField("object_graph_def"):
        config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def _signature_defs(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, meta_graph_pb2.SignatureDef]:
    """Copies of the signatures, so that their graph is freed."""
    found = {}
    for name, definition in meta_graph.signature_def.items():
        if not name.startswith("__saved_model_"):
            found[name] = meta_graph_pb2.SignatureDef()
            found[name].CopyFrom(definition)
    return found


def _check_variables(meta_graph: meta_graph_pb2.MetaGraphDef, path: Path) -> None:
    """A model without its variables folder is not one without variables."""
    if meta_graph.saver_def.restore_op_name and not (path / "variables" / "variables.index").is_file():
        raise FileNotFoundError("variables/variables.index is missing")


def _load_error(error: Exception, missing_libraries: Mapping[str, str]) -> ServingError:
    """The error of a SavedModel that did not load."""
    text = getattr(error, "message", None) or str(error)
    if "not registered" in text and missing_libraries:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in missing_libraries.items())
        text += f" This server runs without the op libraries {reasons}: install them to serve this bundle."
    return ServingError(Code.FAILED_PRECONDITION, f"SavedModel does not load ({type(error).__name__}): {text}")
