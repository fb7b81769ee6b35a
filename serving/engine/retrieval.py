"""Retrieval: the candidate set of a batch, from vectors, words and a frozen text encoder, filters and boosts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from serving.engine.candidates import ScoreBonuses, append_boosted, passes_filters, reciprocal_rank_fusion
from serving.engine.constraint_filters import ConstrainedRows, ConstraintFilters, no_constraint_held
from serving.engine.item_tables import ItemTables
from serving.engine.query import Query
from serving.index.exact import NO_ROW, Index
from serving.lexical.bm25 import LexicalIndex
from serving.similarity import Similarity
from trainer.spec.serving.filters import FILTERS, FilterName
from trainer.spec.tasks import DENSE, LEXICAL, TEXT_ENCODER

Inputs = Mapping[str, tf.Tensor]


class CandidateSet(NamedTuple):
    """Candidate set of a batch.

    Attributes:
      rows: [batch, candidates] int32, `NO_ROW` where there is none; no row twice.
      num_variants: [batch, candidates] int32, items of the same product that pass the filters.
      total_matches: [batch] int32, products that pass the filters.
      probe_passes: [batch, probes] bool, whether each probe row passes the filters.
      held: [batch, 2] bool, which constraints of the words were filtered by, as of `ConstrainedRows`.
    """

    rows: tf.Tensor
    num_variants: tf.Tensor
    total_matches: tf.Tensor
    probe_passes: tf.Tensor
    held: tf.Tensor


class Retriever:
    """Retrieval of candidates over one version of the catalogue."""

    def __init__(
        self,
        *,
        tables: ItemTables,
        index: Index,
        lexical: LexicalIndex,
        similarity: Similarity,
        constraints: ConstraintFilters,
    ) -> None:
        self._tables = tables
        self._constraints = constraints
        self._index = index
        self._lexical = lexical
        self._similarity = similarity

    def candidates(
        self,
        query: Query,
        inputs: Inputs,
        *,
        weights: Mapping[str, tf.Tensor],
        bonuses: Sequence[ScoreBonuses],
        probe_rows: tf.Tensor,
        excluded_row: tf.Tensor,
    ) -> CandidateSet:
        """Returns the candidate set of a batch.

        Args:
          query: The queries.
          inputs: Filters and seed items, which are excluded.
          weights: {score component: [batch] float32}.
          bonuses: Items with a bonus above 0 become candidates if they pass the filters.
          probe_rows: [batch, probes] int32 rows that are checked against the filters.
          excluded_row: [batch] int32 rows that are excluded, `NO_ROW` = none.
        """
        filters = {filter_.name.value: inputs[filter_.name.value] for filter_ in FILTERS}
        excluded = [filters[FilterName.EXCLUDE.value], inputs["seed_item_ids"]]
        result = self._tables.apply_filters({**filters, FilterName.EXCLUDE.value: tf.concat(excluded, axis=1)})

        def filtered() -> CandidateSet:
            passing = self._constraints.apply(result.allowed(), query.terms, query.constraints)
            return self._filtered(query, weights, bonuses, probe_rows, passing=passing)

        def unfiltered() -> CandidateSet:
            return self._unfiltered(query, weights, bonuses, probe_rows)

        given = tf.reduce_any(result.given | self._constraints.given(query.constraints))
        return self._without(tf.cond(given, filtered, unfiltered), excluded_row)

    def _filtered(
        self,
        query: Query,
        weights: Mapping[str, tf.Tensor],
        bonuses: Sequence[ScoreBonuses],
        probe_rows: tf.Tensor,
        *,
        passing: ConstrainedRows,
    ) -> CandidateSet:
        """The candidate set within the rows that pass."""
        allowed = passing.allowed
        rows = append_boosted(self._retrieve(query, weights, allowed), bonuses, allowed=allowed)
        counts = self._tables.count_variants(allowed)
        return CandidateSet(
            rows=rows,
            num_variants=tf.gather(counts, tf.maximum(self._groups(rows), 0), batch_dims=1),
            total_matches=tf.math.count_nonzero(counts, axis=-1, dtype=tf.int32),
            probe_passes=passes_filters(probe_rows, allowed),
            held=passing.held,
        )

    def _unfiltered(
        self,
        query: Query,
        weights: Mapping[str, tf.Tensor],
        bonuses: Sequence[ScoreBonuses],
        probe_rows: tf.Tensor,
    ) -> CandidateSet:
        """The candidate set of requests without any filter, whose counts are known beforehand."""
        rows = append_boosted(self._retrieve(query, weights, None), bonuses, allowed=None)
        return CandidateSet(
            rows=rows,
            num_variants=tf.gather(self._tables.group_sizes, tf.maximum(self._groups(rows), 0)),
            total_matches=tf.fill(tf.shape(query.empty), self._tables.num_groups),
            probe_passes=probe_rows != NO_ROW,
            held=no_constraint_held(tf.shape(query.empty)[0]),
        )

    def _without(self, candidates: CandidateSet, excluded_row: tf.Tensor) -> CandidateSet:
        """Takes one row of each request out of the candidates and the counts."""
        excluded, is_given = excluded_row[:, tf.newaxis], self._tables.is_shown(excluded_row)
        own_groups = self._groups(excluded_row)
        same = (self._groups(candidates.rows) == own_groups[:, tf.newaxis]) & is_given[:, tf.newaxis]
        alone = is_given & (tf.gather(self._tables.group_sizes, tf.maximum(own_groups, 0)) == 1)
        is_excluded = (candidates.rows == excluded) & is_given[:, tf.newaxis]
        return candidates._replace(
            rows=tf.where(is_excluded, NO_ROW, candidates.rows),
            num_variants=candidates.num_variants - tf.cast(same, tf.int32),
            total_matches=candidates.total_matches - tf.cast(alone, tf.int32),
        )

    def _retrieve(self, query: Query, weights: Mapping[str, tf.Tensor], allowed: tf.Tensor | None) -> tf.Tensor:
        """[batch, candidates] rows of all indexes; the most popular ones where the query is empty."""
        k = self._tables.num_candidates
        dense = self._index.retrieve(self._similarity.query_keys(query.vectors), k, allowed)
        dense = tf.where(tf.reduce_all(query.vectors == 0.0, axis=-1, keepdims=True), NO_ROW, dense)

        others, names = [], [DENSE, LEXICAL]
        if self._tables.text_vectors is not None:
            others.append(self._tables.text_vectors.retrieve(query.text_features, k, allowed))
            names.append(TEXT_ENCODER)

        def without_words() -> tf.Tensor:
            sides = [weights[name] for name in names if name != LEXICAL]
            return reciprocal_rank_fusion([dense, *others], weights=sides) if others else dense

        def hybrid() -> tf.Tensor:
            lexical = self._lexical.retrieve(query.terms, k, allowed=allowed)
            return reciprocal_rank_fusion([dense, lexical, *others], weights=[weights[name] for name in names])

        has_terms = tf.reduce_any(self._lexical.max_score(query.terms) > 0.0)
        found = tf.cond(has_terms, hybrid, without_words)
        empty = query.empty[:, tf.newaxis]
        return tf.cond(
            tf.reduce_any(empty),
            lambda: tf.where(empty, self._tables.most_popular(allowed, batch=tf.shape(found)[0]), found),
            lambda: found,
        )

    def _groups(self, rows: tf.Tensor) -> tf.Tensor:
        return self._tables.gather(self._tables.groups, rows)
