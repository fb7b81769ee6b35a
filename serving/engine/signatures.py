"""What each signature of `trainer.spec.serving.signatures` answers; `serving.bundle.saved_model` exports them."""

import json
from collections.abc import Mapping

import tensorflow as tf

from serving.engine import explain
from serving.engine import ranking as rank
from serving.engine import request_inputs as rows
from serving.engine.candidates import ScoreBonuses
from serving.engine.item_tables import ItemTables
from serving.engine.query import Query, sanitize_outputs
from serving.engine.query_understanding import ScoreWeights
from serving.engine.search import SearchEngine, SearchState
from serving.engine.text_index import TextIndexes
from serving.index.exact import NO_ROW, Index
from serving.towers import LoadedTowers
from trainer.ops.numbers import status_bit
from trainer.spec.branches import content_features
from trainer.spec.serving import signatures as spec
from trainer.spec.serving.signatures import QueryStatus, TowerOutput
from trainer.spec.tasks import SCORE_COMPONENTS

Outputs = dict[str, tf.Tensor]
Inputs = Mapping[str, tf.Tensor]


class SignatureFunctions(tf.Module):
    """What each signature computes; one method per signature, {input: tensor} to {output: tensor}."""

    def __init__(
        self, towers: LoadedTowers, *, tables: ItemTables, index: Index, texts: TextIndexes, version: str
    ) -> None:
        super().__init__(name="answers")
        self.config = towers.config
        self.towers = towers.module
        self.engine = SearchEngine(towers, tables=tables, index=index, lexical=texts.lexical)
        self.completion = texts.completion
        self.tables = tables
        self.index = index  # under this name a refresh finds it again
        self.version = version
        self.declared = {signature.name: signature for signature in spec.signatures(self.config)}

    def search(self, inputs: Inputs) -> Outputs:
        """Multimodal search."""
        inputs = rows.broadcast(inputs)
        query = self.engine.query(inputs)
        nobody = tf.fill(tf.shape(query.empty), NO_ROW)
        return self._page(self.engine.ranking(query, inputs, asked=nobody[:, tf.newaxis], left_out=nobody))

    def search_text(self, inputs: Inputs) -> Outputs:
        """Text search: `search` with everything else left at its default."""
        return self.search(self._filled(inputs))

    def similar_items(self, inputs: Inputs) -> Outputs:
        """Items like one item, which itself is left out."""
        filled = rows.broadcast(self._filled(inputs))
        own = self.tables.rows_of(filled["item_id"])
        query = self.engine.query_by_item(own)
        return self._page(self.engine.ranking(query, filled, asked=own[:, tf.newaxis], left_out=own))

    def rank(self, inputs: Inputs) -> Outputs:
        """Scores of given items for a query; unknown items score 0."""
        inputs = rows.broadcast(inputs)
        query = self.engine.query(inputs)
        asked = self.tables.rows_of(inputs["item_ids"])
        weights = self.engine.score_weights(query, inputs)
        nothing = ScoreBonuses(rows=asked[:, :0], values=tf.zeros([tf.shape(asked)[0], 0]))
        scored = self.engine.score(query, asked, weights=weights.total, boosts=nothing)
        known = asked != NO_ROW
        unknown = tf.reduce_any(~known & (inputs["item_ids"] != b""), axis=-1)
        return {
            "scores": tf.where(known, scored.scores, 0.0),
            **{f"score_{part}": tf.where(known, scored.parts[part], 0.0) for part in SCORE_COMPONENTS},
            **_understanding_outputs(query, weights),
            **self._remarks(query.status | weights.status | status_bit(unknown, QueryStatus.ITEM_UNKNOWN)),
        }

    def explain(self, inputs: Inputs) -> Outputs:
        """Why an item stands where it does in the answer to a search, or why it does not."""
        inputs = rows.broadcast(inputs)
        query = self.engine.query(inputs)
        item = self.tables.rows_of(inputs["item_id"])
        nobody = tf.fill(tf.shape(item), NO_ROW)
        ranking = self.engine.ranking(query, inputs, asked=item[:, tf.newaxis], left_out=nobody)
        return {
            **explain.locate(self.engine, ranking, item),
            **explain.contributions(self.engine, ranking, item),
            **_understanding_outputs(query, ranking.weights),
            **self._remarks(ranking.status | status_bit(item == NO_ROW, QueryStatus.ITEM_UNKNOWN)),
        }

    def suggest(self, inputs: Inputs) -> Outputs:
        """The text with its spelling mended by the words of the catalogue."""
        mended, changed = self.engine.lexical.mended(inputs["query_text"])
        return {"suggestion": mended, "num_changed": changed, "bundle_version": self._version_of(changed)}

    def complete(self, inputs: Inputs) -> Outputs:
        """How a text that was begun may go on."""
        found = self.completion.complete(inputs["query_text"])
        count = tf.math.count_nonzero(found != b"", axis=-1, dtype=tf.int32)
        return {"completions": found, "num_results": count, "bundle_version": self._version_of(count)}

    def embed_query(self, inputs: Inputs) -> Outputs:
        """The query vector."""
        return _vector_outputs(self.engine.encode(rows.broadcast(inputs)))

    def embed_item(self, inputs: Inputs) -> Outputs:
        """The vector of an item given by its content and its relations, on its first day."""
        inputs = rows.broadcast(inputs)
        price, odd = rows.replace_non_finite(inputs["price"], default=-1.0)
        wire = {feature.name: inputs[feature.name] for feature in content_features()}
        content = self.towers.embed_item({**wire, "price": price})
        encoded = sanitize_outputs(self.engine.with_relations(content, inputs))
        status = encoded[TowerOutput.STATUS.value] | status_bit(odd, QueryStatus.NUMBER_REPLACED)
        return _vector_outputs({**encoded, TowerOutput.STATUS.value: status})

    def wire_spec(self, inputs: Inputs) -> Outputs:
        """What a client must know to make requests."""
        return {"spec_json": tf.fill(tf.shape(inputs["placeholder"]), json.dumps(spec.wire_spec(self.config)))}

    def _filled(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        """The inputs with those of `search` that are not among them at their defaults."""
        ports = self.declared["search"].inputs
        return {**{port.name: rows.default_input(port) for port in ports if port.name not in inputs}, **inputs}

    def _page(self, ranking: SearchState) -> Outputs:
        """Cuts out the page."""
        width, tables = self.config.search.max_page_size, self.tables
        places, shown = rank.slice_page(ranking.order, ranking.pages, width=width)

        def cut(values: tf.Tensor, blank: float | int) -> tf.Tensor:
            return tf.where(shown, tf.gather(values, places, batch_dims=1), blank)

        scored, pool = ranking.scored, ranking.pool
        return {
            "ids": tables.gather(tables.item_ids, cut(pool.rows, NO_ROW)),
            "scores": cut(scored.scores, 0.0),
            **{f"score_{part}": cut(scored.parts[part], 0.0) for part in SCORE_COMPONENTS},
            "boosts": cut(scored.boosts, 0.0),
            "num_variants": cut(pool.variants, 0),
            "num_results": tf.reduce_sum(tf.cast(shown, tf.int32), axis=-1),
            "total_matches": pool.total,
            "query_weights": ranking.query.weights,
            **_understanding_outputs(ranking.query, ranking.weights),
            **self._remarks(ranking.status),
        }

    def _remarks(self, status: tf.Tensor) -> Outputs:
        return {"query_status": status, "bundle_version": self._version_of(status)}

    def _version_of(self, each: tf.Tensor) -> tf.Tensor:
        return tf.fill(tf.shape(each), self.version)


def _understanding_outputs(query: Query, weights: ScoreWeights) -> Outputs:
    """What the query gives away beside what it looks for, and the weights that follow."""
    return {
        "intent": query.reading.intent,
        "sentiment": query.reading.sentiment,
        "subjectivity": query.reading.opinion,
        "score_weights": tf.stack([weights.total[part] for part in SCORE_COMPONENTS], axis=1),
    }


def _vector_outputs(encoded: Inputs) -> Outputs:
    return {
        "vector": encoded[TowerOutput.VECTOR.value],
        "weights": encoded[TowerOutput.WEIGHTS.value],
        "query_status": encoded[TowerOutput.STATUS.value],
    }
