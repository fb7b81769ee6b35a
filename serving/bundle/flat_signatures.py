"""Flat signatures: the graph of each signature inlined and optimized when a bundle is written, not when it is loaded.

A signature of a SavedModel of TF2 is a call of a function that calls functions. A server inlines and optimizes these
when a signature is first called, which is most of the time until a version is ready, and pays for their calls with
every request. Here Grappler does it once: the SavedModel's signatures name nodes of its main graph, as those of TF1
do. The functions stay for `tf.saved_model.load`.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2, saved_model_pb2
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.saved_model import constants

# What a node creates is known by its name in every graph of the session, so all signatures share these.
_RESOURCES = frozenset({"VarHandleOp", "HashTableV2", "MutableHashTableV2"})
# Optimizers that take time and gain nothing here, or fuse ops into ones that belong to one version of TensorFlow; the
# folding of constants takes a batch of unknown length for one of a single row, as it would feed it.
_NOT_RUN = (
    "constant_folding",
    "implementation_selector",
    "layout_optimizer",
    "loop_optimization",
    "pin_to_host_optimization",
    "remapping",
    "scoped_allocator_optimization",
    "shape_optimization",
)
# Names of nodes to share a device with, of which there is one; shapes as they were before functions were inlined.
_LEFT_OUT = {"_class", "_output_shapes"}


def flatten_signatures(path: Path, *, aliases: dict[str, str]) -> None:
    """Changes a `saved_model.pb` so that its signatures are flat; their results stay the same.

    Args:
      path: The file.
      aliases: {signature: the signature whose graph it shares}.
    """
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    (meta_graph,) = model.meta_graphs
    names = [name for name in meta_graph.signature_def if name != constants.INIT_OP_SIGNATURE_KEY]
    flat = {name: _flat_graph(meta_graph, name) for name in sorted(names) if name not in aliases}
    graph = _needed_to_load(meta_graph)
    shared = {node.name for node in graph.node}
    functions = {function.signature.name for function in graph.library.function}
    for name, found in flat.items():
        _rename(found, name, meta_graph.signature_def[name])
        graph.node.extend(node for node in found.node if node.name not in shared)
        shared.update(node.name for node in found.node)
        new = [function for function in found.library.function if function.signature.name not in functions]
        graph.library.function.extend(new)
        functions.update(function.signature.name for function in new)
    for alias, name in aliases.items():
        meta_graph.signature_def[alias].CopyFrom(meta_graph.signature_def[name])
    meta_graph.graph_def.CopyFrom(graph)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _flat_graph(meta_graph: meta_graph_pb2.MetaGraphDef, name: str) -> graph_pb2.GraphDef:
    """The graph of one signature without calls of functions, optimized."""
    outputs = [output.name for output in meta_graph.signature_def[name].outputs.values()]
    part = meta_graph_pb2.MetaGraphDef()
    part.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    part.graph_def.CopyFrom(_sub_graph(meta_graph.graph_def, (output.partition(":")[0] for output in outputs)))
    part.collection_def["train_op"].node_list.value.extend(outputs)  # where Grappler looks for what is fetched
    options = config_pb2.ConfigProto()
    rewrite = options.graph_options.rewrite_options
    for optimizer in _NOT_RUN:
        setattr(rewrite, optimizer, rewriter_config_pb2.RewriterConfig.OFF)
    rewrite.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    rewrite.min_graph_nodes = -1  # small graphs too
    return tf_optimizer.OptimizeGraph(options, part, graph_id=name.encode())


def _sub_graph(graph: graph_pb2.GraphDef, names: Iterable[str]) -> graph_pb2.GraphDef:
    """The nodes that some nodes depend on, and the functions that these call."""
    found = tf.compat.v1.graph_util.extract_sub_graph(graph, sorted(set(names)))
    library = {function.signature.name: function for function in graph.library.function}
    waiting, called = [*_functions_of(found.node)], set()
    while waiting:
        name = waiting.pop()
        if name in library and name not in called:
            called.add(name)
            waiting += _functions_of(library[name].node_def)
    del found.library.function[:]
    found.library.function.extend(library[name] for name in sorted(called))
    return found


def _functions_of(nodes: Iterable[node_def_pb2.NodeDef]) -> Iterator[str]:
    for value in itertools.chain.from_iterable(node.attr.values() for node in nodes):
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _needed_to_load(meta_graph: meta_graph_pb2.MetaGraphDef) -> graph_pb2.GraphDef:
    """The graph without its signatures: variables, tables, what restores and initializes them, and all functions."""
    saver = meta_graph.saver_def
    names = {saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name}
    names |= {info.name for info in meta_graph.signature_def[constants.INIT_OP_SIGNATURE_KEY].outputs.values()}
    names |= {node.constant.operation for node in meta_graph.object_graph_def.nodes}  # of `tf.saved_model.load`
    kept = tf.compat.v1.graph_util.extract_sub_graph(
        meta_graph.graph_def, sorted(name.partition(":")[0] for name in names if name)
    )
    kept.library.CopyFrom(meta_graph.graph_def.library)
    return kept


def _rename(graph: graph_pb2.GraphDef, name: str, signature: meta_graph_pb2.SignatureDef) -> None:
    """Puts the nodes of a signature's graph, but resources, below its name; each keeps the last part of its own."""
    own = {
        node.name: f"{name}/{place}_{node.name.rpartition('/')[2]}"
        for place, node in enumerate(graph.node)
        if node.op not in _RESOURCES
    }

    def renamed(tensor: str) -> str:
        prefix = "^" if tensor.startswith("^") else ""
        node, colon, output = tensor.removeprefix("^").partition(":")
        return f"{prefix}{own.get(node, node)}{colon}{output}"

    for node in graph.node:
        node.name = renamed(node.name)
        node.input[:] = [renamed(tensor) for tensor in node.input]
        for attribute in _LEFT_OUT & node.attr.keys():
            del node.attr[attribute]
    for info in itertools.chain(signature.inputs.values(), signature.outputs.values()):
        info.name = renamed(info.name)
