"""Terms of queries: known tokens by table; unknown ones by stem, as the end or the parts of a compound, by spelling.

Everything happens inside the graph. A token that an item has costs one lookup; only a query with another one pays for
the rest.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.index.vector_store import as_variable
from serving.lexical.graph_stemmer import GraphStemmer, fold_accents, stem_in_all
from serving.lexical.postings import COMPOUND_PART_WEIGHT, NO_TERM, Postings
from serving.lexical.spelling import NO_WORD, SpellingCorrector
from serving.lexical.tokens import identifiers, tokens
from trainer.language.compounds import MIN_PART
from trainer.language.languages import LANGUAGES
from trainer.language.real_words import real_words
from trainer.language.stemming import fold_accents as fold
from trainer.ops.text import valid_utf8, words
from trainer.spec.serving.search_fields import MAX_TYPED_WORDS, MAX_UNKNOWN_WORDS

_NO_REAL_WORD, _STOP_WORD = -1, 1  # of the table of real words, beside 0 for all others
_MAX_COMPOUNDS = 4  # of the catalogue that end with an unknown word


class Terms(NamedTuple):
    """Terms of queries, those of one word side by side.

    Attributes:
      ids: [batch, words, expansions] int32, `NO_TERM` where there is none.
      weights: [batch, words, expansions] float32: 1 for a stem, less for a part or a corrected word, 0 for none.
      shares: [batch, words, expansions] float32: the same as if every word were spelt as an item has it.
      unknown: [batch, MAX_UNKNOWN_WORDS] string, words without a term, case-folded; no stop words, nor parts.
    """

    ids: tf.Tensor
    weights: tf.Tensor
    shares: tf.Tensor
    unknown: tf.Tensor


class CorrectedText(NamedTuple):
    """Texts with corrected spelling.

    Attributes:
      text: [batch] string.
      num_changed: [batch] int32, how many words were corrected.
    """

    text: tf.Tensor
    num_changed: tf.Tensor


class _Expanded(NamedTuple):
    """Terms of single words; the attributes are those of `Terms`, [n, expansions]."""

    ids: tf.Tensor
    weights: tf.Tensor
    shares: tf.Tensor


class _Analysed(NamedTuple):
    """Terms of the words of queries, and the `unknown` words of `Terms`."""

    terms: _Expanded
    unknown: tf.Tensor


class QueryAnalyzer(tf.Module):
    """Analyzer of query texts over the tokens and terms of one catalogue.

    Attributes:
      expansions: Terms that one word has at most.
    """

    def __init__(self, postings: Postings) -> None:
        super().__init__(name="query_analyzer")
        table = postings.tokens
        names = [token.decode(errors="replace") for token in table.names]
        known = {name: place for place, name in enumerate(names)}
        places = {**table.irregular, **_folded(names, table.num_items), **known}
        self._num_tokens = len(names)
        self._links = tuple(dict.fromkeys(link for code in postings.languages for link in LANGUAGES[code].links))
        self._has_compounds = bool(self._links)
        least = max(len(postings.languages), _MAX_COMPOUNDS if self._has_compounds else 1)
        self.expansions = max(least, table.terms.shape[1])
        padding = [[0, 1], [0, self.expansions - table.terms.shape[1]]]
        self.token_terms = as_variable(np.pad(table.terms, padding, constant_values=NO_TERM), "token_terms")
        self.token_weights = as_variable(np.pad(table.weights, padding), "token_weights")
        self.token_ids = _table({name.encode(): place for name, place in places.items()}, default=self._num_tokens)
        self.term_ids = _table({term: place for place, term in enumerate(postings.vocabulary)}, default=NO_TERM)
        self.stemmers = [GraphStemmer(code) for code in postings.languages if LANGUAGES[code].stemmer]
        self.spelling = SpellingCorrector(table.names, counts=table.num_items, groups=table.terms[:, 0])
        real = {word.encode(): int(is_stop) for word, is_stop in real_words(postings.languages).items()}
        self.real_words = _table(real, default=_NO_REAL_WORD)
        texts = [tf.TensorSpec([None], tf.string)]
        self._traced_terms = tf.function(self._terms, input_signature=texts, autograph=False)

    def terms(self, text: tf.Tensor) -> Terms:
        """Returns the terms of queries [batch], the last of them that of the whole text as an identifier.

        Beside it, the first `MAX_TYPED_WORDS` words of each are read. The signatures share its graph.
        """
        return self._traced_terms(text)

    def _terms(self, text: tf.Tensor) -> Terms:
        found = tokens(text)
        typed, is_part, is_simple = (values[:, :MAX_TYPED_WORDS] for values in found)
        known = self.token_ids.lookup(typed.values)
        expanded = self._expand_tokens(known)
        unknown = tf.where(known == self._num_tokens)

        def with_unknown() -> _Analysed:
            others = self._expand_unknown(tf.gather_nd(typed.values, unknown))
            filled = _with(expanded, others, places=unknown)
            return _Analysed(filled, self._without_term(typed, filled, is_simple.values))

        def all_known() -> _Analysed:
            return _Analysed(expanded, tf.fill([typed.nrows(), MAX_UNKNOWN_WORDS], b""))

        expanded, unknown_words = tf.cond(tf.size(unknown) > 0, with_unknown, all_known)
        weight = tf.where(is_part.values, COMPOUND_PART_WEIGHT, 1.0)[:, tf.newaxis]
        whole = self._expand_tokens(self.token_ids.lookup(identifiers(text)))

        def by_query(of_words: tf.Tensor, of_whole: tf.Tensor, blank: float) -> tf.Tensor:
            padded = typed.with_values(of_words).to_tensor(blank, shape=[None, None, self.expansions])
            return tf.concat([padded, of_whole[:, tf.newaxis]], axis=1)

        return Terms(
            ids=by_query(expanded.ids, whole.ids, NO_TERM),
            weights=by_query(expanded.weights * weight, whole.weights, 0.0),
            shares=by_query(expanded.shares * weight, whole.shares, 0.0),
            unknown=unknown_words,
        )

    def correct_spelling(self, text: tf.Tensor) -> CorrectedText:
        """Replaces the misspelt words of texts [batch] by words of the catalogue."""
        typed = words(text)
        is_token = self.token_ids.lookup(typed.values) != self._num_tokens

        def corrected() -> tf.Tensor:
            known = is_token | self._has_stem(typed.values) | self._is_real(typed.values)
            return tf.where(known, NO_WORD, self.spelling.correct(typed.values).words)

        found = tf.cond(tf.reduce_all(is_token), lambda: tf.fill(tf.shape(is_token), NO_WORD), corrected)
        changed = found != NO_WORD
        corrections = tf.gather(self.spelling.vocabulary, tf.where(changed, found, self._num_tokens))
        count = tf.reduce_sum(typed.with_values(tf.cast(changed, tf.int32)), axis=-1)
        joined = tf.strings.reduce_join(
            typed.with_values(tf.where(changed, corrections, typed.values)), separator=" ", axis=-1
        )
        return CorrectedText(text=tf.where(count > 0, joined, valid_utf8(text)), num_changed=count)

    def _expand_tokens(self, places: tf.Tensor) -> _Expanded:
        weights = tf.gather(self.token_weights, places)
        return _Expanded(ids=tf.gather(self.token_terms, places), weights=weights, shares=weights)

    def _has_stem(self, typed: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(self.term_ids.lookup(stem_in_all(typed, self.stemmers)) != NO_TERM, axis=1)

    def _is_real(self, typed: tf.Tensor) -> tf.Tensor:
        return self.real_words.lookup(typed) != _NO_REAL_WORD

    def _without_term(self, typed: tf.RaggedTensor, found: _Expanded, is_simple: tf.Tensor) -> tf.Tensor:
        """The `unknown` words of `Terms`."""
        counts = is_simple & (self.real_words.lookup(typed.values) != _STOP_WORD)
        without = typed.with_values(counts & tf.reduce_all(found.ids == NO_TERM, axis=1))
        words_of = tf.ragged.boolean_mask(typed, without)[:, :MAX_UNKNOWN_WORDS]
        return words_of.to_tensor(b"", shape=[None, MAX_UNKNOWN_WORDS])

    def _expand_unknown(self, typed: tf.Tensor) -> _Expanded:
        """Terms of words [n] that no item has: by stem, else as a part of compounds, else by spelling."""
        folded = self.token_ids.lookup(fold_accents(typed))
        found = _first(self._expand_tokens(folded), self._by_stem(typed))
        if self._has_compounds:
            found = self._where_none(found, typed, self._by_parts)
            found = self._where_none(found, typed, self._by_compounds)
        return self._where_none(found, typed, self._by_spelling)

    def _where_none(self, found: _Expanded, typed: tf.Tensor, expand: Callable[[tf.Tensor], _Expanded]) -> _Expanded:
        """The terms of `found`, and those that `expand` finds for words that have none."""
        none = tf.where(tf.reduce_all(found.ids == NO_TERM, axis=1))

        def filled() -> _Expanded:
            return _with(found, expand(tf.gather_nd(typed, none)), places=none)

        return tf.cond(tf.size(none) > 0, filled, lambda: found)

    def _by_stem(self, typed: tf.Tensor) -> _Expanded:
        return self._padded(self.term_ids.lookup(stem_in_all(typed, self.stemmers)))

    def _by_parts(self, typed: tf.Tensor) -> _Expanded:
        """Terms of the two known words that a compound is made of: those with the longest head."""
        places = tf.map_fn(self._parts_of, typed, fn_output_signature=tf.TensorSpec([2], tf.int32))
        found = self._padded(tf.gather(self.token_terms[:, 0], places))
        weights = found.weights * COMPOUND_PART_WEIGHT
        return found._replace(weights=weights, shares=weights)

    def _parts_of(self, word: tf.Tensor) -> tf.Tensor:
        length = tf.strings.length(word, unit="UTF8_CHAR")
        ends = tf.range(MIN_PART, tf.maximum(MIN_PART, length - MIN_PART + 1))
        repeated = tf.fill(tf.shape(ends), word)
        heads = self.token_ids.lookup(tf.strings.substr(repeated, ends, length - ends, unit="UTF8_CHAR"))
        befores = tf.strings.substr(repeated, tf.zeros_like(ends), ends, unit="UTF8_CHAR")
        stripped = [tf.strings.regex_replace(befores, f"{link}$", "") for link in self._links]
        modifiers = tf.stack(stripped, axis=1)
        long = tf.strings.length(modifiers, unit="UTF8_CHAR") >= MIN_PART
        modifier = tf.reduce_min(tf.where(long, self.token_ids.lookup(modifiers), self._num_tokens), axis=1)
        whole = tf.where((heads != self._num_tokens) & (modifier != self._num_tokens))[:1, 0]
        found = tf.concat([tf.gather(modifier, whole), tf.gather(heads, whole)], axis=0)
        return tf.pad(found, [[0, 2 - tf.size(found)]], constant_values=self._num_tokens)

    def _by_compounds(self, typed: tf.Tensor) -> _Expanded:
        """Terms of the catalogue's compounds that end with a word: "Jonglierkeulen" for "Keulen"."""
        specs = tf.TensorSpec([_MAX_COMPOUNDS], tf.int32)
        places = tf.map_fn(self._compounds_of, typed, fn_output_signature=specs)
        return self._padded(tf.gather(self.token_terms[:, 0], places))

    def _compounds_of(self, word: tf.Tensor) -> tf.Tensor:
        near = self.spelling.with_all_bigrams_of_end(word)
        texts = tf.gather(self.spelling.vocabulary, near)
        size, length = tf.strings.length(word), tf.strings.length(texts)
        ends = tf.strings.substr(texts, tf.maximum(0, length - size), tf.fill(tf.shape(length), size)) == word
        long = tf.strings.length(word, unit="UTF8_CHAR") >= MIN_PART
        found = tf.boolean_mask(near, ends & long)[:_MAX_COMPOUNDS]
        return tf.pad(found, [[0, _MAX_COMPOUNDS - tf.size(found)]], constant_values=self._num_tokens)

    def _by_spelling(self, typed: tf.Tensor) -> _Expanded:
        corrected = self.spelling.correct(tf.where(self._is_real(typed), b"", typed))
        found = self._expand_tokens(tf.where(corrected.words == NO_WORD, self._num_tokens, corrected.words))
        return found._replace(weights=found.weights * corrected.similarity[:, tf.newaxis])

    def _padded(self, ids: tf.Tensor) -> _Expanded:
        """Terms [n, any] of one word each."""
        ids = tf.pad(ids, [[0, 0], [0, self.expansions - ids.shape[1]]], constant_values=NO_TERM)
        weights = tf.cast(ids != NO_TERM, tf.float32)
        return _Expanded(ids=ids, weights=weights, shares=weights)


def _with(found: _Expanded, others: _Expanded, *, places: tf.Tensor) -> _Expanded:
    """The terms of `found`, at some places [m, 1] replaced by others [m, expansions]."""
    pairs = zip(found, others, strict=True)
    return _Expanded(*[tf.tensor_scatter_nd_update(mine, places, theirs) for mine, theirs in pairs])


def _first(one: _Expanded, other: _Expanded) -> _Expanded:
    """The terms of `one`, of words that have none there those of `other`."""
    has_any = tf.reduce_any(one.ids != NO_TERM, axis=1, keepdims=True)
    return _Expanded(*[tf.where(has_any, mine, theirs) for mine, theirs in zip(one, other, strict=True)])


def _folded(names: list[str], counts: np.ndarray) -> dict[str, int]:
    """{token without accents: the place of the token of most items that is written so}."""
    places: dict[str, int] = {}
    for place in np.argsort(counts, kind="stable").tolist():
        places[fold(names[place])] = place
    return places


def _table(places: dict[bytes, int], *, default: int) -> tf.lookup.StaticHashTable:
    keys, values = tf.constant([*places, b"\xff"]), tf.constant([*places.values(), default], tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=default)
