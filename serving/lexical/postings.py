"""Postings of a catalogue: its tokens, the terms they stand for, and what each term adds to the score of an item.

Several fields count as one text by BM25F: a term's frequency is summed over the fields, each times its weight and
divided by the field's length normalisation, and saturates once. With a single field this is plain BM25, with
idf = ln(1 + (n - df + 0.5) / (df + 0.5)). https://doi.org/10.1561/1500000019
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.lexical.tokens import tokens
from trainer.language import compounds
from trainer.language.languages import stop_words
from trainer.language.terms import irregular_forms
from trainer.language.terms import terms as terms_of

K1 = 1.2  # how fast repetitions of a term stop to count
B = 0.75  # how much a long field is held against an item
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


def build_postings(
    fields: Mapping[str, Sequence[bytes]],
    *,
    weights: Mapping[str, float],
    languages: Sequence[str] = (),
    num_base: int | None = None,
    removed: np.ndarray | None = None,
) -> Postings:
    """Builds the postings of a catalogue.

    Args:
      fields: {field: [rows] UTF-8 texts}, all of one length.
      weights: {field: weight of a term in it}, one for each field.
      languages: Codes of the languages whose stemmers are used; a token stands for its stems in all of them.
      num_base: The term statistics are those of the first `num_base` rows, removed ones among them; None = of all.
      removed: [rows] bool, rows without postings.

    Raises:
      ValueError: The fields differ in length or have no weight.
    """
    num_items = _num_items(fields, weights)
    num_base = num_items if num_base is None else num_base
    counted = _count_fields(fields, weights, num_base=num_base)
    names = [token.decode(errors="replace") for token in counted.tokens]
    expansions = _expand(names, languages)
    merged = _merge(counted, expansions, num_items=num_items)
    alive = np.ones(num_items, bool) if removed is None else ~removed
    return Postings(
        num_items=num_items,
        languages=tuple(languages),
        vocabulary=tuple(term.encode() for term in expansions.vocabulary),
        tokens=TokenTable(
            names=counted.tokens,
            num_items=_items_of_tokens(counted, alive),
            terms=expansions.token_terms,
            weights=expansions.token_weights,
            irregular=irregular_forms(names, languages),
        ),
        **_score(merged, expansions.term_weights, num_base=num_base, alive=alive),
    )


def _score(
    merged: "_MergedPostings", term_weights: np.ndarray, *, num_base: int, alive: np.ndarray
) -> dict[str, np.ndarray]:
    """What BM25 makes of frequencies; the names are those of `Postings`."""
    term, item = np.divmod(merged.keys, max(1, len(alive)))
    base_frequency = np.bincount(term[item < num_base], minlength=len(term_weights))
    idf = np.log1p((num_base - base_frequency + 0.5) / (base_frequency + 0.5)) * term_weights
    kept = alive[item]
    return {
        "keys": merged.keys[kept],
        "impacts": (idf[term] * merged.frequency / (K1 + merged.frequency))[kept].astype(np.float32),
        "idf": idf.astype(np.float32),
        "document_frequency": np.bincount(term[kept], minlength=len(term_weights)).astype(np.int32),
    }


def _num_items(fields: Mapping[str, Sequence[bytes]], weights: Mapping[str, float]) -> int:
    lengths = {name: len(texts) for name, texts in fields.items()}
    if len(set(lengths.values())) > 1 or set(fields) != set(weights):
        raise ValueError(
            f"Lexical fields must have one text for each item and one weight each; got lengths {lengths} and weights "
            f"for {sorted(weights)}."
        )
    return next(iter(lengths.values()), 0)


class _CountedTokens(NamedTuple):
    """Distinct (token, row) pairs of every field, [pairs] each.

    Attributes:
      tokens: [tokens], sorted; a token's id is its place.
      token: Ids.
      row: Rows.
      frequency: Weighted and length-normalised.
    """

    tokens: tuple[bytes, ...]
    token: np.ndarray
    row: np.ndarray
    frequency: np.ndarray


def _count_fields(
    fields: Mapping[str, Sequence[bytes]], weights: Mapping[str, float], *, num_base: int
) -> _CountedTokens:
    token_ids: dict[bytes, int] = {}
    counted = [
        _count_field(fields[name], token_ids=token_ids, weight=weights[name], num_base=num_base)
        for name in sorted(fields)
    ]
    names = sorted(token_ids)
    rank = np.zeros(len(names), np.int64)
    rank[[token_ids[name] for name in names]] = np.arange(len(names))
    token, row, frequency = (np.concatenate([np.zeros(0), *parts]) for parts in zip(*counted, strict=True))
    return _CountedTokens(tuple(names), rank[token.astype(np.int64)], row.astype(np.int64), frequency)


class _FieldTokens(NamedTuple):
    """Distinct (token, row) pairs of a field, tokens by id of first occurrence: [pairs] each."""

    token: np.ndarray
    row: np.ndarray
    frequency: np.ndarray


def _count_field(texts: Sequence[bytes], *, token_ids: dict[bytes, int], weight: float, num_base: int) -> _FieldTokens:
    """Weighted and length-normalised frequencies; new tokens get the next ids."""
    found, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(texts), _TEXT_BATCH_SIZE):
        batch = tf.constant(list(texts[start : start + _TEXT_BATCH_SIZE]), tf.string)
        ragged = tokens(batch, of_items=True).words
        flat = ragged.values.numpy().tolist()
        found.append(np.array([token_ids.setdefault(token, len(token_ids)) for token in flat], np.int64))
        lengths.append(ragged.row_lengths().numpy())
    length, ids = np.concatenate(lengths), np.concatenate(found)
    keys, count = np.unique(ids * max(1, len(texts)) + np.repeat(np.arange(len(texts)), length), return_counts=True)
    token, row = np.divmod(keys, max(1, len(texts)))
    # The mean is over the items that have the field: empty ones would make every text of a rare field a long one.
    known = length[:num_base][length[:num_base] > 0]
    norm = 1.0 - B + B * length / known.mean() if known.size else np.ones(len(texts))
    return _FieldTokens(token=token, row=row, frequency=weight * count / norm[row])


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
    stems = terms_of(names, languages)
    parts = compounds.split_all(names, languages)
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


class _MergedPostings(NamedTuple):
    """Distinct (term, row) pairs: rising keys (see `Postings`) and summed frequencies, [pairs] each."""

    keys: np.ndarray
    frequency: np.ndarray


def _merge(counted: _CountedTokens, expansions: _Expansions, *, num_items: int) -> _MergedPostings:
    """Sums the frequencies of the tokens of each term."""
    terms, shares = expansions.token_terms[counted.token], expansions.token_weights[counted.token]
    known = terms != NO_TERM
    keys = (terms.astype(np.int64) * num_items + counted.row[:, np.newaxis])[known]
    distinct, place = np.unique(keys, return_inverse=True)
    frequency = (shares * counted.frequency[:, np.newaxis])[known]
    return _MergedPostings(distinct, np.bincount(place, frequency, len(distinct)))


def _items_of_tokens(counted: _CountedTokens, alive: np.ndarray) -> np.ndarray:
    """How many items have each token, in any field."""
    pairs = np.unique(np.stack([counted.token, counted.row])[:, alive[counted.row]], axis=1)
    return np.bincount(pairs[0], minlength=len(counted.tokens)).astype(np.int32)
