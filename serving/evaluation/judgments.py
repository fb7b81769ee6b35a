"""Judged queries asked of a bundle: both sides together, words alone, vectors alone, and plain BM25 beside them.

    python -m serving.evaluation.judgments --bundle DIR/stock/1 --events EVAL_EXAMPLES --items ITEM_EXAMPLES

nDCG@10 with gain 2^grade - 1, an unjudged item 0; recall@100 over grades 2 and 3, of all such items. Each over the
queries that have such an item. Differences come with a 95 % interval from a paired bootstrap over the queries.
"""

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.evaluation.eval_requests import JudgedRequest, read_judged, read_texts, stack_queries
from serving.lexical.bm25 import LexicalIndex, build_postings
from serving.manifest import MANIFEST_PATH
from serving.server.models.saved_model import LoadedModel, load_op_libraries
from serving.server.protocol.predict import predict_arrays
from trainer.spec.config import Config, from_dict
from trainer.spec.serving.search_fields import INTENT_WEIGHT
from trainer.spec.tasks import DENSE, LEXICAL, SCORE_COMPONENTS

TOP, DEPTH, WANTED_GRADE = 10, 100, 2.0
RESAMPLES, SEED = 10_000, 0
_BATCH = 32
HYBRID, WORDS, VECTORS, PLAIN = "hybrid", "words alone", "vectors alone", "plain BM25"
# Weights of a request; an empty table leaves them at the bundle's defaults.
_WEIGHTS: dict[str, dict[str, float]] = {
    HYBRID: {},
    WORDS: {**dict.fromkeys(SCORE_COMPONENTS, 0.0), LEXICAL: 1.0},
    VECTORS: {**dict.fromkeys(SCORE_COMPONENTS, 0.0), DENSE: 1.0},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryMetrics:
    """Figures of one way to answer, one value a query, NaN where the query has nothing to find."""

    ndcg: np.ndarray
    recall: np.ndarray


def ndcg(ids: Sequence[bytes], grades: Mapping[bytes, float]) -> float:
    """nDCG@10 of a list of items; NaN where no grade is above 0."""
    ideal = _discounted(sorted(grades.values(), reverse=True))
    return _discounted([grades.get(item, 0.0) for item in ids]) / ideal if ideal else math.nan


def _discounted(grades: Sequence[float]) -> float:
    return sum((2.0**grade - 1.0) / math.log2(place + 2.0) for place, grade in enumerate(grades[:TOP]))


def recall(ids: Sequence[bytes], grades: Mapping[bytes, float]) -> float:
    """Recall@100 of the items of grade 2 and 3; NaN where there is none."""
    wanted = {item for item, grade in grades.items() if grade >= WANTED_GRADE}
    return len(wanted & set(ids[:DEPTH])) / len(wanted) if wanted else math.nan


def query_metrics(answers: Sequence[Sequence[bytes]], requests: Sequence[JudgedRequest]) -> QueryMetrics:
    """The figures of answers, one list of items for each request."""
    pairs = [(ids, request.grades) for ids, request in zip(answers, requests, strict=True)]
    return QueryMetrics(
        ndcg=np.array([ndcg(*pair) for pair in pairs]), recall=np.array([recall(*pair) for pair in pairs])
    )


def paired_bootstrap(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Mean difference over the queries that count, and the 2.5 and 97.5 percentiles of its paired bootstrap."""
    each = (ours - theirs)[~np.isnan(ours)]
    samples = each[np.random.default_rng(SEED).integers(0, len(each), [RESAMPLES, len(each)])].mean(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5])
    return float(each.mean()), float(low), float(high)


def run_queries(
    model: LoadedModel, requests: Sequence[JudgedRequest], weights: Mapping[str, float]
) -> list[list[bytes]]:
    """The first hundred items for each request; those of the words alone end where no word matches."""
    signature = model.signatures["search"]
    answers: list[list[bytes]] = [[] for _ in requests]
    for start in range(0, len(requests), _BATCH):
        batch = stack_queries([request.query for request in requests[start : start + _BATCH]])
        size = len(next(iter(batch.values())))
        given = {f"weight_{part}": np.full([size], value, np.float32) for part, value in weights.items()}
        if weights:
            given[INTENT_WEIGHT] = np.zeros([size], np.float32)  # one side alone is not mixed with others
        page, width = 1, 0
        while width * (page - 1) < DEPTH:
            pages = {"page": np.full([size], page, np.int32), "page_size": np.full([size], DEPTH, np.int32)}
            found = predict_arrays(model, signature, {**batch, **given, **pages})
            width = found["ids"].shape[1]
            for row in range(size):
                count = int(found["num_results"][row])
                if weights and not weights[DENSE]:
                    count = int((found[f"score_{LEXICAL}"][row, :count] > 0.0).sum())
                answers[start + row] += found["ids"][row, :count].tolist()
            page += 1
    return answers


def run_bm25(items: Path, requests: Sequence[JudgedRequest]) -> list[list[bytes]]:
    """The same from BM25 over title, description and brand as one text an item, every word counting the same."""
    read = read_texts(items, "item_id", "title", "description", "brand")
    texts = [b" ".join(parts) for parts in zip(read["title"], read["description"], read["brand"], strict=True)]
    index = LexicalIndex(build_postings({"text": texts}, weights={"text": 1.0}))
    terms = index.terms(tf.constant([request.query["query_text"] for request in requests]))
    rows = index.propose(terms, DEPTH).numpy()
    return [[read["item_id"][row] for row in found if row >= 0] for found in rows]


def comparison_table(figures: Mapping[str, QueryMetrics]) -> str:
    """A table of the means, and the differences of the first way to the others."""
    lines = [f"{'':14} {'nDCG@10':>8} {'recall@100':>11}"]
    for name, judged in figures.items():
        lines.append(f"{name:14} {np.nanmean(judged.ndcg):8.3f} {np.nanmean(judged.recall):11.3f}")
    first, *others = figures
    for name in others:
        for what in ("ndcg", "recall"):
            mean, low, high = paired_bootstrap(getattr(figures[first], what), getattr(figures[name], what))
            lines.append(f"{first} - {name}, {what}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of one version")
    parser.add_argument("--events", type=Path, required=True, help="folder of event Examples with judged queries")
    parser.add_argument("--items", type=Path, help="folder of item Examples, for plain BM25 beside the bundle")
    arguments = parser.parse_args()
    manifest = json.loads((arguments.bundle / MANIFEST_PATH).read_text(encoding="utf-8"))
    config = from_dict(manifest["config"], Config())
    requests = read_judged(arguments.events, wire=config.wire)
    if not requests:
        raise SystemExit(f"{arguments.events} holds no judged query; wanted event Examples with label_grade.")
    model = LoadedModel(arguments.bundle, missing_libraries=load_op_libraries())
    try:
        figures = {
            name: query_metrics(run_queries(model, requests, weights), requests) for name, weights in _WEIGHTS.items()
        }
    finally:
        model.close()
    if arguments.items:
        figures[PLAIN] = query_metrics(run_bm25(arguments.items, requests), requests)
    counts = [int(np.isfinite(values).sum()) for values in (figures[HYBRID].ndcg, figures[HYBRID].recall)]
    print(
        f"{len(requests)} judged queries, {counts[0]} with an item of a grade above 0, {counts[1]} with one of 2 or 3"
    )
    print(comparison_table(figures))


if __name__ == "__main__":
    main()
