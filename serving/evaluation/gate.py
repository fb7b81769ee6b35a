"""How well a bundle answers the requests of the past, measured on the bundle itself, and whether that is enough.

Recall@10 of a request is the share of its relevant products (groups of variants) that are on the first page of ten, as
in the table of the trainer. The floors beside it are what needs no model: the ten most popular products, and chance.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serving.evaluation.eval_requests import (
    EvalRequest,
    count_positives,
    read_eval_requests,
    read_group_ids,
    stack_queries,
)
from serving.server.models.saved_model import LoadedModel, load_op_libraries
from serving.server.protocol.predict import predict_arrays
from trainer.spec.config import WireConfig

RECALL_AT = 10
BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class QualityGate:
    """What a bundle must reach.

    Attributes:
      min_recall: Recall@10, at least.
      min_lift_over_popularity: Recall@10 above that of popularity, more than this; -1 asks for nothing.
      max_regression: How much less than the last blessed bundle it may have.
    """

    min_recall: float
    min_lift_over_popularity: float
    max_regression: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
    """What was measured.

    Attributes:
      requests: How many requests were asked.
      recall: Mean recall@10 of the bundle.
      popularity: The same of the ten most popular products.
      chance: The same of ten products at random, in expectation.
      baseline: The same of the last blessed bundle on the same requests, None without one.
      remark: Why there is no baseline, or "".
      example: A text that was searched for, or "".
      example_item: An item of the catalogue that was acted on, or "".
      seconds: Time taken.
    """

    requests: int
    recall: float
    popularity: float
    chance: float
    baseline: float | None
    remark: str
    example: str
    example_item: str
    seconds: float

    def problems(self, gate: QualityGate) -> list[str]:
        """Why the bundle is not good enough, one line each; empty when it is."""
        if not self.requests:
            return ["there is no eval request that led to an item, so nothing can be measured; bring more events"]
        found = []
        if self.recall - self.popularity <= gate.min_lift_over_popularity:
            found.append(
                f"recall@10 is {self.recall:.3f}, popularity's is {self.popularity:.3f}; "
                f"wanted more than {gate.min_lift_over_popularity:.3f} above it"
            )
        if self.recall < gate.min_recall:
            found.append(f"recall@10 is {self.recall:.3f}; wanted at least {gate.min_recall:.3f}")
        if self.baseline is not None and self.recall < self.baseline - gate.max_regression:
            found.append(
                f"recall@10 is {self.recall:.3f}; the last blessed bundle has {self.baseline:.3f} "
                f"and a drop of {gate.max_regression:.3f} is allowed"
            )
        return found

    def summary_line(self) -> str:
        """The figures in one line."""
        baseline = f", last blessed {self.baseline:.3f}" if self.baseline is not None else f" ({self.remark})"
        return (
            f"recall@10 {self.recall:.3f} on {self.requests} requests; floors: popularity {self.popularity:.3f}, "
            f"chance {self.chance:.3f}{baseline}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalData:
    """What bundles are asked, and what they are compared with: one folder each of items, train and eval Examples."""

    items: Path
    train: Path
    evaluation: Path
    wire: WireConfig
    max_requests: int


def evaluate_bundle(version: Path, *, trial: EvalData, baseline: Path | None, remark: str) -> Quality:
    """The quality of the SavedModel in folder `version`, and of the one in `baseline` on the same requests."""
    started = time.monotonic()
    requests = read_eval_requests(trial.evaluation, wire=trial.wire, limit=trial.max_requests)
    groups = read_group_ids(trial.items)
    wanted = [frozenset(groups[item] for item in request.relevant if item in groups) for request in requests]
    popular = count_positives(trial.train)
    favourites = _first_groups([item for item, _ in popular.most_common()], groups)
    recall = _recall_of(version, requests=requests, wanted=wanted, groups=groups)
    before = None
    if baseline is not None:
        try:
            before = _recall_of(baseline, requests=requests, wanted=wanted, groups=groups)
        except Exception as error:  # It may want another wire form, or ops that are gone: then it is no measure.
            remark = f"the last blessed bundle cannot answer these requests: {type(error).__name__}"
    products = max(1, len(set(groups.values())))
    return Quality(
        requests=len(requests),
        recall=recall,
        popularity=_mean([_recall(favourites, relevant) for relevant in wanted]),
        chance=_mean([min(1.0, RECALL_AT / products) if r else 0.0 for r in wanted]),
        baseline=before,
        remark=remark,
        example=next(
            (text for request in requests if (text := request.query["query_text"].decode("utf-8", "replace"))), ""
        ),
        example_item=min((item for r in requests for item in r.relevant if item in groups), default=b"").decode(),
        seconds=time.monotonic() - started,
    )


def _recall_of(
    version: Path,
    *,
    requests: Sequence[EvalRequest],
    wanted: Sequence[frozenset[bytes]],
    groups: Mapping[bytes, bytes],
) -> float:
    """Mean recall@10 of one SavedModel, asked through its `search` signature."""
    model = LoadedModel(version, missing_libraries=load_op_libraries())
    try:
        signature = model.signatures["search"]
        answers: list[frozenset[bytes]] = []
        for start in range(0, len(requests), BATCH_SIZE):
            batch = stack_queries([request.query for request in requests[start : start + BATCH_SIZE]])
            size = len(next(iter(batch.values())))
            found = predict_arrays(model, signature, {**batch, "page_size": np.full([size], RECALL_AT, np.int32)})
            answers += [_first_groups(row.tolist(), groups) for row in found["ids"]]
        return _mean([_recall(answer, relevant) for answer, relevant in zip(answers, wanted, strict=True)])
    finally:
        model.close()


def _first_groups(items: Sequence[bytes], groups: Mapping[bytes, bytes]) -> frozenset[bytes]:
    """The first ten products among items, best first."""
    return frozenset(list(dict.fromkeys(groups[item] for item in items if item in groups))[:RECALL_AT])


def _recall(answer: frozenset[bytes], relevant: frozenset[bytes]) -> float:
    return len(answer & relevant) / len(relevant) if relevant else 0.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
