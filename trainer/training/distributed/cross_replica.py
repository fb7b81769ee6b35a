"""Cross-replica sum and gather of a step, fused into few collectives: a message costs more than its content."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.spec.features import Side

Encoded = Mapping[Side, Mapping[str, tf.Tensor]]
# Entries of a batch that the losses read beside the vectors.
_LOSS_INPUTS = ("item_rows", "item_index", "sampling_probability", "labels", "day_labels", "requests")


def all_reduce_sum(values: Any, context: Any) -> Any:
    """Returns the sum over all replicas of every tensor in the nest `values`; float32 of known shapes."""
    tensors = tf.nest.flatten(values)
    # `identity`, here and below: a tensor of another function has no device of this replica yet.
    flat = tf.identity(tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0))
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
    parts = tf.split(total, [tensor.shape.num_elements() for tensor in tensors])
    shaped = [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
    return tf.nest.pack_sequence_as(values, shaped)


class Gathered(NamedTuple):
    """Vectors and batch of all replicas joined."""

    encoded: Encoded
    batch: dict[str, Any]


def all_gather(encoded: Encoded, batch: Mapping[str, Any], context: Any) -> Gathered:
    """Gathers the vectors of all replicas and the entries of their batches that the losses read, in replica order.

    In the retrieval loss each replica counts its own queries, weighted by the number of replicas: the mean of that
    loss over all replicas is that of the joined batch, and no replica scores all queries with all items.
    """
    replicas, number = context.num_replicas_in_sync, context.replica_id_in_sync_group
    own = (dict(encoded), {name: batch[name] for name in _LOSS_INPUTS})
    tensors: list[tf.Tensor] = tf.nest.flatten(own)
    lengths = tf.stack([tf.shape(tensor)[0] for tensor in tensors])
    sizes = context.all_gather(tf.identity(lengths[tf.newaxis]), axis=0)  # [replicas, tensors]
    sizes = tf.ensure_shape(sizes, [replicas, len(tensors)])
    _, at = tf.nest.pack_sequence_as(own, list(range(len(tensors))))  # index of each in the flat list
    items, rows = sizes[:, at["item_rows"]], sizes[:, at["item_index"]]
    tensors[at["item_index"]] += tf.reduce_sum(items[:number])
    joined: dict[int, tf.Tensor] = {}
    for dtype, places in (
        (tf.float32, [place for place, tensor in enumerate(tensors) if tensor.dtype.is_floating]),
        (tf.int64, [place for place, tensor in enumerate(tensors) if not tensor.dtype.is_floating]),
    ):
        found = _gather_rows(
            [tf.cast(tensors[place], dtype) for place in places], tf.gather(sizes, places, axis=1), context
        )
        joined |= {place: tf.cast(whole, tensors[place].dtype) for place, whole in zip(places, found, strict=True)}
    whole_encoded, whole_batch = tf.nest.pack_sequence_as(own, [joined[place] for place in range(len(tensors))])
    whose = tf.repeat(tf.range(replicas), rows)
    counted = {"counted": replicas * tf.cast(whose == number, tf.float32)}
    return Gathered(whole_encoded, {**whole_batch, **counted})


def _gather_rows(tensors: Sequence[tf.Tensor], sizes: tf.Tensor, context: Any) -> list[tf.Tensor]:
    """Gathers each tensor [rows, ...] of all replicas, `sizes` [replicas, tensors] rows of each, by one message."""
    widths = [tensor.shape[1:].num_elements() for tensor in tensors]
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
    message = _with_dense_gradient(context.all_gather(tf.identity(flat), axis=0))
    parts = tf.split(message, tf.reshape(sizes * tf.constant(widths), [-1]), num=sizes.shape[0] * len(tensors))
    return [
        tf.reshape(tf.concat(parts[index :: len(tensors)], axis=0), [-1, *tensor.shape[1:]])
        for index, tensor in enumerate(tensors)
    ]


@tf.custom_gradient
def _with_dense_gradient(values: tf.Tensor) -> Any:
    """Identity whose gradient is dense, as gathering across replicas requires."""
    return tf.identity(values), lambda gradient: tf.identity(tf.convert_to_tensor(gradient))
