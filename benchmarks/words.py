"""Lexical search alone on the judged queries of the chorus set: what languages, fields and attributes add.

    python -m benchmarks.words --data DATA/chorus

nDCG@10 with gain 2^grade - 1, an unjudged item 0; recall@100 over grades 2 and 3. Nothing is trained, and no setting is
chosen: field weights are the defaults. Differences to the first row come with a 95 % interval from a paired bootstrap.
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
from serving.lexical.postings import build_postings
from trainer.spec.config import DEFAULT_FIELD_WEIGHTS

_DEPTH = 100
_TEXTS = ("title", "description", "brand")


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


def measure(found: Set, fields: Mapping[str, Sequence[bytes]], languages: Sequence[str]) -> QueryMetrics:
    """Returns the metrics of every query with the default weights of the fields."""
    weights = {name: DEFAULT_FIELD_WEIGHTS.get(name, 1.0) for name in fields}
    index = LexicalIndex(build_postings(fields, weights=weights, languages=languages))
    texts = [request.query["query_text"] for request in found.requests]
    rows = (index.retrieve(index.terms(tf.constant([text])), _DEPTH).numpy()[0] for text in texts)
    rankings = [[found.items[row]["item_id"].encode() for row in ranked if row >= 0] for ranked in rows]
    return query_metrics(rankings, found.requests)


def variants(found: Set) -> Iterator[tuple[str, QueryMetrics]]:
    """Yields (name, metrics), each variant with more than the one before."""
    texts = fields_of(found.items, _TEXTS, attributes=0)
    yield "one text, words as they are", measure(found, joined(texts), [])
    yield "one text, English", measure(found, joined(texts), ["en"])
    yield "fields, English", measure(found, texts, ["en"])
    for count in (8, 40):
        fields = fields_of(found.items, _TEXTS, attributes=count)
        yield f"fields and {count} attributes, English", measure(found, fields, ["en"])


def main() -> None:
    """Prints a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the chorus set")
    first = None
    for name, metrics in variants(read_set(parser.parse_args().data)):
        first = first or metrics
        mean, low, high = paired_bootstrap(metrics.ndcg, first.ndcg)
        figures = f"nDCG@10 {np.nanmean(metrics.ndcg):.3f}  recall@100 {np.nanmean(metrics.recall):.3f}"
        print(f"{name:36} {figures}  nDCG {mean:+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)


if __name__ == "__main__":
    main()
