"""The bundle: towers, tables and index behind the signatures that `trainer.spec.signatures` declares."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving import rank, rows
from serving.index import NO_ROW, Index
from serving.tables import Tables
from serving.towers import LoadedTowers, item_features, query_features
from trainer.spec import signatures as spec
from trainer.spec.signatures import QueryStatus, TowerOutput
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, SCORE_PARTS

SERVING_DEFAULT = "serving_default"
DEFAULT_SIGNATURE = "search"
Answer = dict[str, tf.Tensor]


class Answers(tf.Module):
    """What each signature computes; one method per signature, {input: tensor} to {output: tensor}."""

    def __init__(self, towers: LoadedTowers, *, tables: Tables, index: Index, version: str) -> None:
        super().__init__(name="answers")
        self.config = towers.config
        self.towers = towers.module
        self.tables = tables
        self.index = index
        self.version = version

    def search(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """Multimodal search."""
        inputs = rows.broadcast(inputs)
        query = self._encode_query(inputs)
        vectors, status = query[TowerOutput.VECTOR.value], query[TowerOutput.STATUS.value]
        proposed = self.index.propose(vectors, self.tables.num_candidates)
        weights = {part: inputs[f"weight_{part}"] for part in SCORE_PARTS}
        return self._answer(vectors, proposed, status=status, inputs=inputs, weights=weights)

    def search_text(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """Text search: `search` with everything else left at its default."""
        declared = next(s for s in spec.signatures(self.config) if s.name == "search")
        defaults = {port.name: rows.default_input(port) for port in declared.inputs if port.name not in inputs}
        return self.search({**defaults, **inputs})

    def similar_items(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """Items like one item, which itself is left out."""
        inputs = rows.broadcast(inputs)
        own = self.tables.rows_of(inputs["item_id"])
        vectors = self.tables.vectors_of(own)
        status = rows.bit(own == NO_ROW, QueryStatus.ITEM_UNKNOWN) | _empty_bit(vectors)
        proposed = self.index.propose(vectors, self.tables.num_candidates)
        proposed = tf.where(proposed == own[:, tf.newaxis], NO_ROW, proposed)
        weights = {part: tf.fill(tf.shape(own), weight) for part, weight in self._default_weights().items()}
        return self._answer(vectors, proposed, status=status, inputs=inputs, weights=weights, left_out=own)

    def embed_query(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """The query vector."""
        return _vectors(self._encode_query(rows.broadcast(inputs)))

    def embed_item(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """The vector of an item given by its content."""
        inputs = rows.broadcast(inputs)
        price, odd = rows.finite(inputs["price"], default=-1.0)
        wire = {feature.name: inputs[feature.name] for feature in item_features()}
        encoded = _sound(self.towers.embed_item({**wire, "price": price}))
        status = encoded[TowerOutput.STATUS.value] | rows.bit(odd, QueryStatus.NUMBER_REPLACED)
        return _vectors({**encoded, TowerOutput.STATUS.value: status})

    def wire_spec(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """What a client must know to make requests."""
        return {"spec_json": tf.fill(tf.shape(inputs["unused"]), json.dumps(spec.wire_spec(self.config)))}

    def _encode_query(self, inputs: Mapping[str, tf.Tensor]) -> Answer:
        """The query tower's outputs; the history is looked up in this bundle's own items."""
        length = self.config.wire.history
        ids = rows.fit_history(inputs["history_ids"], length=length)
        ages, odd = rows.finite(rows.fit_history(inputs["history_ages"], length=length), default=0.0)
        history = self.tables.rows_of(ids)
        unknown = tf.reduce_any((history == NO_ROW) & (ids != b""), axis=-1)
        wire = {feature.name: inputs[feature.name] for feature in query_features()}
        vectors = self.tables.vectors_of(history)
        present = tf.reduce_any(vectors != 0.0, axis=-1)  # an item without a usable vector says nothing
        encoded = self.towers.embed_query(
            {**wire, "history_vectors": vectors, "history_ages": ages, "history_present": present}
        )
        encoded = _sound(encoded)
        status = rows.bit(unknown, QueryStatus.HISTORY_UNKNOWN) | rows.bit(odd, QueryStatus.NUMBER_REPLACED)
        return {**encoded, TowerOutput.STATUS.value: encoded[TowerOutput.STATUS.value] | status}

    def _answer(
        self,
        query_vectors: tf.Tensor,
        proposed: tf.Tensor,
        *,
        status: tf.Tensor,
        inputs: Mapping[str, tf.Tensor],
        weights: Mapping[str, tf.Tensor],
        left_out: tf.Tensor | None = None,
    ) -> Answer:
        """Ranks the proposed rows [batch, candidates] and cuts out the page; empty queries get the popular items."""
        search, tables = self.config.search, self.tables
        empty = status & int(QueryStatus.EMPTY) != 0
        popular = tf.broadcast_to(tables.popular, tf.shape(proposed))
        if left_out is not None:
            popular = tf.where(popular == left_out[:, tf.newaxis], NO_ROW, popular)
        candidates = tf.where(empty[:, tf.newaxis], popular, proposed)
        branches = tables.gather(tables.branches, candidates)
        parts = rank.score_parts(query_vectors, branches, score_pairs=self.towers.score_pairs)
        parts = {part: tf.where(empty[:, tf.newaxis], 0.0, values) for part, values in parts.items()}
        weights, odd = rows.clean_weights(weights, self._default_weights())
        scores = rank.total(parts, weights)
        groups = tables.gather(tables.groups, candidates)
        ranked = rank.rank(candidates, scores=scores, groups=groups, in_given_order=empty, depth=search.max_depth)
        width = search.max_page_size
        page = inputs.get("page", tf.ones_like(inputs["page_size"]))
        pages = rank.clamp_pages(page, inputs["page_size"], depth=search.max_depth, width=width)
        places, shown = rank.slice_page(ranked, pages, width=width)

        def cut(values: tf.Tensor, blank: float | int) -> tf.Tensor:
            return tf.where(shown, tf.gather(values, places, batch_dims=1), blank)

        return {
            "ids": tables.gather(tables.item_ids, cut(candidates, NO_ROW)),
            "scores": cut(scores, 0.0),
            **{f"score_{part}": cut(values, 0.0) for part, values in parts.items()},
            "n_valid": tf.reduce_sum(tf.cast(shown, tf.int32), axis=-1),
            "query_status": status | odd | pages.status,
            "bundle_version": tf.fill(tf.shape(status), self.version),
        }

    def _default_weights(self) -> dict[str, float]:
        return {**DEFAULT_SCORE_WEIGHTS, **self.config.search.score_weights}


def _empty_bit(vectors: tf.Tensor) -> tf.Tensor:
    return rows.bit(tf.reduce_all(vectors == 0.0, axis=-1), QueryStatus.EMPTY)


def _sound(encoded: Mapping[str, tf.Tensor]) -> Answer:
    """Tower outputs without NaN; a vector that held one counts as absent, and an absent one as an empty query."""
    vectors, weights = encoded[TowerOutput.VECTOR.value], encoded[TowerOutput.WEIGHTS.value]
    good = tf.reduce_all(tf.math.is_finite(vectors), axis=-1) & tf.reduce_all(tf.math.is_finite(weights), axis=-1)
    vectors = tf.where(good[:, tf.newaxis], vectors, 0.0)
    weights = tf.where(good[:, tf.newaxis], weights, 0.0)
    vectors = tf.where(tf.reduce_all(weights == 0.0, axis=-1, keepdims=True), 0.0, vectors)
    status = encoded[TowerOutput.STATUS.value] & ~int(QueryStatus.EMPTY)
    status |= rows.bit(~good, QueryStatus.NUMBER_REPLACED) | _empty_bit(vectors)
    return {
        TowerOutput.VECTOR.value: vectors,
        TowerOutput.WEIGHTS.value: weights,
        TowerOutput.STATUS.value: status,
    }


def _vectors(encoded: Mapping[str, tf.Tensor]) -> Answer:
    return {
        "vector": encoded[TowerOutput.VECTOR.value],
        "weights": encoded[TowerOutput.WEIGHTS.value],
        "query_status": encoded[TowerOutput.STATUS.value],
    }


class Bundle(tf.Module):
    """A SavedModel to be: one exported function per signature, with the declared defaults."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(name="bundle")
        self.answers = answers
        self.search = self._exported("search", answers.search)
        self.search_text = self._exported("search_text", answers.search_text)
        self.similar_items = self._exported("similar_items", answers.similar_items)
        self.embed_query = self._exported("embed_query", answers.embed_query)
        self.embed_item = self._exported("embed_item", answers.embed_item)
        self.wire_spec = self._exported("wire_spec", answers.wire_spec)

    def _exported(self, name: str, method: Callable[[Mapping[str, tf.Tensor]], Answer]) -> Any:
        declared = {signature.name: signature for signature in spec.signatures(self.answers.config)}[name]
        return exported(declared, method)

    def save(self, directory: str, *, namespaces: tuple[str, ...] = ()) -> None:
        """Writes the SavedModel; `namespaces` are those of ops that are not TensorFlow's own."""
        functions = {s.name: getattr(self, s.name) for s in spec.signatures(self.answers.config)}
        functions[SERVING_DEFAULT] = functions[DEFAULT_SIGNATURE]
        options = tf.saved_model.SaveOptions(namespace_whitelist=list(namespaces))
        tf.saved_model.save(self, directory, signatures=functions, options=options)


def exported(declared: spec.Signature, method: Callable[[Mapping[str, tf.Tensor]], Answer]) -> Any:
    """`method` as a `tf.function` with the declared inputs by name; a default argument becomes a signature default.

    Raises:
      ValueError: When traced: the method's outputs are not the declared ones.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [port for port in declared.inputs if port.default is None]
    ports = [*required, *(port for port in declared.inputs if port.default is not None)]

    def function(*values: tf.Tensor) -> Answer:
        outputs = method({port.name: value for port, value in zip(ports, values, strict=True)})
        want = {port.name for port in declared.outputs}
        if set(outputs) != want:
            raise ValueError(
                f"Signature {declared.name!r} gives {sorted(outputs)}; trainer/spec/signatures.py declares "
                f"{sorted(want)}. Change one of them."
            )
        return {port.name: tf.ensure_shape(outputs[port.name], [None, *port.shape]) for port in declared.outputs}

    function.__name__ = declared.name
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                port.name, kind, default=inspect.Parameter.empty if port.default is None else rows.default_input(port)
            )
            for port in ports
        ]
    )
    specs = [tf.TensorSpec([None, *port.shape], port.dtype.value, name=port.name) for port in ports]
    return tf.function(function, input_signature=specs)
