"""Display store: texts of the items of a bundle that a page shows beside its results.

All fields of an item are one string, which is divided only where a request asks for fields.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from trainer.ops.numbers import status_bit
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.serving.signatures import QueryStatus

_ABSENT = {feature.name: feature.default for feature in features_of(Side.ITEM)}
SEPARATOR = "\x1f"  # ASCII's unit separator, which no text needs
_MOST_DECIMALS = 6
Live = Callable[[tf.Tensor], tf.Tensor]
_NOTHING_LIVE: Mapping[str, Live] = MappingProxyType({})


class Displayed(NamedTuple):
    """Texts of the results of a batch.

    Attributes:
      texts: [batch, results, fields] string, "" where the item has none; no fields where no request asks for any.
      status: [batch] int32 `QueryStatus` bits: whether the request names a field that the bundle does not keep.
    """

    texts: tf.Tensor
    status: tf.Tensor


class DisplayStore(tf.Module):
    """Texts of items by row; the last row is blank."""

    def __init__(
        self, columns: Mapping[str, np.ndarray], *, fields: Sequence[str], live: Mapping[str, Live] = _NOTHING_LIVE
    ) -> None:
        """Keeps `fields` of the columns of a `serving.catalogue.catalogue.Catalogue`, in row order.

        Args:
          columns: {name: one value or one row of values for each item}.
          fields: Names of columns.
          live: Texts of rows [any] as they are now, by the name of the field, for fields that change.
        """
        super().__init__(name="display")
        self._fields, self._live = tuple(fields), MappingProxyType(live)
        self.num_fields = len(fields)
        texts = [[display_text(name, value) for value in columns[name]] for name in fields]
        num_items = len(columns["title"])
        joined = [SEPARATOR.encode().join(row) for row in zip(*texts, strict=True)] if fields else [b""] * num_items
        self.records = tf.Variable(tf.constant([*joined, b""], tf.string), trainable=False, name="records")
        keys, places = tf.constant([*fields, ""]), tf.range(self.num_fields + 1)
        self.place_of = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, places), default_value=self.num_fields
        )

    def display(self, rows: tf.Tensor, fields: tf.Tensor) -> Displayed:
        """Returns the texts of results; a request that asks for nothing costs nothing.

        Args:
          rows: [batch, results] int32, the number of items for a blank one.
          fields: [batch, any] string, names of fields; "" is padding.
        """
        batch, width = tf.shape(rows)[0], rows.shape[1]

        def nothing() -> Displayed:
            return Displayed(tf.fill(tf.stack([batch, width, 0]), b""), tf.fill([batch], 0))

        return tf.cond(tf.size(fields) > 0, lambda: self._texts(rows, fields), nothing)

    def _texts(self, rows: tf.Tensor, fields: tf.Tensor) -> Displayed:
        places, flat = self.place_of.lookup(fields), tf.reshape(rows, [-1])
        divided = tf.strings.split(tf.gather(self.records, flat), SEPARATOR)
        texts = divided.to_tensor(b"", shape=[None, self.num_fields + 1])  # the last one is that of no field
        columns = tf.unstack(texts, self.num_fields + 1, axis=1)
        for place, name in enumerate(self._fields):
            columns[place] = self._live[name](flat) if name in self._live else columns[place]
        texts = tf.stack(columns, axis=1)
        texts = tf.reshape(texts, [tf.shape(rows)[0], rows.shape[1], self.num_fields + 1])
        chosen = tf.gather(tf.transpose(texts, [0, 2, 1]), places, batch_dims=1)
        unknown = (places == self.num_fields) & (fields != b"")
        return Displayed(
            tf.transpose(chosen, [0, 2, 1]), status_bit(tf.reduce_any(unknown, axis=1), QueryStatus.NAME_UNKNOWN)
        )


def display_text(name: str, value: bytes | float | int | np.ndarray) -> bytes:
    """Returns a value of a column as a page shows it: a list as lines, of a category the longest path."""
    if isinstance(value, np.ndarray):
        parts = [part for part in value.tolist() if part]
        value = max(parts, key=len, default=b"") if name == "category" else b"\n".join(parts)
    if isinstance(value, bytes):
        return value.replace(SEPARATOR.encode(), b" ")
    if name != "in_stock" and value == _ABSENT[name]:
        return b""
    if name == "available_from":
        return datetime.datetime.fromtimestamp(int(value), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return np.format_float_positional(value, trim="-").encode() if isinstance(value, np.floating) else b"%d" % value


def shortest_decimal(values: tf.Tensor) -> tf.Tensor:
    """Returns float32 numbers of any shape as the shortest decimals that read as the same; "" for one below 0."""
    text = tf.strings.as_string(values, precision=_MOST_DECIMALS)
    for decimals in reversed(range(_MOST_DECIMALS)):
        shorter = tf.strings.as_string(values, precision=decimals)
        text = tf.where(tf.strings.to_number(shorter) == values, shorter, text)
    return tf.where(values < 0.0, b"", text)
