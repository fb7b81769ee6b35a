"""Op check: the ops of a SavedModel against those that the target server of its flavour has."""

import glob
import os
from pathlib import Path

import tensorflow as tf
import tensorflow_text
from tensorflow.core.framework import op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session

# Namespaces of ops that the target of a flavour links beside TensorFlow's own and tensorflow_text's.
FLAVOUR_NAMESPACES: dict[str, tuple[str, ...]] = {"stock": (), "scann": ("Scann",)}


def ops_of(directory: str | Path) -> set[str]:
    """Returns every op in the graphs and the function library of the SavedModel at `directory`."""
    model = saved_model_pb2.SavedModel.FromString((Path(directory) / "saved_model.pb").read_bytes())
    ops: set[str] = set()
    for meta_graph in model.meta_graphs:
        library = meta_graph.graph_def.library.function
        ops.update(node.op for node in meta_graph.graph_def.node)
        ops.update(node.op for function in library for node in function.node_def)
        ops.difference_update(function.signature.name for function in library)
    return ops


def stock_ops() -> set[str]:
    """Returns the ops of a stock TF Serving: those of TensorFlow's core and of tensorflow_text's libraries.

    `tf.raw_ops` is generated when TensorFlow is built, so libraries loaded into this process do not change it.
    """
    core = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    folder = os.path.dirname(tensorflow_text.__file__)
    return core.union(*(_library_ops(path) for path in sorted(glob.glob(f"{folder}/python/ops/*.so"))))


def _library_ops(path: str) -> set[str]:
    handle = pywrap_tf_session.TF_LoadLibrary(path)
    try:
        ops = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetOpList(handle))
    finally:
        pywrap_tf_session.TF_DeleteLibraryHandle(handle)
    return {op.name for op in ops.op}


def unsupported_ops(directory: str | Path, *, flavour: str) -> list[str]:
    """Returns the ops of a SavedModel that the target of `flavour` does not have, sorted.

    Raises:
      ValueError: No such flavour.
    """
    if flavour not in FLAVOUR_NAMESPACES:
        raise ValueError(f"Flavour {flavour!r} is not known; wanted one of {', '.join(FLAVOUR_NAMESPACES)}.")
    prefixes = tuple(f"{namespace}>" for namespace in FLAVOUR_NAMESPACES[flavour])
    return sorted(op for op in ops_of(directory) - stock_ops() if not op.startswith(prefixes))


def check_supported_ops(directory: str | Path, *, flavour: str) -> None:
    """Raises when the target could not load the SavedModel.

    Raises:
      ValueError: It uses ops that the target of `flavour` does not have.
    """
    foreign = unsupported_ops(directory, flavour=flavour)
    if foreign:
        raise ValueError(
            f"The {flavour} bundle at {directory} uses the ops {', '.join(foreign)}; wanted only ops of TensorFlow, "
            "tensorflow_text and the flavour's own. Take them out, or publish another flavour."
        )
