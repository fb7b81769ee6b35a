import pytest
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.sessions.graph_session import _init_operation


def meta_graph(**collections):
    found = meta_graph_pb2.MetaGraphDef()
    for name, operations in collections.items():
        found.collection_def[name].node_list.value.extend(operations)
    return found


def test_the_main_operation_comes_before_the_legacy_one():
    assert _init_operation(meta_graph(legacy_init_op=["old"], saved_model_main_op=["new:0"])) == "new"
    assert _init_operation(meta_graph(legacy_init_op=["old"])) == "old"
    assert _init_operation(meta_graph()) == ""


def test_the_signature_of_tf2_comes_before_both():
    graph = meta_graph(saved_model_main_op=["new"])
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "NoOp:0"
    assert _init_operation(graph) == "NoOp"


def test_two_operations_are_refused():
    with pytest.raises(ValueError, match=r"saved_model_main_op has the operations \['a', 'b'\]; wanted one"):
        _init_operation(meta_graph(saved_model_main_op=["a", "b"]))
