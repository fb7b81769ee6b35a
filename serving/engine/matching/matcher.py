"""Matches of a request: the items that pass its filters and, where it has words, have one of them."""

from collections.abc import Mapping

import tensorflow as tf

from serving.engine.item_tables import ItemTables
from serving.lexical.bm25 import LexicalIndex
from trainer.spec.serving.filters import FILTERS

Inputs = Mapping[str, tf.Tensor]


class Matcher:
    """Matcher of requests over one version of the catalogue.

    Attributes:
      tables: The items.
    """

    def __init__(self, *, tables: ItemTables, lexical: LexicalIndex) -> None:
        self.tables = tables
        self._lexical = lexical

    def with_words(self, text: tf.Tensor) -> tf.Tensor:
        """Returns the items [batch, items] bool that texts [batch] find by words; all where no word is known."""
        found = self._lexical.matches(self._lexical.terms(text))
        others = self.tables.num_items - self._lexical.num_items  # no search finds them by words
        no_words = tf.reduce_all(found, axis=1, keepdims=True)
        return tf.concat([found, tf.repeat(no_words, others, axis=1)], axis=1)

    def passing(self, inputs: Inputs) -> tf.Tensor:
        """Returns the items [batch, items] bool that pass the filters and were not removed."""
        filters = {filter_.name.value: inputs[filter_.name.value] for filter_ in FILTERS}
        return self.tables.apply_filters(filters).allowed() & (self.tables.alive_groups.read_value() >= 0)

    def count_products(self, matching: tf.Tensor) -> tf.Tensor:
        """Returns how many products [batch] have a variant that matches, of a mask [batch, items]."""
        return tf.math.count_nonzero(self.tables.count_variants(matching), axis=-1, dtype=tf.int32)
