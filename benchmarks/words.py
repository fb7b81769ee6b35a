"""Words on the judged queries of the chorus set: languages, fields, attributes, settings of BM25F, a text encoder.

    python -m benchmarks.words --data DATA/chorus [--settings 300]
    python -m benchmarks.words --data DATA/chorus --encoder DATA/encoders/all-MiniLM-L6-v2

nDCG@10 with gain 2^grade - 1, an unjudged item 0; recall@100 over grades 2 and 3. Nothing is trained. The rows with
"chosen" have settings of BM25F, or a weight of the encoder, that were chosen on other queries than those they are
measured on: of settings drawn at random and the default the one with the best nDCG@10 on four fifths of the queries is
measured on the last fifth, ten times over. Means come with a 95 % interval from a bootstrap over the queries;
differences, to the first row or to the same words without the encoder, with one from a paired bootstrap.

The encoder is that of `tower.text.pretrained`, frozen. As in a bundle, its int8 vectors propose candidates beside the
words, and its cosine is added to the lexical part at its default weight. Encoding takes ten minutes, whose vectors
`--vectors FILE.npz` keeps.
"""

import argparse
import collections
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
from beam_preprocess.sources import open_source, read_all
from serving.engine.candidates import reciprocal_rank_fusion
from serving.engine.matching.text_vectors import TextVectors
from serving.evaluation.eval_requests import JudgedRequest
from serving.evaluation.judgments import QueryMetrics, paired_bootstrap, query_metrics
from serving.lexical.bm25 import LexicalIndex
from serving.lexical.postings import AnalysedFields, Bm25
from trainer.nn.encoders.pretrained_text import PretrainedTextEncoder
from trainer.ops.blocks.pretrained_text import PretrainedTokenizer
from trainer.spec.config import DEFAULT_FIELD_WEIGHTS, SearchConfig
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, LEXICAL

_DEPTH = 100
_TEXTS = ("title", "description", "brand", "item_id")
_ENCODED_TEXTS = ("title", "description", "brand")
_FOLDS, _REPEATS = 5, 10
# Values of the settings that are drawn; the weight of the description is 1, since only proportions count beside k1.
_CHOICES = {
    "title": (1.0, 1.5, 2.0, 3.0, 4.0),
    "brand": (0.25, 0.5, 1.0, 2.0),
    "attributes": (0.25, 0.5, 1.0, 1.5),
    "k1": (0.4, 0.8, 1.2, 2.0, 3.0),
    "b": (0.2, 0.4, 0.6, 0.75, 0.9),
}
# Weights of the encoder to choose from, and the tokens of an item and of a query that it reads.
_ENCODER_WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_ITEM_TOKENS, _QUERY_TOKENS, _BATCH_SIZE = 64, 32, 64


class Set(NamedTuple):
    """Judged set: catalogue records, and the judged queries."""

    items: list[Mapping[str, Any]]
    requests: list[JudgedRequest]


def read_set(folder: str) -> Set:
    """Reads the products and judgments of a folder."""
    source = open_source(folder, "chorus")
    items = [row.values for row in read_all(source, "catalog") if isinstance(row.values, Mapping)]
    grades: dict[str, dict[bytes, int]] = collections.defaultdict(dict)
    for row in read_all(source, "events"):
        if isinstance(row.values, Mapping):
            grades[row.values["query"]["text"]][row.values["item_id"].encode()] = row.values["grade"]
    return Set(items, [JudgedRequest(query={"query_text": text}, grades=found) for text, found in grades.items()])


class Encoded(NamedTuple):
    """Texts of a judged set as a frozen encoder knows them, those of the queries as [query, features]."""

    items: TextVectors
    queries: tf.Tensor


def encode(found: Set, handle: str, kept: Path | None) -> Encoded:
    """Encodes the texts of a set, title, description and brand of an item; `kept` is a file that keeps the vectors."""
    if kept is None or not kept.exists():
        encoder = _Encoder(handle)
        texts = joined(fields_of(found.items, _ENCODED_TEXTS, attributes=0))["text"]
        queries = [request.query["query_text"].encode() for request in found.requests]
        items = encoder.vectors(texts, length=_ITEM_TOKENS)
        own = encoder.vectors(queries, length=_QUERY_TOKENS)
        if kept is not None:
            np.savez(kept, items=items, queries=own)
    else:
        with np.load(kept) as arrays:
            items, own = arrays["items"], arrays["queries"]
    return Encoded(items=TextVectors(items), queries=tf.math.l2_normalize(own, axis=-1))


class _Encoder:
    """Frozen text encoder that is fed with texts of about one length at a time."""

    def __init__(self, handle: str) -> None:
        self._tokenizer = PretrainedTokenizer(handle)
        layer = PretrainedTextEncoder(handle=handle, fine_tune=False, dim=1, dropout=0.0)
        self._features = tf.function(
            lambda tokens: layer.raw_features({"text_tokens": tokens}),
            input_signature=[tf.TensorSpec([None, None], tf.int32)],
            autograph=False,
        )

    def vectors(self, texts: Sequence[bytes], *, length: int) -> np.ndarray:
        """[text, features] of texts cut to `length` tokens."""
        order = np.argsort([len(text) for text in texts])
        parts = []
        for start in range(0, len(texts), _BATCH_SIZE):
            batch = tf.constant([texts[place] for place in order[start : start + _BATCH_SIZE]])
            tokens = self._tokenizer.to_model([batch], length=length)
            width = int(tf.reduce_max(tf.math.count_nonzero(tokens, axis=1)))
            parts.append(self._features(tokens[:, :width]).numpy())
        return np.concatenate(parts)[np.argsort(order)]


def fields_of(items: Sequence[Mapping[str, Any]], names: Sequence[str], *, attributes: int) -> dict[str, list[bytes]]:
    """Returns the texts of each field; the first attributes of an item are one field together."""
    fields = {name: [str(item.get(name, "")).encode() for item in items] for name in names}
    if attributes:
        values = ([*item.get("attributes", {}).values()][:attributes] for item in items)
        fields["attributes"] = [" ".join(found).encode() for found in values]
    return fields


def joined(fields: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
    """Returns all fields as one text."""
    return {"text": [b" ".join(parts) for parts in zip(*fields.values(), strict=True)]}


class Measured:
    """Judged set under one analysis, measured with any settings of BM25F."""

    def __init__(self, found: Set, fields: Mapping[str, Sequence[bytes]], languages: Sequence[str]) -> None:
        """Analyses the fields once."""
        self._set = found
        self._fields = AnalysedFields(fields, languages)
        self.default = default_bm25(fields)
        self._index = LexicalIndex(self._fields.postings(self.default))
        self._terms = self._index.terms(tf.constant([request.query["query_text"] for request in found.requests]))
        self._ranked = tf.function(self._rank, autograph=False)

    def metrics(self, bm25: Bm25) -> QueryMetrics:
        """Returns the metrics of every query: the best by retrieval, in the order of the lexical score."""
        self._use(bm25)
        return metrics_of(self._set, self._ranked())

    def with_encoder(self, encoded: Encoded) -> list[QueryMetrics]:
        """Returns the metrics of every query with the default settings and each of the weights of the encoder."""
        self._use(self.default)
        sides = [
            self._index.retrieve(self._terms, 2 * _DEPTH),
            encoded.items.retrieve(encoded.queries, 2 * _DEPTH, None),
        ]
        rows = reciprocal_rank_fusion(sides, weights=[tf.ones([len(self._set.requests)])] * 2)
        best = self._index.max_score(self._terms)[:, tf.newaxis]
        words = tf.math.divide_no_nan(tf.reduce_sum(self._index.term_scores(self._terms, rows), axis=-1), best)
        words, cosines = DEFAULT_SCORE_WEIGHTS[LEXICAL] * words, encoded.items.cosines(encoded.queries, rows)
        return [metrics_of(self._set, _by_score(rows, words + weight * cosines)) for weight in _ENCODER_WEIGHTS]

    def _use(self, bm25: Bm25) -> None:
        impacts = self._fields.impacts(bm25)
        self._index.impacts.assign(np.append(impacts.impacts, np.float32(0.0)))

    def _rank(self) -> tf.Tensor:
        rows = self._index.retrieve(self._terms, 2 * _DEPTH)
        return _by_score(rows, tf.reduce_sum(self._index.term_scores(self._terms, rows), axis=-1))


def _by_score(rows: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """The rows [query, candidates] by their scores, the best first; -1 where there is none comes last."""
    scores = tf.where(rows < 0, -float("inf"), scores)
    return tf.gather(rows, tf.argsort(scores, direction="DESCENDING", stable=True), batch_dims=1)


def metrics_of(found: Set, rows: tf.Tensor) -> QueryMetrics:
    """Returns the metrics of every query by its results, rows [query, candidates], the best first."""
    ids = [[found.items[row]["item_id"].encode() for row in ranked if row >= 0] for ranked in rows.numpy()]
    return query_metrics([ranked[:_DEPTH] for ranked in ids], found.requests)


def default_bm25(fields: Mapping[str, Sequence[bytes]]) -> Bm25:
    """Returns the default settings for some fields."""
    search = SearchConfig()
    weights = {name: DEFAULT_FIELD_WEIGHTS.get(name, 1.0) for name in fields}
    return Bm25(weights=weights, k1=search.bm25_k1, b=search.bm25_b)


def drawn_settings(default: Bm25, count: int) -> list[Bm25]:
    """Returns the default and others at random, always the same."""
    random = np.random.default_rng(0)
    drawn = [{name: float(random.choice(values)) for name, values in _CHOICES.items()} for _ in range(count)]
    weights = [{name: values.get(name, default.weights[name]) for name in default.weights} for values in drawn]
    pairs = zip(weights, drawn, strict=True)
    return [default, *(Bm25(weights=of_fields, k1=values["k1"], b=values["b"]) for of_fields, values in pairs)]


def cross_validated(measured: Sequence[QueryMetrics]) -> QueryMetrics:
    """Returns the metrics of each query with the settings that are best on the queries of other folds.

    Args:
      measured: The metrics with each of the settings.
    """
    ndcg, recall = (np.stack([getattr(one, name) for one in measured]) for name in ("ndcg", "recall"))
    chosen, queries = choices(measured), np.arange(ndcg.shape[1])
    return QueryMetrics(
        ndcg=np.mean([ndcg[setting, queries] for setting in chosen], axis=0),
        recall=np.mean([recall[setting, queries] for setting in chosen], axis=0),
    )


def choices(measured: Sequence[QueryMetrics]) -> np.ndarray:
    """Returns the setting that the other folds choose for each query, [repeat, query] int64; see `cross_validated`."""
    ndcg = np.stack([one.ndcg for one in measured])
    counted = np.flatnonzero(~np.isnan(ndcg[0]))
    chosen = np.zeros([_REPEATS, ndcg.shape[1]], np.int64)
    for seed in range(_REPEATS):
        for fold in np.array_split(np.random.default_rng(seed).permutation(counted), _FOLDS):
            chosen[seed, fold] = ndcg[:, np.setdiff1d(counted, fold)].mean(axis=1).argmax()
    return chosen


class Row(NamedTuple):
    """Row of the table: a name, the metrics, and those that they are compared with; None = those of the first row."""

    name: str
    metrics: QueryMetrics
    baseline: QueryMetrics | None = None


def variants(found: Set, num_settings: int, encoded: Encoded | None) -> Iterator[Row]:
    """Yields the rows, each variant with more than the one before."""
    texts = fields_of(found.items, _TEXTS, attributes=0)
    for name, fields, languages in (("words as they are", joined(texts), []), ("English", joined(texts), ["en"])):
        one = Measured(found, fields, languages)
        yield Row(f"one text, {name}", one.metrics(one.default))
    if encoded:
        yield Row("encoder alone", metrics_of(found, encoded.items.retrieve(encoded.queries, 2 * _DEPTH, None)))
    for name, count in (("fields", 0), ("8 attributes", 8), ("40 attributes", 40), ("all attributes", 10_000)):
        one = Measured(found, fields_of(found.items, _TEXTS, attributes=count), ["en"])
        words = one.metrics(one.default)
        yield Row(name, words)
        if num_settings and count:
            settings = drawn_settings(one.default, num_settings)
            drawn = [one.metrics(setting) for setting in settings]
            yield Row(f"{name}, settings chosen", cross_validated(drawn))
            best = settings[int(np.argmax([np.nanmean(metrics.ndcg) for metrics in drawn]))]
            yield Row(f"{name}, best on all: {best}", drawn[settings.index(best)])
        if encoded and count:
            yield from _with_encoder(name, one.with_encoder(encoded), words)


def _with_encoder(name: str, weighted: Sequence[QueryMetrics], words: QueryMetrics) -> Iterator[Row]:
    """The rows of some words and the encoder, whose weight is chosen on other queries; then each weight on all."""
    counted = choices(weighted)[:, ~np.isnan(words.ndcg)]
    often = _ENCODER_WEIGHTS[int(np.bincount(counted.ravel()).argmax())]
    yield Row(f"{name} + encoder, chosen, mostly {often:g}", cross_validated(weighted), words)
    for weight, metrics in zip(_ENCODER_WEIGHTS, weighted, strict=True):
        yield Row(f"{name} + encoder at {weight:g}", metrics, words)


def line(row: Row, first: QueryMetrics) -> str:
    """Returns the line of a row: means and differences with their intervals."""
    baseline = row.baseline or first
    parts = [f"{row.name:44}"]
    for name, figure in (("nDCG@10", "ndcg"), ("recall@100", "recall")):
        ours, theirs = getattr(row.metrics, figure), getattr(baseline, figure)
        mean, difference = paired_bootstrap(ours, np.zeros_like(ours)), paired_bootstrap(ours, theirs)
        parts.append(f"{name} {mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]")
        parts.append(f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]")
    return "  ".join(parts)


def main() -> None:
    """Prints a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the chorus set")
    parser.add_argument("--settings", type=int, default=0, help="settings of BM25F that are drawn; 0 = the default")
    parser.add_argument("--encoder", default="", help="text encoder beside the words, as `tower.text.pretrained`")
    parser.add_argument("--vectors", type=Path, help="file that keeps the encoder's vectors for the next run, .npz")
    options = parser.parse_args()
    found = read_set(options.data)
    encoded = encode(found, options.encoder, options.vectors) if options.encoder else None
    first = None
    for row in variants(found, options.settings, encoded):
        first = first or row.metrics
        print(line(row, first), flush=True)


if __name__ == "__main__":
    main()
