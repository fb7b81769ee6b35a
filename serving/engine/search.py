"""Search engine behind the signatures: query encoding, retrieval, scoring, ranking and pages."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from serving.engine import mmr, query_understanding
from serving.engine.candidates import ScoreBonuses, bonus_of
from serving.engine.constraint_filters import ConstraintFilters
from serving.engine.item_tables import ItemTables
from serving.engine.query import (
    Query,
    active_branches,
    branch_weights,
    lexical_text,
    mix_components,
    query_specs,
    sanitize_outputs,
    weighted_repurchase,
    weighted_text_features,
    with_empty_bit,
)
from serving.engine.query_understanding import ScoreWeights
from serving.engine.ranking import (
    Pages,
    RankedResults,
    clamp_pages,
    rank_candidates,
    score_components,
    total_score,
)
from serving.engine.request_inputs import RequestInputs, pad_or_truncate
from serving.engine.retrieval import CandidateSet, Retriever
from serving.engine.text_index import TextIndexes
from serving.index.exact import NO_ROW, Index
from serving.lexical.word_constraints import ReadWords
from serving.similarity import Similarity
from serving.towers import LoadedTowers, day_features, text_specs
from trainer.ops.examples import axis_lengths
from trainer.ops.numbers import status_bit
from trainer.spec.feature_list import HISTORY_IDS, features_of
from trainer.spec.features import Side
from trainer.spec.serving import search_fields
from trainer.spec.serving.search_fields import QUERY_COMPONENTS
from trainer.spec.serving.signature_fields import SignatureField
from trainer.spec.serving.signatures import QueryStatus, TowerOutput, signatures
from trainer.spec.tasks import (
    DEFAULT_SCORE_WEIGHTS,
    GOOD_VALUE_WEIGHT,
    ITEM_SCORES,
    LEXICAL,
    PRICE_VALUE,
    REPURCHASE,
    TEXT_ENCODER,
)

Inputs = Mapping[str, tf.Tensor]


class CandidateScores(NamedTuple):
    """Scores of some rows.

    Attributes:
      components: {score component: [batch, rows] float32}, finite.
      boosts: [batch, rows] float32.
      scores: [batch, rows] float32, the sum of the components, each times its weight, and the boost.
    """

    components: Mapping[str, tf.Tensor]
    boosts: tf.Tensor
    scores: tf.Tensor


class SearchState(NamedTuple):
    """Intermediate results of a search, for pages and explanations.

    Attributes:
      query: The queries.
      candidates: The candidate set.
      scores: The scores of the candidates.
      weights: The weights of the score components.
      boosts: The boosts of the request.
      by_score: The results by score.
      reranked: The results in the order of the pages, after reranking for diversity.
      pages: The page of each row.
      status: [batch] int32 `QueryStatus` bits.
    """

    query: Query
    candidates: CandidateSet
    scores: CandidateScores
    weights: ScoreWeights
    boosts: ScoreBonuses
    by_score: RankedResults
    reranked: RankedResults
    pages: Pages
    status: tf.Tensor


class SearchEngine(tf.Module):
    """Search engine over the towers, tables, dense and lexical index of one version."""

    def __init__(self, towers: LoadedTowers, *, tables: ItemTables, index: Index, texts: TextIndexes) -> None:
        super().__init__(name="engine")
        self.config = towers.config
        self.towers = towers.module
        self.similarity = Similarity(towers)
        self.has_intent_head = towers.has_intent_head
        self.tables = tables
        self.lexical = texts.lexical
        self.constraints = texts.constraints
        self.constraint_filters = ConstraintFilters(tables.filters, texts.constraints)
        self._retriever = Retriever(
            tables=tables,
            index=index,
            lexical=texts.lexical,
            similarity=self.similarity,
            constraints=self.constraint_filters,
        )
        declared = {signature.name: signature for signature in signatures(towers.config)}
        search_specs = _specs(declared["search"].inputs)
        query_inputs = {field.name for field in declared["rank"].inputs} & set(search_specs)
        query_inputs -= {field.name for field in search_fields.weight_inputs(towers.config)}
        self._query_inputs = {name: search_specs[name] for name in sorted(query_inputs)}
        self._ranking_inputs = {
            name: spec
            for name, spec in search_specs.items()
            if name == "seed_item_ids" or name not in {*query_inputs, search_fields.FIELDS}
        }
        self._text_inputs = tuple(text_specs(towers.config))
        probe_rows, excluded_row = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
        ranking_specs = [query_specs(towers.config), self._ranking_inputs, probe_rows, excluded_row]
        self._traced_query = tf.function(self._full_query, input_signature=[self._query_inputs], autograph=False)
        self._traced_search = tf.function(self._search, input_signature=ranking_specs, autograph=False)

    def parse(self, inputs: Inputs) -> RequestInputs:
        """Cleans the inputs of a signature; see `RequestInputs.parse`."""
        return RequestInputs.parse(inputs, default_weights=self.default_weights())

    def query(self, request: RequestInputs) -> Query:
        """Returns the mixed query of a batch of requests; the signatures share its graph."""
        query = self._traced_query({name: request.values[name] for name in self._query_inputs})
        return query._replace(status=query.status | request.status)

    def query_by_text(self, request: RequestInputs) -> Query:
        """Returns the query of a batch of requests with nothing but a text: the other branches are not computed."""
        read = self._read(request.values)
        inputs = {**request.values, "query_text": read.text}
        encoded = sanitize_outputs(self.towers.embed_text({name: inputs[name] for name in self._text_inputs}))
        no_history = tf.zeros_like(encoded[TowerOutput.REPEATS.value], tf.int32)
        query = self._query(inputs, {**encoded, "history_rows": no_history}, read)
        return query._replace(status=query.status | request.status)

    def search(
        self, query: Query, request: RequestInputs, *, probe_rows: tf.Tensor, excluded_row: tf.Tensor
    ) -> SearchState:
        """Retrieves, scores and ranks candidates; the signatures share its graph.

        Args:
          query: From `query` or `query_by_item`.
          request: Filters, page, weights, boosts, diversity; seed items are not among the results.
          probe_rows: [batch, probes] int32 rows that are checked against the filters.
          excluded_row: [batch] int32 rows that are not among the results, `NO_ROW` = none.
        """
        inputs = {name: request.values[name] for name in self._ranking_inputs}
        return self._traced_search(query, inputs, probe_rows, excluded_row)

    def default_weights(self) -> dict[str, float]:
        """Returns the default weight of each score component."""
        return {**DEFAULT_SCORE_WEIGHTS, **self.config.search.score_weights}

    def encode_query(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        """Returns the query tower's outputs, finite, and `history_rows`, the rows of the items of the history."""
        wire = {
            feature.name: pad_or_truncate(inputs[feature.name], feature, wire=self.config.wire)
            for feature in features_of(Side.QUERY)
            if feature.modality is not None
        }
        ids = wire.pop(HISTORY_IDS)
        history = self.tables.rows_of(ids)
        unknown = tf.reduce_any((history == NO_ROW) & (ids != b""), axis=-1)
        vectors = self.tables.content_of(history)
        present = tf.reduce_any(vectors != 0.0, axis=-1)  # an item without a usable vector counts as absent
        encoded = sanitize_outputs(
            self.towers.embed_query({**wire, "history_vectors": vectors, "history_present": present})
        )
        status = status_bit(unknown, QueryStatus.HISTORY_UNKNOWN)
        status |= encoded[TowerOutput.STATUS.value]
        return {**encoded, "history_rows": history, TowerOutput.STATUS.value: status}

    def add_daily_branches(self, content: Inputs, inputs: Inputs) -> dict[str, tf.Tensor]:
        """Adds the graph branch, of relations to items of the bundle, to the outputs of `embed_item`."""
        wire, batch = self.config.wire, tf.shape(inputs["relation_ids"])[0]
        related = self.tables.content_of(self.tables.rows_of(inputs["relation_ids"]))
        vectors = tf.pad(related, [[0, 0], [0, wire.max_copurchased], [0, 0]])
        trend = {f.name: tf.zeros([batch, *axis_lengths(f, wire)]) for f in day_features()}
        no_price = tf.zeros([batch])
        outputs = self.towers.embed_day(
            {
                **trend,
                TowerOutput.ENCODED.value: content[TowerOutput.ENCODED.value],
                "neighbour_vectors": vectors,
                "neighbour_present": tf.reduce_any(vectors != 0.0, axis=-1),
                "relation_types": inputs["relation_types"],
                "last_price": no_price,
                "last_price_present": no_price,
            }
        )
        daily = outputs[TowerOutput.BRANCHES.value]
        count = daily.shape[1]
        branches = tf.concat([content[TowerOutput.BRANCHES.value][:, :-count], daily], axis=1)
        present = tf.cast(tf.reduce_any(daily != 0.0, axis=-1), tf.float32)
        return {
            TowerOutput.VECTOR.value: self.similarity.item_vectors(branches),
            TowerOutput.BRANCHES.value: branches,
            TowerOutput.WEIGHTS.value: tf.concat([content[TowerOutput.WEIGHTS.value][:, :-count], present], axis=1),
            TowerOutput.STATUS.value: content[TowerOutput.STATUS.value],
        }

    def _full_query(self, inputs: Inputs) -> Query:
        read = self._read(inputs)
        inputs = {**inputs, "query_text": read.text}
        return self._query(inputs, self.encode_query(inputs), read)

    def _read(self, inputs: Inputs) -> ReadWords:
        """The words of a request, none of them a constraint where the weight of the text is not above 0."""
        text = inputs["query_text"]
        searched = lexical_text(text, branch_weights(inputs))
        read = self.constraints.read(searched, inputs[search_fields.REFUSED_CONSTRAINTS])
        return read._replace(text=tf.where(searched == text, read.text, text))

    def _query(self, inputs: Inputs, encoded: Inputs, read: ReadWords) -> Query:
        weights = branch_weights(inputs)
        seed_rows = self.tables.rows_of(inputs["seed_item_ids"])
        unknown = tf.reduce_any((seed_rows == NO_ROW) & (inputs["seed_item_ids"] != b""), axis=-1)
        mixed = mix_components(
            encoded,
            weights=weights,
            seed_items=self.tables.vectors_of(seed_rows),
            seed_item_weights=inputs["seed_item_weights"],
            similarity=self.similarity,
        )
        text = lexical_text(inputs["query_text"], weights)
        terms, constraints = self.constraints.terms(read._replace(text=text))
        branches = active_branches(encoded, weights)
        understanding = query_understanding.understand(self.towers, text=text, branches=branches)
        if not self.has_intent_head:
            understanding = understanding._replace(intent=tf.zeros_like(understanding.intent))
        text_features = weighted_text_features(encoded, weights, mixed.text_share)
        empty = tf.reduce_all(mixed.vectors == 0.0, axis=-1) & (self.lexical.max_score(terms) == 0.0)
        if self.tables.text_vectors is not None:
            empty &= tf.reduce_all(text_features == 0.0, axis=-1)
        status = encoded[TowerOutput.STATUS.value] | status_bit(unknown, QueryStatus.ITEM_UNKNOWN)
        return Query(
            **mixed._asdict(),
            text_features=text_features,
            terms=terms,
            constraints=constraints,
            history_rows=encoded["history_rows"],
            repurchase=weighted_repurchase(encoded, weights),
            understanding=understanding,
            empty=empty,
            status=with_empty_bit(status, empty),
        )

    def query_by_item(self, rows: tf.Tensor) -> Query:
        """Returns queries by nothing but an item: rows [batch], `NO_ROW` for an unknown one."""
        batch, vectors = tf.shape(rows)[0], self.tables.vectors_of(rows)
        blank = tf.zeros([batch, len(QUERY_COMPONENTS) - 1, vectors.shape[-1]])
        components = tf.concat([blank, vectors[:, tf.newaxis]], axis=1)
        empty = tf.reduce_all(vectors == 0.0, axis=-1)
        return Query(
            vectors=vectors,
            components=components,
            weights=tf.cast(tf.reduce_any(components != 0.0, axis=-1), tf.float32),
            text_features=tf.zeros([batch, self.config.wire.text_embedding_dim]),
            terms=self.lexical.terms(tf.fill([batch], b"")),
            constraints=self.constraints.no_constraints(batch),
            understanding=query_understanding.empty(batch),
            text_share=tf.zeros_like(empty, tf.float32),
            history_rows=tf.zeros([batch, 0], tf.int32),
            repurchase=tf.zeros([batch, 0]),
            empty=empty,
            status=status_bit(rows == NO_ROW, QueryStatus.ITEM_UNKNOWN) | status_bit(empty, QueryStatus.EMPTY),
        )

    def _search(self, query: Query, inputs: Inputs, probe_rows: tf.Tensor, excluded_row: tf.Tensor) -> SearchState:
        depth = self.config.search.ranking_depth
        weights = self.score_weights(query, inputs)
        boosts = ScoreBonuses(rows=self.tables.rows_of(inputs["boost_ids"]), values=inputs["boost_values"])
        repurchase = _repurchase_bonuses(query)
        weighted = repurchase._replace(values=repurchase.values * weights.total[REPURCHASE][:, tf.newaxis])
        candidates = self._retriever.candidates(
            query,
            inputs,
            weights=weights.total,
            bonuses=(boosts, weighted),
            probe_rows=probe_rows,
            excluded_row=excluded_row,
        )
        scores = self.score(query, candidates.rows, weights=weights.total, boosts=boosts)
        groups = self.tables.gather(self.tables.groups, candidates.rows)
        by_score = rank_candidates(
            candidates.rows, scores=scores.scores, groups=groups, in_given_order=query.empty, depth=depth
        )
        pages = clamp_pages(inputs["page"], inputs["page_size"], depth=depth, width=self.config.search.max_page_size)
        last = tf.reduce_max(tf.concat([[0], pages.start + pages.size], axis=0))
        has_probes = tf.reduce_any(probe_rows != NO_ROW)  # then their places are needed, however deep
        reranked = mmr.rerank(
            by_score,
            scores=tf.gather(scores.scores, by_score.positions, batch_dims=1),
            vectors=self.tables.vectors_of(tf.gather(candidates.rows, by_score.positions, batch_dims=1)),
            diversity=tf.clip_by_value(inputs["diversity"] + weights.diversity, 0.0, 1.0),
            num_needed=tf.where(has_probes, depth, last),
        )
        status = query.status | pages.status
        return SearchState(query, candidates, scores, weights, boosts, by_score, reranked, pages, status)

    def score_weights(self, query: Query, inputs: Inputs) -> ScoreWeights:
        """Returns the weights of the score components: those of the request, adjusted by the intent of the query."""
        requested = {component: inputs[f"weight_{component}"] for component in self.config.score_components}
        requested[PRICE_VALUE] += tf.where(query.constraints.value, GOOD_VALUE_WEIGHT, 0.0)
        return query_understanding.score_weights(
            query.understanding, requested, intent_weight=inputs[search_fields.INTENT_WEIGHT]
        )

    def score(
        self, query: Query, rows: tf.Tensor, *, weights: Mapping[str, tf.Tensor], boosts: ScoreBonuses
    ) -> CandidateScores:
        """Returns the scores of rows [batch, rows]; for an empty query these are the boosts alone."""
        branches = self.tables.gather(self.tables.branches, rows)
        components = score_components(
            query.vectors, branches, score_pairs=self.towers.score_pairs, similarity=self.similarity
        )
        components[LEXICAL] = tf.reduce_sum(self.term_scores(query, rows), axis=-1)
        if self.tables.text_vectors is not None:
            components[TEXT_ENCODER] = self.tables.text_vectors.cosines(query.text_features, rows)
        components[REPURCHASE] = bonus_of(rows, _repurchase_bonuses(query))
        columns = tf.unstack(self.tables.gather(self.tables.item_scores, rows), len(ITEM_SCORES), axis=-1)
        components |= {score.name: values for score, values in zip(ITEM_SCORES, columns, strict=True)}
        empty = query.empty[:, tf.newaxis]
        components = {name: tf.where(empty, 0.0, components[name]) for name in self.config.score_components}
        added = bonus_of(rows, boosts) + self.tables.gather(self.tables.live_boosts, rows)
        return CandidateScores(components=components, boosts=added, scores=total_score(components, weights) + added)

    def term_scores(self, query: Query, rows: tf.Tensor) -> tf.Tensor:
        """Returns the share of each term in the lexical score component, which is in 0..1: [batch, rows, terms]."""
        max_score = self.lexical.max_score(query.terms)
        scale = tf.math.divide_no_nan(query.text_share, max_score)[:, tf.newaxis, tf.newaxis]
        return self.lexical.term_scores(query.terms, rows) * scale


def _repurchase_bonuses(query: Query) -> ScoreBonuses:
    """The score component `repurchase` of the items of the history."""
    return ScoreBonuses(rows=query.history_rows, values=query.repurchase)


def _specs(fields: tuple[SignatureField, ...]) -> dict[str, tf.TensorSpec]:
    return {field.name: tf.TensorSpec([None, *field.shape], field.dtype.value) for field in fields}
