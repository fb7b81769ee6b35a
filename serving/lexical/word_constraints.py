"""Constraints in the words of queries over one catalogue: prices, absent words, value for money, brands, attributes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.index.vector_store import as_variable
from serving.lexical.attribute_values import MAX_PHRASE_WORDS, phrase_words
from serving.lexical.bm25 import LexicalIndex
from serving.lexical.constraint_reader import CURRENCY_CODES, NO_PRICE, ConstraintReader
from serving.lexical.postings import NO_TERM, Postings
from serving.lexical.query_terms import Terms
from serving.lexical.tokens import ABSENT_MARK, VALUE_MARK
from trainer.spec.serving.search_fields import MAX_ABSENT_WORDS, MAX_VALUES, NUM_CONSTRAINTS, REFUSE_ALL

_MAX_PHRASES = 96  # of a query that are looked up
_MAX_PARTS = 4  # values that the words of another name too: "blue" of "navy blue"


class Constraints(NamedTuple):
    """Constraints of queries.

    Attributes:
      names: [batch, 3 + MAX_VALUES] string, as the answer names them: the price, the absent words, value for money,
        brands and attributes; "" where there is none.
      prices: [batch, 2] float32, the lowest and the highest price; below 0 for no bound.
      currency: [batch] int32, 1 + the place in `CURRENCY_CODES`; 0 = not said.
      value: [batch] bool, whether value for money is asked for.
      absent: [batch, any] int32, terms that an item shall not have, `NO_TERM` for none.
      absent_said: [batch, any] int32, terms of items that say they are without them.
    """

    names: tf.Tensor
    prices: tf.Tensor
    currency: tf.Tensor
    value: tf.Tensor
    absent: tf.Tensor
    absent_said: tf.Tensor


class ReadWords(NamedTuple):
    """Words of queries, apart from the constraints among them.

    Attributes:
      text: [batch] string, the text without prices and value for money.
      absent: [batch] string, words that shall be absent.
      values: [batch, any] int32, terms of brands and attributes.
      constraints: Without absent terms, which `WordConstraints.terms` adds.
    """

    text: tf.Tensor
    absent: tf.Tensor
    values: tf.Tensor
    constraints: Constraints


class SearchedWords(NamedTuple):
    """Terms of queries, and their constraints."""

    terms: Terms
    constraints: Constraints


class WordConstraints(tf.Module):
    """Constraints in the words of queries, by the brands and attributes of one catalogue.

    Attributes:
      lexical: The index of the words.
      currencies: [rows] int32, 1 + the place of the currency in `CURRENCY_CODES`, 0 where an item names none.
    """

    def __init__(
        self, postings: Postings, lexical: LexicalIndex, *, phrases: Mapping[str, str], currencies: Sequence[bytes]
    ) -> None:
        """Indexes what queries can name.

        Args:
          postings: Those of `lexical`.
          lexical: The index of the words.
          phrases: Of `AttributeValues`.
          currencies: [rows], of every item.
        """
        super().__init__(name="word_constraints")
        self.lexical = lexical
        codes = {code.encode(): 1 + place for place, code in enumerate(CURRENCY_CODES)}
        known_codes = [codes.get(name.upper(), len(codes) + 1) if name else 0 for name in currencies]
        self.currencies = as_variable(np.array(known_codes, np.int32), "currencies")
        self._reader = ConstraintReader(postings.languages)
        term_of = {term.decode(errors="replace"): place for place, term in enumerate(postings.vocabulary)}
        values = sorted(set(phrases.values()))
        place_of = {value: place for place, value in enumerate(values)}
        known = {phrase: place_of[value] for phrase, value in phrases.items()}
        self.num_values = len(values)
        self.value_of = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*(phrase.encode() for phrase in known), b""]),
                tf.constant([*known.values(), self.num_values], tf.int32),
            ),
            default_value=self.num_values,
        )
        names = tf.constant([*(value.encode() for value in values), b""])
        self.value_names = tf.Variable(names, trainable=False, name="value_names")
        terms = [*(term_of.get(VALUE_MARK + value, NO_TERM) for value in values), NO_TERM]
        self.value_terms = as_variable(np.array(terms, np.int32), "value_terms")
        parts = np.full([self.num_values + 1, _MAX_PARTS], -1, np.int32)
        for phrase, place in known.items():
            own = [known[part] for part in _parts(phrase) if part in known and known[part] != place][:_MAX_PARTS]
            parts[place, : len(own)] = own
        self.parts = as_variable(parts, "parts")
        said = [term_of.get(ABSENT_MARK + term, NO_TERM) for term in term_of]
        self.said = as_variable(np.array([*said, NO_TERM], np.int32), "said")

    def read(self, text: tf.Tensor, refused: tf.Tensor) -> ReadWords:
        """Reads queries [batch]; those of their constraints that are `refused` [batch, any] are words like others."""
        read = self._reader.read(text)
        values = self._values(read.present)
        names = tf.concat([read.names, tf.gather(self.value_names, values)], axis=1)
        same = names[:, :, tf.newaxis] == refused[:, tf.newaxis, :]
        kept = ~(tf.reduce_any(same, axis=2) | tf.reduce_any(refused == REFUSE_ALL, axis=1, keepdims=True))
        price, absent, value = tf.unstack(kept[:, :3], axis=1)
        return ReadWords(
            text=tf.where(price & value, read.text, text),
            absent=tf.where(absent, read.absent, b""),
            values=tf.where(kept[:, 3:], tf.gather(self.value_terms, values), NO_TERM),
            constraints=Constraints(
                names=tf.where(kept, names, b""),
                prices=tf.where(price[:, tf.newaxis], read.prices, NO_PRICE),
                currency=read.currency,
                value=read.value & value,
                absent=tf.zeros_like(names, tf.int32)[:, :0],
                absent_said=tf.zeros_like(names, tf.int32)[:, :0],
            ),
        )

    def terms(self, read: ReadWords) -> SearchedWords:
        """Returns the terms of queries: their words, brands and attributes as a whole, and what shall be absent."""
        batch, any_absent = tf.shape(read.text)[0], tf.reduce_any(read.absent != b"")
        also = tf.cond(any_absent, lambda: read.absent, lambda: read.absent[:0])
        both = self.lexical.terms(tf.concat([read.text, also], axis=0))  # one analysis of all
        found = Terms(*[values[:batch] for values in both])
        # The last column is the text as an identifier.
        ids = both.ids[batch:, :-1][:, :MAX_ABSENT_WORDS]
        shape = tf.shape(ids)
        none = tf.fill(tf.stack([batch, 0, shape[2]]), NO_TERM)
        absent = tf.cond(any_absent, lambda: ids, lambda: none)
        said = tf.gather(self.said, tf.where(absent == NO_TERM, self.lexical.num_terms, absent))
        used = tf.maximum(0, tf.reduce_max(tf.where(read.values == NO_TERM, 0, tf.range(1, MAX_VALUES + 1))))
        values = tf.pad(read.values[:, :used, tf.newaxis], [[0, 0], [0, 0], [0, shape[2] - 1]], constant_values=NO_TERM)
        added = tf.concat([values, said], axis=1)
        weights = tf.cast(added != NO_TERM, tf.float32)
        flat = [tf.reshape(part, [batch, tf.shape(part)[1] * shape[2]]) for part in (absent, said)]
        return SearchedWords(
            terms=Terms(
                ids=tf.concat([added, found.ids], axis=1),
                weights=tf.concat([weights, found.weights], axis=1),
                shares=tf.concat([weights, found.shares], axis=1),
                unknown=found.unknown,
            ),
            constraints=read.constraints._replace(absent=flat[0], absent_said=flat[1]),
        )

    def no_constraints(self, batch: tf.Tensor) -> Constraints:
        """Returns the constraints of `batch` queries without any."""
        return Constraints(
            names=tf.fill([batch, NUM_CONSTRAINTS], b""),
            prices=tf.fill([batch, 2], NO_PRICE),
            currency=tf.zeros([batch], tf.int32),
            value=tf.zeros([batch], tf.bool),
            absent=tf.zeros([batch, 0], tf.int32),
            absent_said=tf.zeros([batch, 0], tf.int32),
        )

    def _values(self, text: tf.Tensor) -> tf.Tensor:
        """The places [batch, MAX_VALUES] of the brands and attributes that texts name, those of more words first."""
        typed = phrase_words(text)
        # In raw ops, of which there are fewer than in those of ragged tensors.
        phrases, splits = tf.raw_ops.StringNGrams(
            data=typed.values,
            data_splits=typed.row_splits,
            separator=" ",
            ngram_widths=[*range(MAX_PHRASE_WORDS, 0, -1)],
            left_pad="",
            right_pad="",
            pad_width=0,
            preserve_short_sequences=False,
        )
        places = tf.raw_ops.RaggedTensorToTensor(
            shape=tf.constant([-1, _MAX_PHRASES], tf.int64),
            values=self.value_of.lookup(phrases),
            default_value=self.num_values,
            row_partition_tensors=[splits],
            row_partition_types=["ROW_SPLITS"],
        )
        known = tf.where(places == self.num_values, 0, tf.range(_MAX_PHRASES, 0, -1))
        found = tf.gather(places, tf.math.top_k(known, k=MAX_VALUES).indices, batch_dims=1)
        parts = tf.reshape(tf.gather(self.parts, found), [-1, 1, MAX_VALUES * _MAX_PARTS])
        covered = tf.reduce_any(found[:, :, tf.newaxis] == parts, axis=2)
        return tf.where(covered, self.num_values, found)


def _parts(phrase: str) -> list[str]:
    """The phrases within a phrase."""
    split = phrase.split()
    lengths = range(len(split) - 1, 0, -1)
    return [" ".join(split[start : start + n]) for n in lengths for start in range(len(split) - n + 1)]
