"""How the session of a model is set up."""

from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from serving.server.sessions.saved_model import session_config_for


def test_only_the_session_of_a_model_of_tf2_leaves_optimizing_to_its_functions():
    given = config_pb2.ConfigProto(intra_op_parallelism_threads=3)
    tf1, tf2 = meta_graph_pb2.MetaGraphDef(), meta_graph_pb2.MetaGraphDef()
    tf2.object_graph_def.SetInParent()  # every SavedModel of TF2 describes its objects
    assert session_config_for(given, tf1) == given
    found = session_config_for(given, tf2)
    assert found.intra_op_parallelism_threads == 3
    assert found.graph_options.rewrite_options.disable_meta_optimizer
    assert not given.graph_options.rewrite_options.disable_meta_optimizer
