"""One op, three runs: eagerly, inside `Dataset.map` and from a reloaded SavedModel give the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

Run = Callable[..., Any]


def _numpy(result: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), result)


def eagerly(op: Callable[..., Any], *arguments: np.ndarray) -> Any:
    return _numpy(op(*[tf.constant(argument) for argument in arguments]))


def in_tf_data(op: Callable[..., Any], *arguments: np.ndarray) -> Any:
    dataset = tf.data.Dataset.from_tensors(tuple(tf.constant(argument) for argument in arguments)).map(op)
    return _numpy(next(iter(dataset)))


def from_saved_model(op: Callable[..., Any], *arguments: np.ndarray) -> Any:
    module = tf.Module()
    specs = [tf.TensorSpec([None, *np.shape(a)[1:]], tf.constant(a).dtype) for a in arguments]
    module.run = tf.function(op, input_signature=specs)
    module.held = [cell.cell_contents for cell in (op.__closure__ or ()) if isinstance(cell.cell_contents, tf.Module)]
    with pytest.MonkeyPatch.context() as patch, _folder() as folder:
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
        tf.saved_model.save(module, folder)
        return _numpy(tf.saved_model.load(folder).run(*[tf.constant(argument) for argument in arguments]))


def _folder() -> Any:
    import tempfile

    return tempfile.TemporaryDirectory()


RUNS = [eagerly, in_tf_data, from_saved_model]
