"""Batched model: calls of several clients run as one batch, with the answers of separate calls."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.batching.batch_queue import BatchingParameters, BatchQueue, BatchScheduler, BatchTask
from serving.server.protocol.compatibility import Compatibility
from serving.server.protocol.deadline import NO_DEADLINE, Deadline, deadline_exceeded, latest_deadline
from serving.server.protocol.errors import Code, ServingError, invalid
from serving.server.protocol.protos import BatchingParametersProto, read_config
from serving.server.protocol.servable import Servable
from serving.server.protocol.signature import ServableSignature
from serving.server.telemetry.log import log_exception

PER_MODEL_FILE = "batching_params.pbtxt"
FLAG = "batching_parameters_file"
MAX_CALL_THREADS = 256
EMPTY_CALL = invalid("A call without rows; it runs by itself.")


def read_batching_parameters(path: Path, *, flag: str = FLAG) -> BatchingParameters:
    """Reads a text-proto BatchingParameters; absent fields have TF Serving's defaults.

    Raises:
      ValueError: When the file cannot be used.
    """
    proto = read_config(path, BatchingParametersProto(), flag=flag)
    given: dict[str, Any] = {}
    for name in ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"):
        if proto.HasField(name):
            given[name] = getattr(proto, name).value
    splits = proto.enable_large_batch_splitting.value
    if splits and proto.HasField("max_execution_batch_size"):
        given["max_batch_size"] = proto.max_execution_batch_size.value
    try:
        return BatchingParameters(
            allowed_batch_sizes=tuple(proto.allowed_batch_sizes),
            pad_variable_length_inputs=proto.pad_variable_length_inputs,
            splits_large_tasks=splits,
            **given,
        )
    except ValueError as error:
        raise ValueError(f"--{flag}: {str(path)!r}: {error}") from error


def num_call_threads(parameters: BatchingParameters, *, at_least: int) -> int:
    """Returns the number of calls that must be able to wait for a batch at once: the rows of two full batches."""
    return max(at_least, min(2 * parameters.max_batch_size, MAX_CALL_THREADS))


class BatchedModel:
    """Loaded version behind batch queues, one for each signature, set of outputs and shape of a row.

    Args:
      model: The version.
      scheduler: The threads all models share.
      parameters: Sizes and times.
      compatibility: Unbatchable calls run separately, or are an error as in TF Serving.
    """

    def __init__(
        self,
        model: Servable,
        *,
        scheduler: BatchScheduler,
        parameters: BatchingParameters,
        compatibility: Compatibility,
    ) -> None:
        self.path = model.path
        self.signatures = model.signatures
        self._model = model
        self._scheduler = scheduler
        self._parameters = parameters
        self._runs_unbatchable_separately = compatibility.runs_unbatchable_separately
        self._batchable: dict[tuple[str, tuple[str, ...]], bool] = {}

    @property
    def signature_defs(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDef protos by name."""
        return self._model.signature_defs

    def output_dtype(self, signature: ServableSignature, alias: str) -> tf.DType:
        """The dtype an output has in its signature."""
        return self._model.output_dtype(signature, alias)

    def close(self) -> None:
        """Frees the model and its queues."""
        self._scheduler.remove_queues(id(self))
        self._model.close()

    def run(
        self,
        signature: ServableSignature,
        inputs: Mapping[str, np.ndarray],
        *,
        outputs: tuple[str, ...],
        deadline: Deadline = NO_DEADLINE,
    ) -> dict[str, np.ndarray]:
        """The outputs of one call, run with others.

        Raises:
          ServingError: What the call alone would raise; UNAVAILABLE when its queue is full.
        """
        deadline.check()
        given = {alias: np.asarray(value) for alias, value in inputs.items()}
        error = self._batching_error(signature, outputs, given)
        if error is not None:
            if self._runs_unbatchable_separately or error is EMPTY_CALL:
                return self._model.run(signature, given, outputs=outputs, deadline=deadline)
            raise error
        rows, limit = len(next(iter(given.values()))), self._parameters.max_batch_size
        pieces = [
            BatchTask(
                inputs={alias: value[start : start + limit] for alias, value in given.items()},
                rows=min(limit, rows - start),
                deadline=deadline,
            )
            for start in range(0, rows, limit)
        ]
        try:
            for piece in pieces:
                self._submit(signature, outputs, piece)
            answers = [_wait(piece) for piece in pieces]
        except ServingError:
            for piece in pieces:
                piece.answer.cancel()
            raise
        if len(answers) == 1:
            return answers[0]
        return {alias: np.concatenate([answer[alias] for answer in answers]) for alias in outputs}

    def _batching_error(
        self, signature: ServableSignature, outputs: tuple[str, ...], inputs: Mapping[str, np.ndarray]
    ) -> ServingError | None:
        """The error of TF Serving's batching for this call; None for a batchable one."""
        if not inputs:
            return invalid("Batching Run() must have at least one input tensor")
        if any(value.ndim == 0 for value in inputs.values()):
            return invalid("Batching Run() input tensors must have at least one dimension")
        sizes = {len(value) for value in inputs.values()}
        if len(sizes) > 1:
            return invalid("Batching Run() input tensors must have equal 0th-dimension size")
        size, limit = sizes.pop(), self._parameters.max_batch_size
        if size == 0:
            return EMPTY_CALL
        if size > limit and not self._parameters.splits_large_tasks:
            return invalid(f"Task size {size} is larger than maximum input batch size {limit}")
        if self._runs_unbatchable_separately and not self._has_batched_outputs(signature, outputs):
            return UnbatchableOutputError(0)
        return None

    def _has_batched_outputs(self, signature: ServableSignature, outputs: tuple[str, ...]) -> bool:
        """True where every output may have one row for each row of the inputs, as far as its shape is known."""
        known = self._batchable.get((signature.name, outputs))
        if known is None:
            infos = self.signature_defs[signature.name].outputs
            shapes = [infos[alias].tensor_shape for alias in outputs]
            known = all(shape.unknown_rank or (shape.dim and shape.dim[0].size == -1) for shape in shapes)
            self._batchable[signature.name, outputs] = bool(known)
        return known

    def _submit(self, signature: ServableSignature, outputs: tuple[str, ...], task: BatchTask) -> None:
        ranks: list[Any] = [
            value.ndim if self._parameters.pad_variable_length_inputs else value.shape[1:]
            for value in task.inputs.values()
        ]

        def run(tasks: Sequence[BatchTask]) -> None:
            self._run_batch(signature, outputs, tasks)

        key = (id(self), signature.name, outputs, tuple(ranks))
        self._scheduler.submit(key, task, make=lambda: BatchQueue(self._parameters, run))

    def _run_batch(self, signature: ServableSignature, outputs: tuple[str, ...], tasks: Sequence[BatchTask]) -> None:
        """Runs tasks as one batch and answers each; cancelled and late tasks do not reach the model."""
        wanted = []
        for task in tasks:
            if not task.answer.set_running_or_notify_cancel():
                continue
            error = task.deadline.error
            if error:
                task.answer.set_exception(error)
            else:
                wanted.append(task)
        if wanted:
            self._answer(signature, outputs, wanted)

    def _answer(self, signature: ServableSignature, outputs: tuple[str, ...], tasks: Sequence[BatchTask]) -> None:
        """Answers the tasks from one call; where that fails, each from a call of its own."""
        try:
            found = self._call(signature, outputs, tasks)
        except Exception as error:
            self._answer_after(error, signature, outputs, tasks)
            return
        start = 0
        for task in tasks:
            end = start + task.rows
            task.answer.set_result({alias: value[start:end] for alias, value in found.items()})
            start = end

    def _answer_after(
        self, error: Exception, signature: ServableSignature, outputs: tuple[str, ...], tasks: Sequence[BatchTask]
    ) -> None:
        """Answers the tasks of a batch that failed."""
        failure = _as_serving_error(error)
        if failure.code is Code.DEADLINE_EXCEEDED:
            for task in tasks:
                task.answer.set_exception(failure)
        elif len(tasks) > 1:
            for task in tasks:
                self._answer(signature, outputs, [task])
        elif isinstance(error, UnbatchableOutputError) and self._runs_unbatchable_separately:
            (task,) = tasks
            try:
                found = self._model.run(signature, task.inputs, outputs=outputs, deadline=task.deadline)
                task.answer.set_result(found)
            except Exception as last:
                task.answer.set_exception(_as_serving_error(last))
        else:
            tasks[0].answer.set_exception(failure)

    def _call(
        self, signature: ServableSignature, outputs: tuple[str, ...], tasks: Sequence[BatchTask]
    ) -> dict[str, np.ndarray]:
        """The outputs of all tasks' rows, one call.

        Raises:
          ServingError: What the model raises; FAILED_PRECONDITION where an output is not one row for each row.
        """
        rows = sum(task.rows for task in tasks)
        fill = self._parameters.padded_size(rows) - rows
        merged = {alias: _merge([task.inputs[alias] for task in tasks], fill) for alias in tasks[0].inputs}
        deadline = latest_deadline([task.deadline for task in tasks])
        found = self._model.run(signature, merged, outputs=outputs, deadline=deadline)
        for value in found.values():
            if not value.ndim or len(value) != rows + fill:
                raise UnbatchableOutputError(value.ndim)
        return found


class UnbatchableOutputError(ServingError):
    """Error (FAILED_PRECONDITION) for an output that is not one row for each row of the inputs."""

    def __init__(self, num_dimensions: int) -> None:
        message = "Batched output tensor has 0 dimensions"
        if num_dimensions:
            message = (
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            )
        super().__init__(Code.FAILED_PRECONDITION, message)


def _wait(task: BatchTask) -> dict[str, np.ndarray]:
    """The task's answer.

    Raises:
      ServingError: The call's; DEADLINE_EXCEEDED when it does not come in time.
    """
    try:
        return task.answer.result(task.deadline.remaining_seconds)
    except TimeoutError as error:
        raise deadline_exceeded() from error


def _as_serving_error(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    log_exception("batch_crashed", error)
    return ServingError(Code.INTERNAL, "Internal error of the server; its log has the details.")


def _merge(parts: Sequence[np.ndarray], fill: int) -> np.ndarray:
    """The parts, one below the other, `fill` copies of the last one's first row below them.

    Parts of different shape are filled up at the end of each axis with b"" or 0.
    """
    longest = np.max([part.shape[1:] for part in parts], axis=0) if parts[0].ndim > 1 else ()
    padded = []
    for part in parts:
        if part.shape[1:] != tuple(longest):
            whole = np.full((len(part), *longest), b"" if part.dtype == object else 0, part.dtype)
            whole[tuple(slice(size) for size in part.shape)] = part
            part = whole
        padded.append(part)
    if fill and len(padded[-1]):
        padded.append(np.repeat(padded[-1][:1], fill, axis=0))
    return padded[0] if len(padded) == 1 else np.concatenate(padded)
