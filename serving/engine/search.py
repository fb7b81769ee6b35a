"""The search behind the signatures: a mixed query, candidates of both sides, scores, an order, a page."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from serving.engine import candidates, mmr, query_understanding
from serving.engine import query as queries
from serving.engine import ranking as rank
from serving.engine import request_inputs as rows
from serving.engine.candidates import ScoreBonuses
from serving.engine.item_tables import ItemTables
from serving.engine.query import Query
from serving.engine.query_understanding import ScoreWeights
from serving.index.exact import NO_ROW, Index
from serving.lexical.bm25 import LexicalIndex
from serving.similarity import Similarity
from serving.towers import LoadedTowers, day_features
from trainer.ops.examples import axis_lengths
from trainer.spec.feature_list import HISTORY_IDS, features_of
from trainer.spec.features import Side
from trainer.spec.serving import search_fields
from trainer.spec.serving.filters import FILTERS, FilterName
from trainer.spec.serving.search_fields import QUERY_COMPONENTS
from trainer.spec.serving.signature_fields import SignatureField
from trainer.spec.serving.signatures import QueryStatus, TowerOutput, signatures
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, DENSE, ITEM_SCORES, LEXICAL, REPURCHASE, SCORE_COMPONENTS

Inputs = Mapping[str, tf.Tensor]


class CandidateSet(NamedTuple):
    """What may become a result.

    Attributes:
      rows: [batch, candidates] int32, `NO_ROW` where there is none; no row twice.
      variants: [batch, candidates] int32, items of the same product that pass the filters.
      total: [batch] int32, products that pass the filters.
      passes: [batch, asked] bool, whether each row that was asked about passes the filters.
    """

    rows: tf.Tensor
    variants: tf.Tensor
    total: tf.Tensor
    passes: tf.Tensor


class CandidateScores(NamedTuple):
    """Scores of some rows.

    Attributes:
      parts: {score component: [batch, rows] float32}, finite.
      boosts: [batch, rows] float32.
      scores: [batch, rows] float32, the sum of the parts, each times its weight, and the boost.
    """

    parts: Mapping[str, tf.Tensor]
    boosts: tf.Tensor
    scores: tf.Tensor


class SearchState(NamedTuple):
    """A search carried through.

    Attributes:
      query: What was asked.
      pool: The candidates.
      scored: Their scores.
      weights: How much each score component counts.
      boosts: What the request adds to some items.
      by_score: The results by score.
      order: The results as they are shown.
      pages: Which page each row asks for.
      status: [batch] int32 `QueryStatus` bits.
    """

    query: Query
    pool: CandidateSet
    scored: CandidateScores
    weights: ScoreWeights
    boosts: ScoreBonuses
    by_score: rank.RankedResults
    order: rank.RankedResults
    pages: rank.Pages
    status: tf.Tensor


class SearchEngine(tf.Module):
    """Towers, tables, dense and lexical index of one version."""

    def __init__(self, towers: LoadedTowers, *, tables: ItemTables, index: Index, lexical: LexicalIndex) -> None:
        super().__init__(name="search")
        self.config = towers.config
        self.towers = towers.module
        self.comparison = Similarity(towers)
        self.reads_intent = towers.reads_intent
        self.tables = tables
        self.index = index
        self.lexical = lexical
        declared = {signature.name: signature for signature in signatures(towers.config)}
        asked = _specs(declared["search"].inputs)
        mixing = {port.name for port in declared["rank"].inputs} & set(asked)
        mixing -= {port.name for port in search_fields.weight_inputs(towers.config)}
        self._query_inputs = {name: asked[name] for name in sorted(mixing)}
        self._ranking_inputs = {
            name: spec for name, spec in asked.items() if name not in mixing or name == "seed_item_ids"
        }
        rows_asked, row = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
        ranked = [queries.query_specs(towers.config.tower.dim), self._ranking_inputs, rows_asked, row]
        self._traced_query = tf.function(self._query, input_signature=[self._query_inputs], autograph=False)
        self._traced_ranking = tf.function(self._ranking, input_signature=ranked, autograph=False)

    def query(self, inputs: Inputs) -> Query:
        """The mixed query of a batch of requests; the graph is shared by the signatures."""
        return self._traced_query({name: inputs[name] for name in self._query_inputs})

    def ranking(self, query: Query, inputs: Inputs, *, asked: tf.Tensor, left_out: tf.Tensor) -> SearchState:
        """Candidates of both sides, scored, in order, and the page that is asked for; the graph is shared as well.

        Args:
          query: From `query` or `query_by_item`.
          inputs: Filters, page, weights, boosts, diversity; liked items do not come back.
          asked: [batch, asked] int32 rows of which to say whether they pass the filters.
          left_out: [batch] int32 rows that do not come back, `NO_ROW` where all may.
        """
        return self._traced_ranking(query, {name: inputs[name] for name in self._ranking_inputs}, asked, left_out)

    def default_weights(self) -> dict[str, float]:
        """The weight of each score component in a request that does not say."""
        return {**DEFAULT_SCORE_WEIGHTS, **self.config.search.score_weights}

    def encode(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        """The query tower's outputs, finite, and `history_rows`, the history looked up in this bundle's own items."""
        wire = {
            feature.name: rows.pad_or_truncate(inputs[feature.name], feature, wire=self.config.wire)
            for feature in features_of(Side.QUERY)
            if feature.modality is not None
        }
        ids = wire.pop(HISTORY_IDS)
        history = self.tables.rows_of(ids)
        unknown = tf.reduce_any((history == NO_ROW) & (ids != b""), axis=-1)
        vectors = self.tables.content_of(history)
        present = tf.reduce_any(vectors != 0.0, axis=-1)  # an item without a usable vector says nothing
        encoded = queries.sanitize_outputs(
            self.towers.embed_query({**wire, "history_vectors": vectors, "history_present": present})
        )
        status = rows.status_bit(unknown, QueryStatus.HISTORY_UNKNOWN)
        status |= encoded[TowerOutput.STATUS.value]
        return {**encoded, "history_rows": history, TowerOutput.STATUS.value: status}

    def with_relations(self, content: Inputs, inputs: Inputs) -> dict[str, tf.Tensor]:
        """What `embed_item` gave, with the graph branch of an item that is related to items of this bundle."""
        wire, batch = self.config.wire, tf.shape(inputs["relation_ids"])[0]
        related = self.tables.content_of(self.tables.rows_of(inputs["relation_ids"]))
        vectors = tf.pad(related, [[0, 0], [0, wire.max_copurchased], [0, 0]])
        trend = {f.name: tf.zeros([batch, *axis_lengths(f, wire)]) for f in day_features()}
        unknown = tf.zeros([batch])
        known = self.towers.embed_day(
            {
                **trend,
                TowerOutput.ENCODED.value: content[TowerOutput.ENCODED.value],
                "neighbour_vectors": vectors,
                "neighbour_present": tf.reduce_any(vectors != 0.0, axis=-1),
                "relation_types": inputs["relation_types"],
                "last_price": unknown,
                "last_price_present": unknown,
            }
        )
        changing = known[TowerOutput.BRANCHES.value]
        count = changing.shape[1]
        branches = tf.concat([content[TowerOutput.BRANCHES.value][:, :-count], changing], axis=1)
        present = tf.cast(tf.reduce_any(changing != 0.0, axis=-1), tf.float32)
        return {
            TowerOutput.VECTOR.value: self.tables.summed(branches),
            TowerOutput.BRANCHES.value: branches,
            TowerOutput.WEIGHTS.value: tf.concat([content[TowerOutput.WEIGHTS.value][:, :-count], present], axis=1),
            TowerOutput.STATUS.value: content[TowerOutput.STATUS.value],
        }

    def _query(self, inputs: Inputs) -> Query:
        encoded = self.encode(inputs)
        weights, odd_weights = queries.branch_weights(inputs)
        ids, seed_item_weights, odd_likes = queries.pad_seed_items(inputs["seed_item_ids"], inputs["seed_item_weights"])
        liked = self.tables.rows_of(ids)
        unknown = tf.reduce_any((liked == NO_ROW) & (ids != b""), axis=-1)
        mixed = queries.mix_components(
            encoded,
            weights=weights,
            liked=self.tables.vectors_of(liked),
            seed_item_weights=seed_item_weights,
            unit_length=self.comparison.unit_length,
        )
        text = queries.lexical_text(inputs["query_text"], weights)
        terms = self.lexical.terms(text)
        reading = query_understanding.understand(
            self.towers, text=text, branches=queries.active_branches(encoded, weights)
        )
        if not self.reads_intent:
            reading = reading._replace(intent=tf.zeros_like(reading.intent))
        empty = tf.reduce_all(mixed.vectors == 0.0, axis=-1) & (self.lexical.most(terms) == 0.0)
        status = encoded[TowerOutput.STATUS.value] | odd_weights | odd_likes
        status |= rows.status_bit(unknown, QueryStatus.ITEM_UNKNOWN)
        return Query(
            **mixed._asdict(),
            terms=terms,
            history_rows=encoded["history_rows"],
            repeats=queries.weighted_repurchase(encoded, weights),
            reading=reading,
            empty=empty,
            status=queries.with_empty_bit(status, empty),
        )

    def query_by_item(self, own: tf.Tensor) -> Query:
        """The query that is nothing but an item: rows [batch], `NO_ROW` for an unknown one."""
        vectors = self.tables.vectors_of(own)
        blank = tf.zeros([tf.shape(own)[0], len(QUERY_COMPONENTS) - 1, vectors.shape[-1]])
        parts = tf.concat([blank, vectors[:, tf.newaxis]], axis=1)
        empty = tf.reduce_all(vectors == 0.0, axis=-1)
        return Query(
            vectors=vectors,
            parts=parts,
            weights=tf.cast(tf.reduce_any(parts != 0.0, axis=-1), tf.float32),
            terms=self.lexical.terms(tf.fill(tf.shape(own), b"")),
            reading=query_understanding.empty(tf.shape(own)[0]),
            text_share=tf.zeros_like(empty, tf.float32),
            history_rows=tf.zeros([tf.shape(own)[0], 0], tf.int32),
            repeats=tf.zeros([tf.shape(own)[0], 0]),
            empty=empty,
            status=rows.status_bit(own == NO_ROW, QueryStatus.ITEM_UNKNOWN) | rows.status_bit(empty, QueryStatus.EMPTY),
        )

    def _ranking(self, query: Query, inputs: Inputs, asked: tf.Tensor, left_out: tf.Tensor) -> SearchState:
        search = self.config.search
        weights = self.score_weights(query, inputs)
        boosts, odd_boosts = candidates.fit_boosts(self.tables.rows_of(inputs["boost_ids"]), inputs["boost_values"])
        pool = self._pool(query, inputs, weights=weights.total, boosts=boosts, asked=asked, left_out=left_out)
        scored = self.score(query, pool.rows, weights=weights.total, boosts=boosts)
        groups = self.tables.gather(self.tables.groups, pool.rows)
        by_score = rank.rank_candidates(
            pool.rows, scores=scored.scores, groups=groups, in_given_order=query.empty, depth=search.ranking_depth
        )
        strength, odd_strength = rows.replace_non_finite(inputs["diversity"], default=0.0)
        prices = [inputs[name.value] for name in (FilterName.PRICE_MIN, FilterName.PRICE_MAX)]
        _, odd_prices = rows.replace_non_finite(tf.stack(prices, axis=1), default=0.0)
        pages = rank.clamp_pages(
            inputs["page"], inputs["page_size"], depth=search.ranking_depth, width=search.max_page_size
        )
        last = tf.reduce_max(tf.concat([[0], pages.start + pages.size], axis=0))
        asked_about = tf.reduce_any(asked != NO_ROW)  # then its place is wanted, wherever it is
        order = mmr.rerank(
            by_score,
            scores=tf.gather(scored.scores, by_score.positions, batch_dims=1),
            vectors=self.tables.vectors_of(tf.gather(pool.rows, by_score.positions, batch_dims=1)),
            strength=tf.clip_by_value(strength + weights.diversity, 0.0, 1.0),
            until=tf.where(asked_about, search.ranking_depth, last),
        )
        odd = rows.status_bit(odd_strength | odd_prices, QueryStatus.NUMBER_REPLACED) | odd_boosts | weights.status
        return SearchState(
            query=query,
            pool=pool,
            scored=scored,
            weights=weights,
            boosts=boosts,
            by_score=by_score,
            order=order,
            pages=pages,
            status=query.status | odd | pages.status,
        )

    def score_weights(self, query: Query, inputs: Inputs) -> ScoreWeights:
        """How much each score component counts: what the request says, moved by what the query gives away."""
        given = {part: inputs[f"weight_{part}"] for part in SCORE_COMPONENTS}
        return query_understanding.score_weights(
            query.reading, given, defaults=self.default_weights(), strength=inputs[search_fields.INTENT_WEIGHT]
        )

    def score(
        self, query: Query, asked: tf.Tensor, *, weights: Mapping[str, tf.Tensor], boosts: ScoreBonuses
    ) -> CandidateScores:
        """Scores of rows [batch, rows]; an empty query scores nothing but boosts."""
        branches = self.tables.gather(self.tables.branches, asked)
        parts = rank.score_components(
            query.vectors,
            branches,
            score_pairs=self.towers.score_pairs,
            unit_length=self.comparison.unit_length,
            compare=self._similarity,
        )
        parts[LEXICAL] = tf.reduce_sum(self.word_scores(query, asked), axis=-1)
        parts[REPURCHASE] = candidates.bonus_of(asked, repeats_of(query))
        columns = tf.unstack(self.tables.gather(self.tables.item_scores, asked), len(ITEM_SCORES), axis=-1)
        parts |= {part.name: values for part, values in zip(ITEM_SCORES, columns, strict=True)}
        parts = {part: tf.where(query.empty[:, tf.newaxis], 0.0, parts[part]) for part in SCORE_COMPONENTS}
        added = candidates.bonus_of(asked, boosts)
        return CandidateScores(parts=parts, boosts=added, scores=rank.total_score(parts, weights) + added)

    def _similarity(self, query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim] and [batch, candidates, dim] to [batch, candidates]."""
        return rank.dot_product(self.comparison.query_keys(query_vectors), self.comparison.item_keys(item_vectors))

    def word_scores(self, query: Query, asked: tf.Tensor) -> tf.Tensor:
        """What each word adds to the lexical score component: [batch, rows, terms] float32; the part is in 0..1."""
        most = self.lexical.most(query.terms)
        scale = tf.math.divide_no_nan(query.text_share, most)[:, tf.newaxis, tf.newaxis]
        return self.lexical.word_scores(query.terms, asked) * scale

    def _pool(
        self,
        query: Query,
        inputs: Inputs,
        *,
        weights: Mapping[str, tf.Tensor],
        boosts: ScoreBonuses,
        asked: tf.Tensor,
        left_out: tf.Tensor,
    ) -> CandidateSet:
        filters = {filter_.name.value: inputs[filter_.name.value] for filter_ in FILTERS}
        liked = inputs["seed_item_ids"][:, : queries.MAX_SEED_ITEMS]
        filters[FilterName.EXCLUDE.value] = tf.concat([filters[FilterName.EXCLUDE.value], liked], axis=1)
        filtered = self.tables.filtered(filters)
        repeats = repeats_of(query)
        lifts = (boosts, repeats._replace(values=repeats.values * weights[REPURCHASE][:, tf.newaxis]))

        def some() -> CandidateSet:
            allowed = filtered.allowed()
            found = self._proposed(query, weights, allowed)
            found = candidates.append_boosted(found, lifts, allowed=allowed)
            counts = self.tables.count_groups(allowed)
            groups = self.tables.gather(self.tables.groups, found)
            return CandidateSet(
                rows=found,
                variants=tf.gather(counts, tf.maximum(groups, 0), batch_dims=1),
                total=tf.math.count_nonzero(counts, axis=-1, dtype=tf.int32),
                passes=candidates.passes_filters(asked, allowed),
            )

        def everything() -> CandidateSet:
            found = candidates.append_boosted(self._proposed(query, weights, None), lifts, allowed=None)
            groups = self.tables.gather(self.tables.groups, found)
            return CandidateSet(
                rows=found,
                variants=tf.gather(self.tables.group_sizes, tf.maximum(groups, 0)),
                total=tf.fill(tf.shape(query.empty), self.tables.num_groups),
                passes=asked != NO_ROW,
            )

        pool = tf.cond(tf.reduce_any(filtered.given), some, everything)
        out = left_out[:, tf.newaxis]
        own_groups = self.tables.gather(self.tables.groups, left_out)
        groups = self.tables.gather(self.tables.groups, pool.rows)
        same = (groups == own_groups[:, tf.newaxis]) & (out != NO_ROW)
        alone = (left_out != NO_ROW) & (tf.gather(self.tables.group_sizes, tf.maximum(own_groups, 0)) == 1)
        return pool._replace(
            rows=tf.where((pool.rows == out) & (out != NO_ROW), NO_ROW, pool.rows),
            variants=pool.variants - tf.cast(same, tf.int32),
            total=pool.total - tf.cast(alone, tf.int32),
        )

    def _proposed(self, query: Query, weights: Mapping[str, tf.Tensor], allowed: tf.Tensor | None) -> tf.Tensor:
        """[batch, candidates] rows of both sides; the popular ones where the query is empty."""
        k = self.tables.num_candidates
        dense = self.index.propose(self.comparison.query_keys(query.vectors), k, allowed)
        dense = tf.where(tf.reduce_all(query.vectors == 0.0, axis=-1, keepdims=True), NO_ROW, dense)

        def both() -> tf.Tensor:
            lexical = self.lexical.propose(query.terms, k, allowed=allowed)
            return candidates.reciprocal_rank_fusion(
                dense, lexical, dense_weight=weights[DENSE], lexical_weight=weights[LEXICAL]
            )

        found = tf.cond(tf.reduce_any(self.lexical.most(query.terms) > 0.0), both, lambda: dense)
        empty = query.empty[:, tf.newaxis]
        return tf.cond(
            tf.reduce_any(empty),
            lambda: tf.where(empty, self.tables.popular(allowed, batch=tf.shape(found)[0]), found),
            lambda: found,
        )


def repeats_of(query: Query) -> ScoreBonuses:
    """What the items of the history have as score component `repurchase`."""
    return ScoreBonuses(rows=query.history_rows, values=query.repeats)


def _specs(ports: tuple[SignatureField, ...]) -> dict[str, tf.TensorSpec]:
    return {port.name: tf.TensorSpec([None, *port.shape], port.dtype.value) for port in ports}
