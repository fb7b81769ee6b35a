"""Functions of the signatures of `trainer.spec.serving.signatures`; `serving.bundle.saved_model` exports them."""

import json
from collections.abc import Mapping

import tensorflow as tf

from serving.engine.candidates import ScoreBonuses
from serving.engine.constraint_filters import applied, no_constraint_held
from serving.engine.explain import contributions, locate
from serving.engine.item_tables import ItemTables
from serving.engine.matching.browser import Browser
from serving.engine.matching.facets import FacetCounter
from serving.engine.matching.live_updates import update_items
from serving.engine.matching.matcher import Matcher
from serving.engine.query import Query, sanitize_outputs
from serving.engine.query_understanding import ScoreWeights
from serving.engine.ranking import slice_page
from serving.engine.request_inputs import RequestInputs, broadcast, default_input, replace_non_finite
from serving.engine.search import SearchEngine, SearchState
from serving.engine.text_index import TextIndexes
from serving.index.exact import NO_ROW, Index
from serving.towers import LoadedTowers
from trainer.ops.numbers import status_bit
from trainer.spec.branches import content_features
from trainer.spec.merchandising.facets import parse_facets
from trainer.spec.serving.search_fields import FIELDS
from trainer.spec.serving.signatures import QueryStatus, TowerOutput, signatures, wire_spec

Outputs = dict[str, tf.Tensor]
Inputs = Mapping[str, tf.Tensor]


class SignatureFunctions(tf.Module):
    """Functions of the signatures: one method per signature, {input: tensor} to {output: tensor}."""

    def __init__(
        self, towers: LoadedTowers, *, tables: ItemTables, index: Index, texts: TextIndexes, version: str
    ) -> None:
        super().__init__(name="functions")
        self.config = towers.config
        self.towers = towers.module
        self.engine = SearchEngine(towers, tables=tables, index=index, texts=texts)
        self.autocomplete = texts.autocomplete
        matcher = Matcher(tables=tables, lexical=texts.lexical)
        facets = parse_facets(self.config.search.facets)
        self.browser = Browser(matcher, width=self.config.search.max_page_size)
        self.facet_counter = FacetCounter(matcher, facets=facets)
        self.tables = tables
        self.index = index  # under this name a refresh finds it again
        self.version = version
        self.declared = {signature.name: signature for signature in signatures(self.config)}

    def search(self, inputs: Inputs) -> Outputs:
        """Multimodal search."""
        request = self.engine.parse(broadcast(inputs))
        return self._results(self.engine.query(request), request)

    def search_text(self, inputs: Inputs) -> Outputs:
        """Text search: `search` with the defaults of all other inputs."""
        request = self.engine.parse(broadcast(self._with_defaults(inputs)))
        return self._results(self.engine.query_by_text(request), request)

    def similar_items(self, inputs: Inputs) -> Outputs:
        """Items like one item, which itself is excluded."""
        request = self.engine.parse(broadcast(self._with_defaults(inputs)))
        row = self.tables.rows_of(request.values["item_id"])
        query = self.engine.query_by_item(row)
        state = self.engine.search(query, request, probe_rows=row[:, tf.newaxis], excluded_row=row)
        return self._page(state, fields=request.values[FIELDS])

    def rank(self, inputs: Inputs) -> Outputs:
        """Scores of given items for a query; unknown items score 0."""
        request = self.engine.parse(broadcast(inputs))
        query = self.engine.query(request)
        item_ids = request.values["item_ids"]
        rows = self.tables.rows_of(item_ids)
        weights = self.engine.score_weights(query, request.values)
        no_boosts = ScoreBonuses(rows=rows[:, :0], values=tf.zeros([tf.shape(rows)[0], 0]))
        scores = self.engine.score(query, rows, weights=weights.total, boosts=no_boosts)
        known = self.tables.is_shown(rows)
        unknown = tf.reduce_any(~known & (item_ids != b""), axis=-1)
        return {
            "scores": tf.where(known, scores.scores, 0.0),
            **{f"score_{name}": tf.where(known, values, 0.0) for name, values in scores.components.items()},
            **_understanding_outputs(query, weights, held=no_constraint_held(tf.shape(rows)[0])),
            **self._status_outputs(query.status | status_bit(unknown, QueryStatus.ITEM_UNKNOWN)),
        }

    def facets(self, inputs: Inputs) -> Outputs:
        """Counts of what matches by the values of facets."""
        request = self.engine.parse(broadcast(inputs))
        found = self.facet_counter.count(request.values)
        return {
            "facet_values": found.values.labels,
            "facet_counts": found.values.counts,
            "facet_sizes": found.values.sizes,
            "total_matches": found.total_matches,
            **self._status_outputs(request.status | found.status),
        }

    def browse(self, inputs: Inputs) -> Outputs:
        """Everything that matches, in an order of its own."""
        request = self.engine.parse(broadcast(inputs))
        page = self.browser.browse(request.values)
        displayed = self.tables.display(page.rows, request.values[FIELDS])
        return {
            "ids": self.tables.gather(self.tables.item_ids, page.rows),
            "num_variants": page.num_variants,
            "display": displayed.texts,
            "num_results": tf.math.count_nonzero(page.rows != NO_ROW, axis=-1, dtype=tf.int32),
            "total_matches": page.total_matches,
            **self._status_outputs(request.status | page.status | displayed.status),
        }

    def explain(self, inputs: Inputs) -> Outputs:
        """Explanation of the place of an item in the results of a search, or of its absence."""
        request = self.engine.parse(broadcast(inputs))
        query = self.engine.query(request)
        row = self.tables.rows_of(request.values["item_id"])
        no_row = tf.fill(tf.shape(row), NO_ROW)
        state = self.engine.search(query, request, probe_rows=row[:, tf.newaxis], excluded_row=no_row)
        return {
            **locate(self.engine, state, row),
            **contributions(self.engine, state, row),
            **_understanding_outputs(query, state.weights, held=state.candidates.held),
            **self._status_outputs(state.status | status_bit(row == NO_ROW, QueryStatus.ITEM_UNKNOWN)),
        }

    def update_items(self, inputs: Inputs) -> Outputs:
        """Changes of items in the tables."""
        return self._status_outputs(update_items(self.tables, broadcast(inputs)))

    def suggest(self, inputs: Inputs) -> Outputs:
        """The text with its spelling corrected by the words of the catalogue."""
        corrected = self.engine.lexical.correct_spelling(inputs["query_text"])
        return {
            "suggestion": corrected.text,
            "num_changed": corrected.num_changed,
            "bundle_version": self._version_of(corrected.num_changed),
        }

    def complete(self, inputs: Inputs) -> Outputs:
        """Completions of a text."""
        completions = self.autocomplete.complete(inputs["query_text"])
        count = tf.math.count_nonzero(completions != b"", axis=-1, dtype=tf.int32)
        return {"completions": completions, "num_results": count, "bundle_version": self._version_of(count)}

    def embed_query(self, inputs: Inputs) -> Outputs:
        """The query vector."""
        return _vector_outputs(self.engine.encode_query(broadcast(inputs)))

    def embed_item(self, inputs: Inputs) -> Outputs:
        """The vector of an item given by its content and its relations, on its first day."""
        inputs = broadcast(inputs)
        price = replace_non_finite(inputs["price"], default=-1.0)
        wire = {feature.name: inputs[feature.name] for feature in content_features()}
        content = self.towers.embed_item({**wire, "price": price.values})
        encoded = sanitize_outputs(self.engine.add_daily_branches(content, inputs))
        status = encoded[TowerOutput.STATUS.value] | status_bit(price.is_replaced, QueryStatus.NUMBER_REPLACED)
        return _vector_outputs({**encoded, TowerOutput.STATUS.value: status})

    def wire_spec(self, inputs: Inputs) -> Outputs:
        """Sizes of the wire form, which clients need to make requests."""
        return {"spec_json": tf.fill(tf.shape(inputs["placeholder"]), json.dumps(wire_spec(self.config)))}

    def _with_defaults(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        """The inputs, and those of `search` that are not among them at their defaults."""
        fields = self.declared["search"].inputs
        return {**{field.name: default_input(field) for field in fields if field.name not in inputs}, **inputs}

    def _results(self, query: Query, request: RequestInputs) -> Outputs:
        """The outputs of a search without an item to leave out."""
        no_row = tf.fill(tf.shape(query.empty), NO_ROW)
        state = self.engine.search(query, request, probe_rows=no_row[:, tf.newaxis], excluded_row=no_row)
        return self._page(state, fields=request.values[FIELDS])

    def _page(self, state: SearchState, *, fields: tf.Tensor) -> Outputs:
        """The outputs of one page."""
        width, tables = self.config.search.max_page_size, self.tables
        page = slice_page(state.reranked, state.pages, width=width)

        def cut(values: tf.Tensor, blank: float | int) -> tf.Tensor:
            return tf.where(page.shown, tf.gather(values, page.positions, batch_dims=1), blank)

        scores, candidates = state.scores, state.candidates
        rows = cut(candidates.rows, NO_ROW)
        displayed = tables.display(rows, fields)
        return {
            "ids": tables.gather(tables.item_ids, rows),
            "scores": cut(scores.scores, 0.0),
            **{f"score_{name}": cut(values, 0.0) for name, values in scores.components.items()},
            "boosts": cut(scores.boosts, 0.0),
            "num_variants": cut(candidates.num_variants, 0),
            "display": displayed.texts,
            "num_results": tf.reduce_sum(tf.cast(page.shown, tf.int32), axis=-1),
            "total_matches": candidates.total_matches,
            "query_weights": state.query.weights,
            **_understanding_outputs(state.query, state.weights, held=candidates.held),
            **self._status_outputs(state.status | displayed.status),
        }

    def _status_outputs(self, status: tf.Tensor) -> Outputs:
        return {"query_status": status, "bundle_version": self._version_of(status)}

    def _version_of(self, each: tf.Tensor) -> tf.Tensor:
        return tf.fill(tf.shape(each), self.version)


def _understanding_outputs(query: Query, weights: ScoreWeights, *, held: tf.Tensor) -> Outputs:
    """What was understood of the query, the score weights that follow, and words that are not known."""
    return {
        "intent": query.understanding.intent,
        "sentiment": query.understanding.sentiment,
        "subjectivity": query.understanding.subjectivity,
        "unknown_words": query.terms.unknown,
        "constraints": query.constraints.names,
        "constraints_applied": applied(query.constraints, held),
        "score_weights": tf.stack([*weights.total.values()], axis=1),
    }


def _vector_outputs(encoded: Inputs) -> Outputs:
    return {
        "vector": encoded[TowerOutput.VECTOR.value],
        "weights": encoded[TowerOutput.WEIGHTS.value],
        "query_status": encoded[TowerOutput.STATUS.value],
    }
