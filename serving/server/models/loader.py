"""Loader of versions: from a folder to a model that is loaded by the flags and warmed up."""

from pathlib import Path

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from serving.server.batching.batch_queue import BatchingParameters, BatchScheduler
from serving.server.batching.batched_model import PER_MODEL_FILE, BatchedModel, read_batching_parameters
from serving.server.flags import ServerFlags
from serving.server.models.op_allowlist import check_ops
from serving.server.models.warmup import warm_up
from serving.server.protocol.input_limits import read_limits
from serving.server.protocol.protos import read_config
from serving.server.protocol.servable import Servable
from serving.server.sessions.saved_model import LoadedModel, load_op_libraries


class ModelLoader:
    """Loader of version folders.

    Args:
      flags: Settings of the session, batching, warm-up and checks.

    Raises:
      ValueError: When a file that a flag names cannot be used.
    """

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._tags = [tag for tag in flags.saved_model_tags.split(",") if tag]
        self._session_config = session_config(flags)
        self._missing_libraries = load_op_libraries()
        self.batching = batching_parameters(flags)
        self._scheduler = BatchScheduler(self.batching.num_batch_threads) if self.batching else None

    def __call__(self, path: Path) -> Servable:
        """Loads and warms up the model of a version folder.

        Raises:
          ServingError: When it is not fit to serve.
        """
        if self._flags.compatibility.checks_ops and not self._flags.allow_all_ops:
            check_ops(path)
        model = LoadedModel(
            path,
            missing_libraries=self._missing_libraries,
            tags=self._tags,
            session_config=self._session_config,
            limits=read_limits(path) if self._flags.compatibility.checks_input_limits else None,
        )
        try:
            if self._flags.enable_model_warmup:
                rounds = max(1, self._flags.num_request_iterations_for_warmup)
                warm_up(model, max_bytes=self._flags.largest_body_bytes, rounds=rounds)
        except BaseException:
            model.close()
            raise
        return self._batched(model)

    def _batched(self, model: LoadedModel) -> Servable:
        """The model behind batch queues, where batching is enabled."""
        parameters, own = self.batching, model.path / PER_MODEL_FILE
        if parameters is None or self._scheduler is None:
            return model
        if self._flags.enable_per_model_batching_parameters:
            if not own.is_file():
                return model
            parameters = read_batching_parameters(own, flag="enable_per_model_batching_parameters")
        return BatchedModel(
            model, scheduler=self._scheduler, parameters=parameters, compatibility=self._flags.compatibility
        )


def batching_parameters(flags: ServerFlags) -> BatchingParameters | None:
    """Returns the batching parameters of all models; None without batching.

    Raises:
      ValueError: When their file cannot be used.
    """
    if not flags.enable_batching:
        return None
    return (
        read_batching_parameters(flags.batching_parameters_file)
        if flags.batching_parameters_file
        else BatchingParameters()
    )


def session_config(flags: ServerFlags) -> config_pb2.ConfigProto:
    """Returns the ConfigProto of every session: the file's where there is one, and over it the flags that are not 0.

    Raises:
      ValueError: When the file cannot be used.
    """
    config = config_pb2.ConfigProto(allow_soft_placement=True)
    # Once over every graph, of TF1: a second time adds about a third to the time until a version is ready.
    config.graph_options.rewrite_options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    if flags.tensorflow_session_config_file:
        read_config(flags.tensorflow_session_config_file, config, flag="tensorflow_session_config_file")
    within = flags.tensorflow_intra_op_parallelism or flags.tensorflow_session_parallelism
    between = flags.tensorflow_inter_op_parallelism or flags.tensorflow_session_parallelism
    if within:
        config.intra_op_parallelism_threads = within
    if between:
        config.inter_op_parallelism_threads = between
    if flags.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    return config
