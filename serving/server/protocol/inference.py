"""Classify, Regress and MultiInference: signatures over serialised Examples, as in TF Serving."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from serving.server.protocol.deadline import Deadline
from serving.server.protocol.errors import Code, ServingError, invalid, quoted
from serving.server.protocol.servable import Servable
from serving.server.protocol.signature import DEFAULT_SIGNATURE, ServableSignature

CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"


def serialize_examples(examples: input_pb2.Input) -> np.ndarray:
    """Serializes the Examples of an Input, [batch] bytes; a common context is merged into each.

    Raises:
      ServingError: INVALID_ARGUMENT when there is none.
    """
    context, items = b"", examples.example_list.examples
    if examples.WhichOneof("kind") == "example_list_with_context":
        listed = examples.example_list_with_context
        context, items = listed.context.SerializeToString(), listed.examples
    if not items:
        raise invalid("Input is empty.")
    batch = np.empty(len(items), object)
    # Two serialised messages in a row parse as their merge; the example comes last and wins.
    batch[:] = [context + example.SerializeToString() for example in items]
    return batch


def classify(
    model: Servable, name: str, examples: input_pb2.Input, *, deadline: Deadline, checks_method_name: bool
) -> classification_pb2.ClassificationResult:
    """The classes of every example.

    Args:
      model: The version that answers.
      name: The signature; "" is the default one.
      examples: The Examples.
      deadline: Until when the answer is wanted.
      checks_method_name: Refuse a signature of another method name.

    Raises:
      ServingError: In TF Serving's words.
    """
    signature = _signature(model, name, method=CLASSIFY_METHOD if checks_method_name else "", kind="classification")
    return _run_classify(model, signature, serialize_examples(examples), deadline=deadline)


def regress(
    model: Servable, name: str, examples: input_pb2.Input, *, deadline: Deadline, checks_method_name: bool
) -> regression_pb2.RegressionResult:
    """The value of every example; arguments and errors as of `classify`."""
    signature = _signature(model, name, method=REGRESS_METHOD if checks_method_name else "", kind="regression")
    return _run_regress(model, signature, serialize_examples(examples), deadline=deadline)


def multi_inference(
    model: Servable, request: inference_pb2.MultiInferenceRequest, *, deadline: Deadline, checks_method_name: bool
) -> list[inference_pb2.InferenceResult]:
    """The result of every task, each from the same examples; the caller fills in name and version.

    Raises:
      ServingError: In TF Serving's words.
    """
    signatures: dict[str, ServableSignature] = {}
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if name in signatures:
            raise invalid(f"Duplicate evaluation of signature: {quoted(name)}")
        if name not in model.signatures:
            raise invalid(f"Requested signature not found in model graph: {quoted(name)}")
        signatures[name] = model.signatures[name]
        if task.method_name not in (CLASSIFY_METHOD, REGRESS_METHOD):
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {quoted(task.method_name)}")
        kind = "classification" if task.method_name == CLASSIFY_METHOD else "regression"
        _check_method(signatures[name], method=task.method_name if checks_method_name else "", kind=kind)
    examples = serialize_examples(request.input)
    results = []
    for (name, signature), task in zip(signatures.items(), request.tasks, strict=True):
        result = inference_pb2.InferenceResult()
        result.model_spec.signature_name = name
        if task.method_name == CLASSIFY_METHOD:
            result.classification_result.CopyFrom(_run_classify(model, signature, examples, deadline=deadline))
        else:
            result.regression_result.CopyFrom(_run_regress(model, signature, examples, deadline=deadline))
        results.append(result)
    return results


def _signature(model: Servable, name: str, *, method: str, kind: str) -> ServableSignature:
    name = name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise invalid(f"No signature was found with the name: {quoted(name)}")
    _check_method(signature, method=method, kind=kind)
    return signature


def _check_method(signature: ServableSignature, *, method: str, kind: str) -> None:
    if method and signature.method_name != method:
        raise invalid(f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}")


def _check_input(signature: ServableSignature, *, kind: str) -> None:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if INPUTS not in signature.inputs:
        raise ServingError(Code.FAILED_PRECONDITION, f"No {kind} inputs found in SignatureDef: {signature.name}")


def _run_classify(
    model: Servable, signature: ServableSignature, examples: np.ndarray, *, deadline: Deadline
) -> classification_pb2.ClassificationResult:
    num_outputs = len(signature.outputs)
    if len(signature.inputs) == 1 and num_outputs not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {num_outputs}")
    _check_input(signature, kind="classification")
    wanted = tuple(alias for alias in (CLASSES, SCORES) if alias in signature.outputs)
    if not wanted:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {signature.name}",
        )
    found = model.run(signature, {INPUTS: examples}, outputs=wanted, deadline=deadline)
    _check_columns(model, signature, found, num_examples=len(examples))
    rows = len(examples)
    classes = found[CLASSES].tolist() if CLASSES in found else [[b""] * found[SCORES].shape[1]] * rows
    scores = found[SCORES].tolist() if SCORES in found else [[0.0] * found[CLASSES].shape[1]] * rows
    result = classification_pb2.ClassificationResult()
    for labels, values in zip(classes, scores, strict=True):
        entries = result.classifications.add().classes
        for label, value in zip(labels, values, strict=True):
            entries.add(label=label.decode("utf-8", "replace"), score=value)
    return result


def _check_columns(
    model: Servable, signature: ServableSignature, found: Mapping[str, np.ndarray], *, num_examples: int
) -> None:
    for alias, dtype in ((CLASSES, tf.string), (SCORES, tf.float32)):
        if alias not in found:
            continue
        shape = found[alias].shape
        if len(shape) != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(shape)}")
        _check_dtype(model.output_dtype(signature, alias), dtype=dtype, what=f"{alias} Tensor", stop=".")
        if shape[0] != num_examples:
            raise invalid(f"Expected {alias} output batch size of {num_examples}. Got: {shape[0]}")
    if len({array.shape[1] for array in found.values()}) > 1:
        raise invalid(
            "Tensors class and score should match in dim_size(1). "
            f"Got {found[CLASSES].shape[1]} vs. {found[SCORES].shape[1]}"
        )


def _run_regress(
    model: Servable, signature: ServableSignature, examples: np.ndarray, *, deadline: Deadline
) -> regression_pb2.RegressionResult:
    if len(signature.inputs) == 1 and len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    _check_input(signature, kind="regression")
    if OUTPUTS not in signature.outputs:
        raise ServingError(Code.FAILED_PRECONDITION, f"No regression outputs found in SignatureDef: {signature.name}")
    found = model.run(signature, {INPUTS: examples}, outputs=(OUTPUTS,), deadline=deadline)[OUTPUTS]
    if not (found.ndim == 1 or (found.ndim == 2 and found.shape[1] == 1)):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(found.shape)}"
        )
    if len(found) != len(examples):
        raise invalid(f"Input batch size did not match output batch size: {len(examples)} vs. {len(found)}")
    _check_dtype(model.output_dtype(signature, OUTPUTS), dtype=tf.float32, what="output Tensor", stop=". ")
    result = regression_pb2.RegressionResult()
    for value in found.reshape(-1).tolist():
        result.regressions.add(value=value)
    return result


def _check_dtype(got: tf.DType, *, dtype: tf.DType, what: str, stop: str) -> None:
    if got != dtype:
        raise invalid(f"Expected {what} of {_dtype_name(dtype)}{stop} Got: {_dtype_name(got)}")


def _dtype_name(dtype: tf.DType) -> str:
    """`DT_FLOAT`, as the proto's enum has it."""
    return str(types_pb2.DataType.Name(dtype.as_datatype_enum))


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
