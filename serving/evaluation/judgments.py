"""Relevance judgments: nDCG@10 and recall@100 of a bundle's hybrid search, of its sides alone, and of plain BM25.

    python -m serving.evaluation.judgments --bundle DIR/stock/1 --events EVAL_EXAMPLES --items ITEM_EXAMPLES

nDCG@10 with gain 2^grade - 1, an unjudged item 0; recall@100 over grades 2 and 3, of all such items. Each over the
queries that have such an item. Differences come with a 95 % interval from a paired bootstrap over the queries.
"""

import argparse
import dataclasses
import enum
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving import remote_files
from serving.evaluation.eval_requests import JudgedRequest, read_judged, read_texts, stack_queries
from serving.lexical.bm25 import LexicalIndex
from serving.lexical.postings import Bm25, build_postings
from serving.manifest import MANIFEST_PATH
from serving.server.protocol.predict import predict_arrays
from serving.server.sessions.saved_model import LoadedModel, load_op_libraries
from trainer.metrics import NDCG_AT, RELEVANT_GRADE, grade_gain, ndcg_at, recall_at
from trainer.spec.config import Config, from_dict
from trainer.spec.serving.search_fields import INTENT_WEIGHT
from trainer.spec.tasks import DENSE, LEXICAL, TEXT_ENCODER

DEPTH = 100  # of recall, and of the result lists
NUM_RESAMPLES, SEED = 10_000, 0
_BATCH_SIZE = 32


class Retriever(enum.StrEnum):
    """Retrieval method: the bundle's hybrid search, one component of it alone, or BM25 over one text per item."""

    HYBRID = "hybrid"
    LEXICAL = "lexical alone"
    DENSE = "dense alone"
    TEXT_ENCODER = "encoder alone"
    BM25 = "plain BM25"


# The score component that each method ranks by.
_ALONE = {Retriever.LEXICAL: LEXICAL, Retriever.DENSE: DENSE, Retriever.TEXT_ENCODER: TEXT_ENCODER}


def score_weights(config: Config) -> dict[Retriever, dict[str, float]]:
    """Returns the score weights of a request for each method of a bundle; none leave them at the bundle's defaults."""
    parts = config.score_components
    alone = {one: {**dict.fromkeys(parts, 0.0), name: 1.0} for one, name in _ALONE.items() if name in parts}
    return {Retriever.HYBRID: {}, **alone}


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryMetrics:
    """nDCG@10 and recall@100 of one retriever, [query] each; NaN where the query has nothing to find."""

    ndcg: np.ndarray
    recall: np.ndarray


class Interval(NamedTuple):
    """Mean of a difference and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def query_metrics(rankings: Sequence[Sequence[bytes]], requests: Sequence[JudgedRequest]) -> QueryMetrics:
    """Computes the metrics of ranked items, one list for each request."""
    ndcg, recall = [], []
    for ranked, request in zip(rankings, requests, strict=True):
        gains = {item: grade_gain(grade) for item, grade in request.grades.items()}
        relevant = [item for item, grade in request.grades.items() if grade >= RELEVANT_GRADE]
        ndcg.append(ndcg_at(ranked, gains, k=NDCG_AT))
        recall.append(recall_at(ranked, relevant, k=DEPTH))
    return QueryMetrics(ndcg=np.array(ndcg), recall=np.array(recall))


def paired_bootstrap(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    """Mean difference over the queries that count, with the 2.5 and 97.5 percentiles of its paired bootstrap."""
    each = (ours - theirs)[~np.isnan(ours)]
    samples = each[np.random.default_rng(SEED).integers(0, len(each), [NUM_RESAMPLES, len(each)])].mean(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5])
    return Interval(float(each.mean()), float(low), float(high))


def run_queries(
    model: LoadedModel, requests: Sequence[JudgedRequest], weights: Mapping[str, float]
) -> list[list[bytes]]:
    """Returns the first hundred items for each request, best first.

    Args:
      model: A bundle.
      requests: Judged queries.
      weights: {score component: weight}; without `dense` a list ends where scores do.
    """
    rankings: list[list[bytes]] = []
    for start in range(0, len(requests), _BATCH_SIZE):
        rankings += _run_batch(model, requests[start : start + _BATCH_SIZE], weights)
    return rankings


def _run_batch(
    model: LoadedModel, requests: Sequence[JudgedRequest], weights: Mapping[str, float]
) -> list[list[bytes]]:
    """The items of one batch, page by page."""
    size = len(requests)
    inputs = stack_queries([request.query for request in requests])
    inputs |= {f"weight_{component}": np.full([size], weight, np.float32) for component, weight in weights.items()}
    if weights:
        inputs[INTENT_WEIGHT] = np.zeros([size], np.float32)  # one component alone is not mixed with others
    rankings: list[list[bytes]] = [[] for _ in requests]
    page, width = 1, 0
    while width * (page - 1) < DEPTH:
        pages = {"page": np.full([size], page, np.int32), "page_size": np.full([size], DEPTH, np.int32)}
        outputs = predict_arrays(model, model.signatures["search"], {**inputs, **pages})
        width = outputs["ids"].shape[1]
        for row in range(size):
            count = int(outputs["num_results"][row])
            if weights and not weights[DENSE]:
                count = int((outputs["scores"][row, :count] > 0.0).sum())
            rankings[row] += outputs["ids"][row, :count].tolist()
        page += 1
    return rankings


def run_bm25(items: str, requests: Sequence[JudgedRequest]) -> list[list[bytes]]:
    """Returns the first hundred items by BM25 over title, description and brand as one text of equal terms."""
    columns = read_texts(items, "item_id", "title", "description", "brand")
    fields = zip(columns["title"], columns["description"], columns["brand"], strict=True)
    texts = [b" ".join(parts) for parts in fields]
    index = LexicalIndex(build_postings({"text": texts}, bm25=Bm25(weights={"text": 1.0})))
    terms = index.terms(tf.constant([request.query["query_text"] for request in requests]))
    rows = index.retrieve(terms, DEPTH).numpy()
    return [[columns["item_id"][row] for row in found if row >= 0] for found in rows]


def comparison_table(metrics: Mapping[str, QueryMetrics]) -> str:
    """Formats the means of each retriever, and the differences of the first one to the others."""
    lines = [f"{'':14} {'nDCG@10':>8} {'recall@100':>11}"]
    for name, values in metrics.items():
        lines.append(f"{name:14} {np.nanmean(values.ndcg):8.3f} {np.nanmean(values.recall):11.3f}")
    first, *others = metrics
    for name in others:
        for figure in ("ndcg", "recall"):
            mean, low, high = paired_bootstrap(getattr(metrics[first], figure), getattr(metrics[name], figure))
            lines.append(f"{first} - {name}, {figure}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    return "\n".join(lines)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True, help="folder of one version")
    parser.add_argument("--events", required=True, help="folder of event Examples with judged queries")
    parser.add_argument("--items", help="folder of item Examples, for plain BM25 beside the bundle")
    options = parser.parse_args()
    with remote_files.local_copy(options.bundle) as folder:
        manifest = json.loads((folder / MANIFEST_PATH).read_text(encoding="utf-8"))
        config = from_dict(manifest["config"], Config())
        requests = read_judged(options.events, wire=config.wire)
        if not requests:
            raise SystemExit(f"{options.events} holds no judged query; wanted event Examples with label_grade.")
        model = LoadedModel(folder, missing_libraries=load_op_libraries())
    try:
        metrics: dict[str, QueryMetrics] = {
            name: query_metrics(run_queries(model, requests, weights), requests)
            for name, weights in score_weights(config).items()
        }
    finally:
        model.close()
    if options.items:
        metrics[Retriever.BM25] = query_metrics(run_bm25(options.items, requests), requests)
    hybrid = metrics[Retriever.HYBRID]
    counts = [int(np.isfinite(values).sum()) for values in (hybrid.ndcg, hybrid.recall)]
    print(
        f"{len(requests)} judged queries, {counts[0]} with an item of a grade above 0, {counts[1]} with one of 2 or 3"
    )
    print(comparison_table(metrics))


if __name__ == "__main__":
    main()
