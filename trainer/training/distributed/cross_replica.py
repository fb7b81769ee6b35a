"""What replicas send each other in a step, in few messages: one costs more than what is in it."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.spec.features import Side

Encoded = Mapping[Side, Mapping[str, tf.Tensor]]
# What the losses read of a batch beside the vectors.
_READ = ("item_rows", "item_index", "sampling_probability", "labels", "day_labels", "requests")


def summed(values: Any, context: Any) -> Any:
    """The sum over all replicas of every tensor in `values`, nested as they are; float32 of known shapes."""
    tensors = tf.nest.flatten(values)
    # `identity`, here and below: what comes from elsewhere has no device of this replica yet.
    flat = tf.identity(tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0))
    total = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
    parts = tf.split(total, [tensor.shape.num_elements() for tensor in tensors])
    shaped = [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
    return tf.nest.pack_sequence_as(values, shaped)


def gather(encoded: Encoded, batch: Mapping[str, Any], context: Any) -> tuple[Encoded, dict[str, Any]]:
    """The vectors of all replicas and what the losses read of their batches, in the order of the replicas.

    Of the queries of the retrieval each replica counts its own, as often as there are replicas: the mean of its loss
    over all replicas is that of the joined batch, and none scores all queries with all items.
    """
    replicas, number = context.num_replicas_in_sync, context.replica_id_in_sync_group
    own = (dict(encoded), {name: batch[name] for name in _READ})
    tensors: list[tf.Tensor] = tf.nest.flatten(own)
    lengths = tf.stack([tf.shape(tensor)[0] for tensor in tensors])
    sizes = context.all_gather(tf.identity(lengths[tf.newaxis]), axis=0)  # [replicas, tensors]
    sizes = tf.ensure_shape(sizes, [replicas, len(tensors)])
    _, at = tf.nest.pack_sequence_as(own, list(range(len(tensors))))  # where each stands in the flat list
    items, rows = sizes[:, at["item_rows"]], sizes[:, at["item_index"]]
    tensors[at["item_index"]] += tf.reduce_sum(items[:number])
    joined: dict[int, tf.Tensor] = {}
    for dtype, places in (
        (tf.float32, [place for place, tensor in enumerate(tensors) if tensor.dtype.is_floating]),
        (tf.int64, [place for place, tensor in enumerate(tensors) if not tensor.dtype.is_floating]),
    ):
        found = _joined([tf.cast(tensors[place], dtype) for place in places], tf.gather(sizes, places, axis=1), context)
        joined |= {place: tf.cast(whole, tensors[place].dtype) for place, whole in zip(places, found, strict=True)}
    whole_encoded, whole_batch = tf.nest.pack_sequence_as(own, [joined[place] for place in range(len(tensors))])
    whose = tf.repeat(tf.range(replicas), rows)
    return whole_encoded, {**whole_batch, "counted": replicas * tf.cast(whose == number, tf.float32)}


def _joined(tensors: Sequence[tf.Tensor], sizes: tf.Tensor, context: Any) -> list[tf.Tensor]:
    """Each tensor [rows, ...] with the rows of all replicas, `sizes` [replicas, tensors] of them, by one message."""
    widths = [tensor.shape[1:].num_elements() for tensor in tensors]
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
    message = _dense(context.all_gather(tf.identity(flat), axis=0))
    parts = tf.split(message, tf.reshape(sizes * tf.constant(widths), [-1]), num=sizes.shape[0] * len(tensors))
    return [
        tf.reshape(tf.concat(parts[place :: len(tensors)], axis=0), [-1, *tensor.shape[1:]])
        for place, tensor in enumerate(tensors)
    ]


@tf.custom_gradient
def _dense(values: tf.Tensor) -> Any:
    """`values`; its gradient is dense, as gathering across replicas wants it."""
    return tf.identity(values), lambda gradient: tf.identity(tf.convert_to_tensor(gradient))
