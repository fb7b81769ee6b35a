"""Allow-list of ops that a served model may use: a SavedModel is a program; it may compute, not act.

Allowed are the ops of the libraries that the server loads (TensorFlow, tensorflow_text, ScaNN; no other is known, so a
model with others does not load), without those that read or write files, open connections, run Python, or print what
passes through them. A checkpoint's own ops are allowed where TensorFlow puts them, in the
saver, and refused where a signature reaches them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tensorflow.core.framework import attr_value_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.saved_model import loader_impl

from serving.server.protocol.errors import Code, ServingError

INTERNAL_OP_PREFIX = "_"  # TensorFlow's internal ops, which no exporter writes.
HIDDEN_SIGNATURES = "__saved_model_"
DENIED_OPS = re.compile(
    "|".join(
        (
            r"(Eager)?PyFunc(Stateless)?",
            r"(Read|Write)File|(Experimental)?MatchingFiles(Dataset)?|FileSystemSetConfiguration|RecordInput",
            r"(Whole|TextLine|FixedLengthRecord|TFRecord|LMDB|Identity).*Reader(V\d)?|Reader\w*",
            r"(Experimental)?(TFRecord|TextLine|FixedLengthRecord|CSV|LMDB|Sql|Save|Load|Snapshot)\w*Dataset\w*",
            r"Snapshot\w+|ListSnapshot\w+|(Experimental)?DatasetToTFRecord|Cache\w*Dataset\w*",
            r"(Create|Close|Flush|Write)\w*Summary\w*|SummaryWriter|ImportEvent|StatsAggregatorSetSummaryWriter",
            r"_?(Host)?(Send|Recv)|Collective\w+|RemoteCall|\w*DataService\w*|RegisterDataset(V\d)?",
            r"Debug(Identity|NanCount|NumericSummary)(V\d)?|Print(V2)?",
            r"(Configure|Shutdown)DistributedTPU|DistributedSave",
        )
    )
)
CHECKPOINT_OPS = frozenset(
    {"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2"}
)


def check_ops(path: Path) -> None:
    """Checks every graph and function of a SavedModel before any of it is loaded.

    Args:
      path: The version folder.

    Raises:
      ServingError: FAILED_PRECONDITION when it holds an op that is not allowed, by name; or cannot be read.
    """
    try:
        meta_graphs = loader_impl.parse_saved_model(str(path)).meta_graphs
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        raise ServingError(Code.FAILED_PRECONDITION, f"SavedModel cannot be read ({reason})") from error
    unsafe: set[str] = set()
    for meta_graph in meta_graphs:
        graph = _Graph(meta_graph)
        used = {node.op for node in graph.all_nodes()} - graph.functions.keys()
        unsafe.update(op for op in used if op.startswith(INTERNAL_OP_PREFIX) or DENIED_OPS.fullmatch(op))
        unsafe.update({node.op for node in graph.reached_by_signatures()} & CHECKPOINT_OPS)
    if unsafe:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"SavedModel uses the ops {', '.join(sorted(unsafe))}, which a served model may not: they reach files, "
            "the network, Python or the log. Take them out, or start the server with --allow_all_ops.",
        )


class _Graph:
    """Graph of a MetaGraph, for traversal."""

    def __init__(self, meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
        graph = meta_graph.graph_def
        self.nodes = {node.name: node for node in graph.node}
        self.functions = {function.signature.name: function.node_def for function in graph.library.function}
        self._outputs = [
            tensor
            for name, signature in meta_graph.signature_def.items()
            if not name.startswith(HIDDEN_SIGNATURES)
            for info in signature.outputs.values()
            for tensor in _tensor_names(info)
        ]

    def all_nodes(self) -> Iterator[node_def_pb2.NodeDef]:
        """Every node of the graph and of its functions."""
        yield from self.nodes.values()
        for nodes in self.functions.values():
            yield from nodes

    def reached_by_signatures(self) -> Iterator[node_def_pb2.NodeDef]:
        """The nodes that run when some signature is called, those inside functions included."""
        waiting, seen, called = [_node_name(name) for name in self._outputs], set[str](), set[str]()
        while waiting:
            name = waiting.pop()
            node = self.nodes.get(name)
            if name in seen or node is None:
                continue
            seen.add(name)
            waiting.extend(_node_name(source) for source in node.input)
            yield node
            yield from self._called_by([node], called)

    def _called_by(self, nodes: Iterable[node_def_pb2.NodeDef], called: set[str]) -> Iterator[node_def_pb2.NodeDef]:
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            for name in {node.op, *_function_names(node)} & self.functions.keys() - called:
                called.add(name)
                yield from self.functions[name]
                waiting.extend(self.functions[name])


def _tensor_names(info: meta_graph_pb2.TensorInfo) -> list[str]:
    if info.WhichOneof("encoding") == "coo_sparse":
        sparse = info.coo_sparse
        return [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    if info.WhichOneof("encoding") == "composite_tensor":
        return [name for part in info.composite_tensor.components for name in _tensor_names(part)]
    return [info.name]


def _function_names(node: node_def_pb2.NodeDef) -> list[str]:
    values: list[attr_value_pb2.AttrValue] = list(node.attr.values())
    return [name for value in values for name in (value.func.name, *(func.name for func in value.list.func))]


def _node_name(tensor_name: str) -> str:
    """`^a`, `a:1` and `a` all name node `a`."""
    return tensor_name.removeprefix("^").partition(":")[0]
