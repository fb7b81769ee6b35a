"""Session over the graph of a SavedModel, below TensorFlow's Python objects for its operations.

`tf.import_graph_def` makes a Python object for each operation, most of the time until a bundle of thirty thousand of
them is loaded. Here only what is fed, fetched or run is looked up.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session as tf_session
from tensorflow.python.framework import c_api_util
from tensorflow.python.saved_model import constants, loader_impl

Feeds = Mapping[str, np.ndarray]


class GraphSession:
    """Session that may be run from several threads.

    Args:
      meta_graph: The graph, and how its variables and tables are filled.
      directory: The SavedModel's, with its variables and assets.
      config: Threads, devices and optimizers.

    Raises:
      ValueError: The graph, or a tensor that a signature names, is not what this TensorFlow can run.
      tf.errors.OpError: Variables could not be restored, or tables not initialized.
    """

    def __init__(
        self, meta_graph: meta_graph_pb2.MetaGraphDef, *, directory: str, config: config_pb2.ConfigProto
    ) -> None:
        graph, tensors, operations = tf.Graph(), _tensors_of(meta_graph), _operations_of(meta_graph)
        self._tensors, self._operations = _import(graph, meta_graph.graph_def, tensors=tensors, operations=operations)
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            self._initialize(meta_graph, directory)
        except Exception:
            self.close()
            raise

    def _initialize(self, meta_graph: meta_graph_pb2.MetaGraphDef, directory: str) -> None:
        """Restores the variables and runs what initializes the tables."""
        saver = meta_graph.saver_def
        if saver.restore_op_name:
            prefix = str(Path(directory) / constants.VARIABLES_DIRECTORY / constants.VARIABLES_FILENAME)
            self.run({saver.filename_tensor_name: np.array(prefix, object)}, [], targets=[saver.restore_op_name])
        operation = _init_operation(meta_graph)
        if operation:
            assets = loader_impl.get_asset_tensors(directory, meta_graph)
            feeds = {name: np.array(path, object) for name, path in assets.items()}
            self.run(feeds, [], targets=[operation])

    def run(
        self,
        feeds: Feeds,
        fetches: Sequence[str],
        *,
        targets: Sequence[str] = (),
        options: config_pb2.RunOptions | None = None,
    ) -> list[np.ndarray]:
        """Returns the values of some tensors.

        Args:
          feeds: {tensor name: value}.
          fetches: Tensor names.
          targets: Names of operations that are run besides.
          options: A time limit, for example.

        Raises:
          tf.errors.OpError: What an operation refused.
        """
        fed = {self._tensors[name]: value for name, value in feeds.items()}
        fetched, run = [self._tensors[name] for name in fetches], [self._operations[name] for name in targets]
        buffer = tf_session.TF_NewBufferFromString(options.SerializeToString()) if options else None
        try:
            return list(tf_session.TF_SessionRun_wrapper(self._session._session, buffer, fed, fetched, run, None))
        finally:
            if buffer:
                tf_session.TF_DeleteBuffer(buffer)

    def close(self) -> None:
        """Frees the session, its variables and its tables."""
        self._session.close()


def _import(
    graph: tf.Graph, graph_def: graph_pb2.GraphDef, *, tensors: Sequence[str], operations: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Imports a graph; returns TensorFlow's handles of some of its tensors and operations."""
    scoped_options = c_api_util.ScopedTFImportGraphDefOptions()  # deleted with this object
    options = scoped_options.options
    tf_session.TF_ImportGraphDefOptionsSetValidateColocationConstraints(options, True)
    for name in tensors:
        operation, _, index = name.partition(":")
        tf_session.TF_ImportGraphDefOptionsAddReturnOutput(options, operation, int(index or 0))
    for name in operations:
        tf_session.TF_ImportGraphDefOptionsAddReturnOperation(options, name)
    buffer = tf_session.TF_NewBufferFromString(graph_def.SerializeToString())
    try:
        with graph._c_graph.get() as c_graph:
            results = tf_session.TF_GraphImportGraphDefWithResults(c_graph, buffer, options)
    finally:
        tf_session.TF_DeleteBuffer(buffer)
    scoped_results = c_api_util.ScopedTFImportGraphDefResults(results)
    found = tf_session.TF_ImportGraphDefResultsReturnOutputs(scoped_results.results)
    run = tf_session.TF_ImportGraphDefResultsReturnOperations(scoped_results.results)
    return dict(zip(tensors, found, strict=True)), dict(zip(operations, run, strict=True))


def _tensors_of(meta_graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """The names of all tensors that are fed or fetched."""
    names = {meta_graph.saver_def.filename_tensor_name} if meta_graph.saver_def.restore_op_name else set()
    names |= set(loader_impl.get_asset_tensors("", meta_graph))
    for name, signature in meta_graph.signature_def.items():
        if name != constants.INIT_OP_SIGNATURE_KEY:
            infos = itertools.chain(signature.inputs.values(), signature.outputs.values())
            names |= {info.name for info in infos}
    return sorted(name for name in names if name)


def _operations_of(meta_graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """The names of all operations that are run without a result."""
    return sorted({meta_graph.saver_def.restore_op_name, _init_operation(meta_graph)} - {""})


def _init_operation(meta_graph: meta_graph_pb2.MetaGraphDef) -> str:
    """The name of the operation that initializes tables, "" for none: by TF2's signature or TF1's collections.

    Raises:
      ValueError: A collection has more than one.
    """
    if constants.INIT_OP_SIGNATURE_KEY in meta_graph.signature_def:
        outputs = meta_graph.signature_def[constants.INIT_OP_SIGNATURE_KEY].outputs
        return str(outputs[constants.INIT_OP_SIGNATURE_KEY].name.partition(":")[0])
    for key in (constants.MAIN_OP_KEY, constants.LEGACY_INIT_OP_KEY):  # the first that there is
        names = meta_graph.collection_def[key].node_list.value if key in meta_graph.collection_def else []
        operations = [name.partition(":")[0] for name in names]
        if len(operations) > 1:
            raise ValueError(f"Collection {key} has the operations {operations}; wanted one. Save the model again.")
        if operations:
            return operations[0]
    return ""
