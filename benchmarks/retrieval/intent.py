"""Effect of intent and review sentiment on recorded requests: each switched off and on.

    python -m benchmarks.retrieval.intent --bundle runs/demo/bundle/stock/1 --events 'FOLDER of eval Examples'

For the items that shoppers acted on, and for those that they bought: recall@10 and the mean reciprocal rank of the
first one, with a paired bootstrap of the difference to both switched off.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads
from serving.evaluation.eval_requests import EvalRequest, read_eval_requests, stack_queries
from serving.evaluation.judgments import paired_bootstrap
from serving.manifest import MANIFEST_PATH
from serving.server.protocol.predict import predict_arrays
from serving.server.sessions.saved_model import LoadedModel, load_op_libraries
from trainer.metrics import recall_at
from trainer.spec.config import Config, from_dict
from trainer.spec.serving.search_fields import INTENT_WEIGHT
from trainer.spec.tasks import SENTIMENT

WIDTH, BATCH, LIMIT = 50, 32, 1_000
OFF, INTENT, REVIEWS, BOTH, WEIGHT = "off", "intent", "sentiment", "both", f"weight_{SENTIMENT}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestMetrics:
    """Recall@10 and reciprocal rank, [request] each."""

    recall: np.ndarray
    reciprocal: np.ndarray


def run_requests(
    model: LoadedModel, requests: Sequence[EvalRequest], settings: Mapping[str, float]
) -> list[list[bytes]]:
    """Returns the first page of `WIDTH` results of each request."""
    found: list[list[bytes]] = []
    for start in range(0, len(requests), BATCH):
        batch = stack_queries([request.query for request in requests[start : start + BATCH]])
        size = len(next(iter(batch.values())))
        given = {name: np.full([size], value, np.float32) for name, value in settings.items()}
        page = {"page_size": np.full([size], WIDTH, np.int32)}
        answer = predict_arrays(model, model.signatures["search"], {**batch, **given, **page})
        found += [ids[:count].tolist() for ids, count in zip(answer["ids"], answer["num_results"], strict=True)]
    return found


def request_metrics(answers: Sequence[Sequence[bytes]], wanted: Sequence[frozenset[bytes]]) -> RequestMetrics:
    """Computes the metrics of each request."""
    recall, reciprocal = [], []
    for ids, items in zip(answers, wanted, strict=True):
        recall.append(recall_at(ids, items, k=10))
        positions = [position for position, item in enumerate(ids) if item in items]
        reciprocal.append(1.0 / (1 + positions[0]) if positions else 0.0)
    return RequestMetrics(recall=np.array(recall), reciprocal=np.array(reciprocal))


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="a version folder")
    parser.add_argument("--events", required=True, help="folder of event Examples")
    parser.add_argument("--intent_weight", type=float, default=1.0, help="where intent is switched on")
    parser.add_argument("--weight_sentiment", type=float, default=0.2, help="where sentiment is switched on")
    options = parser.parse_args()
    manifest = json.loads((options.bundle / MANIFEST_PATH).read_text(encoding="utf-8"))
    wire = from_dict(manifest["config"], Config()).wire
    model = LoadedModel(options.bundle, missing_libraries=load_op_libraries())
    shift, weight = options.intent_weight, options.weight_sentiment
    settings = {
        OFF: {INTENT_WEIGHT: 0.0, WEIGHT: 0.0},
        INTENT: {INTENT_WEIGHT: shift, WEIGHT: 0.0},
        REVIEWS: {INTENT_WEIGHT: 0.0, WEIGHT: weight},
        BOTH: {INTENT_WEIGHT: shift, WEIGHT: weight},
    }
    print(f"on: {INTENT_WEIGHT} {shift:g}, {WEIGHT} {weight:g}\n")
    print("| items | requests | switched on | recall@10 | to off | MRR@50 | to off |\n" + "|---" * 7 + "|")
    for title, label in (("acted on", "positive"), ("bought", "label_purchase")):
        requests = read_eval_requests(options.events, wire=wire, limit=LIMIT, label=label)
        wanted = [request.relevant for request in requests]
        figures = {
            name: request_metrics(run_requests(model, requests, given), wanted) for name, given in settings.items()
        }
        for name, found in figures.items():
            cells = []
            for ours, base in (
                (found.recall, figures[OFF].recall),
                (found.reciprocal, figures[OFF].reciprocal),
            ):
                mean, low, high = paired_bootstrap(ours, base)
                cells += [f"{ours.mean():.4f}", f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"]
            print(f"| {title} | {len(requests)} | {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
