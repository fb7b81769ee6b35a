"""Lexical search alone on the judged queries of the chorus set: languages, fields, attributes, and settings of BM25F.

    python -m benchmarks.words --data DATA/chorus [--settings 300]

nDCG@10 with gain 2^grade - 1, an unjudged item 0; recall@100 over grades 2 and 3. Nothing is trained. The rows with
"chosen" have settings of BM25F that were chosen on other queries than those they are measured on: of settings drawn at
random and the default the one with the best nDCG@10 on four fifths of the queries is measured on the last fifth, ten
times over. Differences to the first row come with a 95 % interval from a paired bootstrap.
"""

import argparse
import collections
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
from beam_preprocess.sources import open_source, read_all
from serving.evaluation.eval_requests import JudgedRequest
from serving.evaluation.judgments import QueryMetrics, paired_bootstrap, query_metrics
from serving.lexical.bm25 import LexicalIndex
from serving.lexical.postings import AnalysedFields, Bm25
from trainer.spec.config import DEFAULT_FIELD_WEIGHTS, SearchConfig

_DEPTH = 100
_TEXTS = ("title", "description", "brand", "item_id")
_FOLDS, _REPEATS = 5, 10
# Values of the settings that are drawn; the weight of the description is 1, since only proportions count beside k1.
_CHOICES = {
    "title": (1.0, 1.5, 2.0, 3.0, 4.0),
    "brand": (0.25, 0.5, 1.0, 2.0),
    "attributes": (0.25, 0.5, 1.0, 1.5),
    "k1": (0.4, 0.8, 1.2, 2.0, 3.0),
    "b": (0.2, 0.4, 0.6, 0.75, 0.9),
}


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
        impacts = self._fields.impacts(bm25)
        self._index.impacts.assign(np.append(impacts.impacts, np.float32(0.0)))
        ordered = self._ranked().numpy()
        ids = [[self._set.items[row]["item_id"].encode() for row in ranked if row >= 0] for ranked in ordered]
        return query_metrics([ranked[:_DEPTH] for ranked in ids], self._set.requests)

    def _rank(self) -> tf.Tensor:
        rows = self._index.retrieve(self._terms, 2 * _DEPTH)
        scores = tf.reduce_sum(self._index.term_scores(self._terms, rows), axis=-1)
        return tf.gather(rows, tf.argsort(scores, direction="DESCENDING", stable=True), batch_dims=1)


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
    counted = np.flatnonzero(~np.isnan(ndcg[0]))
    found = []
    for seed in range(_REPEATS):
        chosen = np.zeros(ndcg.shape[1], np.int64)
        for fold in np.array_split(np.random.default_rng(seed).permutation(counted), _FOLDS):
            chosen[fold] = ndcg[:, np.setdiff1d(counted, fold)].mean(axis=1).argmax()
        queries = np.arange(len(chosen))
        found.append((ndcg[chosen, queries], recall[chosen, queries]))
    return QueryMetrics(ndcg=np.mean([one for one, _ in found], axis=0), recall=np.mean([r for _, r in found], axis=0))


def variants(found: Set, num_settings: int) -> Iterator[tuple[str, QueryMetrics]]:
    """Yields (name, metrics), each variant with more than the one before."""
    texts = fields_of(found.items, _TEXTS, attributes=0)
    for name, fields, languages in (("words as they are", joined(texts), []), ("English", joined(texts), ["en"])):
        one = Measured(found, fields, languages)
        yield f"one text, {name}", one.metrics(one.default)
    for name, count in (("fields", 0), ("8 attributes", 8), ("40 attributes", 40), ("all attributes", 10_000)):
        one = Measured(found, fields_of(found.items, _TEXTS, attributes=count), ["en"])
        yield name, one.metrics(one.default)
        if num_settings and count:
            settings = drawn_settings(one.default, num_settings)
            measured = [one.metrics(setting) for setting in settings]
            yield f"{name}, settings chosen", cross_validated(measured)
            best = settings[int(np.argmax([np.nanmean(metrics.ndcg) for metrics in measured]))]
            yield f"{name}, best on all: {best}", measured[settings.index(best)]


def main() -> None:
    """Prints a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the chorus set")
    parser.add_argument("--settings", type=int, default=0, help="settings of BM25F that are drawn; 0 = the default")
    options = parser.parse_args()
    first = None
    for name, metrics in variants(read_set(options.data), options.settings):
        first = first or metrics
        mean, low, high = paired_bootstrap(metrics.ndcg, first.ndcg)
        figures = f"nDCG@10 {np.nanmean(metrics.ndcg):.3f}  recall@100 {np.nanmean(metrics.recall):.3f}"
        print(f"{name:36} {figures}  nDCG {mean:+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)


if __name__ == "__main__":
    main()
