"""Postings of a catalogue: its tokens, the terms they stand for, and what each term adds to the score of an item.

Several fields count as one text by BM25F: a term's frequency is summed over the fields, each times its weight and
divided by the field's length normalisation, and saturates once. With a single field this is plain BM25, with
idf = ln(1 + (n - df + 0.5) / (df + 0.5)). https://doi.org/10.1561/1500000019
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.lexical.tokens import (
    ABSENT,
    ABSENT_MARK,
    ATTRIBUTE_VALUES,
    IDENTIFIERS,
    MARKS,
    VALUE_MARK,
    identifiers,
    tokens,
)
from trainer.language import compounds
from trainer.language.languages import stop_words
from trainer.language.terms import irregular_forms
from trainer.language.terms import terms as terms_of

STOP_WORD_WEIGHT = 0.2  # of a term that a stop word stands for
COMPOUND_PART_WEIGHT = 0.5  # of a part of a compound, beside the compound itself
NO_TERM = -1
_TEXT_BATCH_SIZE = 1_024


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenTable:
    """Tokens of a catalogue, and the terms they stand for.

    Attributes:
      names: [tokens] bytes, sorted, every token as the items have it.
      num_items: [tokens] int32, how many items have the token.
      terms: [tokens, expansions] int32, ids of terms, `NO_TERM` where there are fewer.
      weights: [tokens, expansions] float32, how much each counts; 0 where there is none.
      irregular: {form that no item has: place of the token that is its dictionary form}.
    """

    names: tuple[bytes, ...]
    num_items: np.ndarray
    terms: np.ndarray
    weights: np.ndarray
    irregular: dict[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Postings:
    """Postings of a catalogue: the items of each term, with impacts.

    Attributes:
      num_items: How many rows there are.
      languages: Codes of the languages whose stemmers made the terms.
      vocabulary: [terms] bytes, sorted; a term's id is its place.
      keys: [postings] int64, term id * num_items + row, rising.
      impacts: [postings] float32, what the term adds to the BM25 score of the item.
      idf: [terms] float32, the supremum of the impacts of a term.
      document_frequency: [terms] int32, how many items have the term.
      tokens: The tokens of the items.
    """

    num_items: int
    languages: tuple[str, ...]
    vocabulary: tuple[bytes, ...]
    keys: np.ndarray
    impacts: np.ndarray
    idf: np.ndarray
    document_frequency: np.ndarray
    tokens: TokenTable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bm25:
    """Settings of BM25F.

    Attributes:
      weights: {field: weight of a term in it}, one for each field.
      k1: How fast repetitions of a term stop to count.
      b: How much a long field is held against an item.
    """

    weights: Mapping[str, float]
    k1: float = 1.2
    b: float = 0.75


class Impacts(NamedTuple):
    """Postings with what they add to scores; the attributes are those of `Postings`."""

    keys: np.ndarray
    impacts: np.ndarray
    idf: np.ndarray
    document_frequency: np.ndarray


def build_postings(
    fields: Mapping[str, Sequence[bytes]],
    *,
    bm25: Bm25,
    languages: Sequence[str] = (),
    num_base: int | None = None,
    removed: np.ndarray | None = None,
) -> Postings:
    """Builds the postings of a catalogue.

    Args:
      fields: {field: [rows] UTF-8 texts}, all of one length. Of `IDENTIFIERS` and `ATTRIBUTE_VALUES` each line is one
        token.
      bm25: Settings, with a weight for each field.
      languages: Codes of the languages whose stemmers are used; a token stands for its stems in all of them.
      num_base: The term statistics are those of the first `num_base` rows, removed ones among them; None = of all.
      removed: [rows] bool, rows without postings.

    Raises:
      ValueError: The fields differ in length or have no weight.
    """
    lengths = {name: len(texts) for name, texts in fields.items()}
    if len(set(lengths.values())) > 1 or set(fields) != set(bm25.weights):
        raise ValueError(
            f"Lexical fields must have one text for each item and one weight each; got lengths {lengths} and weights "
            f"for {sorted(bm25.weights)}."
        )
    return AnalysedFields(fields, languages).postings(bm25, num_base=num_base, removed=removed)


class AnalysedFields:
    """Fields of a catalogue as terms, from which any settings make impacts.

    Attributes:
      languages: Codes of the languages whose stemmers made the terms.
      num_items: How many rows there are.
      tokens: [tokens] bytes, sorted; a token's id is its place.
      expansions: The terms of the tokens.
    """

    def __init__(self, fields: Mapping[str, Sequence[bytes]], languages: Sequence[str]) -> None:
        """Analyses the texts of all rows by field; see `build_postings`."""
        self.languages = tuple(languages)
        self.num_items = len(next(iter(fields.values()), ()))
        token_ids: dict[bytes, int] = {}
        analysis = {IDENTIFIERS: _lines, ATTRIBUTE_VALUES: _values, ABSENT: _absent}
        counted = {name: _count_field(fields[name], token_ids, analysis.get(name, _words)) for name in sorted(fields)}
        self.tokens = tuple(sorted(token_ids))
        rank = np.zeros(len(self.tokens), np.int64)
        rank[[token_ids[name] for name in self.tokens]] = np.arange(len(self.tokens))
        self._tokens_of_fields = {name: field._replace(token=rank[field.token]) for name, field in counted.items()}
        self.expansions = _expand([token.decode(errors="replace") for token in self.tokens], languages)
        terms = {name: self._terms_of(field) for name, field in self._tokens_of_fields.items()}
        self._keys = np.unique(np.concatenate([np.zeros(0, np.int64), *(field.key for field in terms.values())]))
        self._terms_of_fields = {
            name: field._replace(key=np.searchsorted(self._keys, field.key)) for name, field in terms.items()
        }

    def postings(self, bm25: Bm25, *, num_base: int | None = None, removed: np.ndarray | None = None) -> Postings:
        """Returns the postings with some settings; see `build_postings`."""
        alive = np.ones(self.num_items, bool) if removed is None else ~removed
        names = [token.decode(errors="replace") for token in self.tokens]
        return Postings(
            num_items=self.num_items,
            languages=self.languages,
            vocabulary=tuple(term.encode() for term in self.expansions.vocabulary),
            tokens=TokenTable(
                names=self.tokens,
                num_items=self.items_of_tokens(alive),
                terms=self.expansions.token_terms,
                weights=self.expansions.token_weights,
                irregular=irregular_forms(names, self.languages),
            ),
            **self.impacts(bm25, num_base=num_base, alive=alive)._asdict(),
        )

    def impacts(self, bm25: Bm25, *, num_base: int | None = None, alive: np.ndarray | None = None) -> Impacts:
        """Returns what BM25F makes of the frequencies; see `build_postings`.

        Args:
          bm25: Settings, with a weight for each field.
          num_base: The term statistics are those of the first `num_base` rows; None = of all.
          alive: [rows] bool, rows with postings; None = all.
        """
        num_base = self.num_items if num_base is None else num_base
        alive = np.ones(self.num_items, bool) if alive is None else alive
        weights = self.expansions.term_weights
        frequency = np.zeros(len(self._keys))
        for name, field in self._terms_of_fields.items():
            norm = _length_norm(self._tokens_of_fields[name].lengths, b=bm25.b, num_base=num_base)
            frequency += bm25.weights[name] * np.bincount(field.key, field.counts / norm[field.row], len(self._keys))
        term, item = np.divmod(self._keys, max(1, self.num_items))
        base_frequency = np.bincount(term[item < num_base], minlength=len(weights))
        idf = np.log1p((num_base - base_frequency + 0.5) / (base_frequency + 0.5)) * weights
        kept = alive[item]
        return Impacts(
            keys=self._keys[kept],
            impacts=(idf[term] * frequency / (bm25.k1 + frequency))[kept].astype(np.float32),
            idf=idf.astype(np.float32),
            document_frequency=np.bincount(term[kept], minlength=len(weights)).astype(np.int32),
        )

    def items_of_tokens(self, alive: np.ndarray) -> np.ndarray:
        """Returns how many of the rows that are `alive` have each token, in any field: [tokens] int32."""
        fields = self._tokens_of_fields.values()
        keys = [(field.token * max(1, self.num_items) + field.row)[alive[field.row]] for field in fields]
        found = np.unique(np.concatenate([np.zeros(0, np.int64), *keys])) // max(1, self.num_items)
        return np.bincount(found, minlength=len(self.tokens)).astype(np.int32)

    def _terms_of(self, field: "_FieldTokens") -> "_FieldTerms":
        terms, shares = self.expansions.token_terms[field.token], self.expansions.token_weights[field.token]
        known = terms != NO_TERM
        row = np.broadcast_to(field.row[:, np.newaxis], terms.shape)[known]
        key = terms[known].astype(np.int64) * self.num_items + row
        return _FieldTerms(key=key, row=row, counts=(shares * field.counts[:, np.newaxis])[known])


def _length_norm(lengths: np.ndarray, *, b: float, num_base: int) -> np.ndarray:
    """[rows], by which frequencies in a field are divided."""
    # The mean is over the items that have the field: empty ones would make every text of a rare field a long one.
    known = lengths[:num_base][lengths[:num_base] > 0]
    return 1.0 - b + b * lengths / known.mean() if known.size else np.ones(len(lengths))


class _FieldTokens(NamedTuple):
    """Distinct (token, row) pairs of a field, [pairs] each, and the length of the field in each row."""

    token: np.ndarray
    row: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray


class _FieldTerms(NamedTuple):
    """(term, row) pairs of a field, [pairs] each; a pair may be there several times.

    Attributes:
      key: Keys (see `Postings`), or their places among those of all fields.
      row: Rows.
      counts: How often, times the weight of the term.
    """

    key: np.ndarray
    row: np.ndarray
    counts: np.ndarray


def _words(texts: tf.Tensor) -> tf.RaggedTensor:
    return tokens(texts, of_items=True).words


def _lines(texts: tf.Tensor) -> tf.RaggedTensor:
    split = tf.strings.split(texts, "\n")
    found = split.with_values(identifiers(split.values))
    return tf.ragged.boolean_mask(found, found != b"")


def _values(texts: tf.Tensor) -> tf.RaggedTensor:
    split = tf.strings.split(texts, "\n")
    marked = split.with_values(tf.strings.join([VALUE_MARK, split.values]))
    return tf.ragged.boolean_mask(marked, split != b"")


def _absent(texts: tf.Tensor) -> tf.RaggedTensor:
    found = _words(texts)
    return found.with_values(tf.strings.join([ABSENT_MARK, found.values]))


def _count_field(
    texts: Sequence[bytes], token_ids: dict[bytes, int], analyse: Callable[[tf.Tensor], tf.RaggedTensor]
) -> _FieldTokens:
    """Counts the tokens of a field; new ones get the next ids."""
    found, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(texts), _TEXT_BATCH_SIZE):
        batch = tf.constant(list(texts[start : start + _TEXT_BATCH_SIZE]), tf.string)
        ragged = analyse(batch)
        flat = ragged.values.numpy().tolist()
        found.append(np.array([token_ids.setdefault(token, len(token_ids)) for token in flat], np.int64))
        lengths.append(ragged.row_lengths().numpy())
    length, ids = np.concatenate(lengths), np.concatenate(found)
    keys, counts = np.unique(ids * max(1, len(texts)) + np.repeat(np.arange(len(texts)), length), return_counts=True)
    token, row = np.divmod(keys, max(1, len(texts)))
    return _FieldTokens(token=token, row=row, counts=counts, lengths=length)


class _Expansions(NamedTuple):
    """Terms of tokens.

    Attributes:
      vocabulary: [terms], sorted.
      term_weights: [terms], less than 1 for what stop words stand for.
      token_terms: The terms of `TokenTable`.
      token_weights: Its weights.
    """

    vocabulary: list[str]
    term_weights: np.ndarray
    token_terms: np.ndarray
    token_weights: np.ndarray


def _expand(names: Sequence[str], languages: Sequence[str]) -> _Expansions:
    """The terms of tokens: their stems, and those of the parts of compounds."""
    words = [name for name in names if not name.startswith(MARKS)]
    absent = [name for name in names if name.startswith(ABSENT_MARK)]
    of_words = terms_of([*words, *(name.removeprefix(ABSENT_MARK) for name in absent)], languages)
    stems = {**{name: (name,) for name in names}, **{name: of_words[name] for name in words}}
    stems |= {name: tuple(ABSENT_MARK + stem for stem in of_words[name.removeprefix(ABSENT_MARK)]) for name in absent}
    parts = compounds.split_all(words, languages)
    of_parts = [[stem for part in parts.get(name, ()) for stem in stems[part]] for name in names]
    found = [
        [*stems[name], *dict.fromkeys(stem for stem in more if stem not in stems[name])]
        for name, more in zip(names, of_parts, strict=True)
    ]
    vocabulary = sorted({term for terms in found for term in terms}, key=str.encode)
    ids = {term: place for place, term in enumerate(vocabulary)}
    shape = (len(names), max([1, *map(len, found)]))
    token_terms = np.full(shape, NO_TERM, np.int32)
    token_weights = np.zeros(shape, np.float32)
    for place, (name, terms) in enumerate(zip(names, found, strict=True)):
        own = len(stems[name])
        token_terms[place, : len(terms)] = [ids[term] for term in terms]
        token_weights[place, : len(terms)] = [1.0] * own + [COMPOUND_PART_WEIGHT] * (len(terms) - own)
    stopped = {word for code in languages for word in stop_words(code)}
    term_weights = np.ones(len(vocabulary))
    term_weights[[ids[stem] for name in names if name in stopped for stem in stems[name]]] = STOP_WORD_WEIGHT
    return _Expansions(vocabulary, term_weights, token_terms, token_weights)
