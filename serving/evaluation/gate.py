"""Quality gate: recall@10 of a bundle on recorded requests, beside baselines, and the thresholds it has to meet.

Recall@10 of a request is the share of its relevant products (groups of variants) that are on the first page of ten, as
in the table of the trainer. The baselines need no model: the ten most popular products, and chance.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np

from serving import remote_files
from serving.evaluation.eval_requests import (
    EvalRequest,
    count_positives,
    read_eval_requests,
    read_group_ids,
    stack_queries,
)
from serving.server.protocol.predict import predict_arrays
from serving.server.sessions.saved_model import LoadedModel, load_op_libraries
from trainer.intervals import Interval, mean_interval
from trainer.metrics import recall_at
from trainer.spec.config import WireConfig

PAGE_SIZE = 10
BATCH_SIZE = 32
NOT_MEASURED = (
    "recall@10 is not measured: no eval request led to an item. Bring events with clicks or purchases, or publish "
    "without this measure: --min_lift_over_popularity=-1 --min_recall=0"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class QualityGate:
    """Thresholds that a bundle has to meet to be blessed.

    Attributes:
      min_recall: Minimum of recall@10.
      min_lift_over_popularity: Recall@10 has to exceed popularity's by more than this; -1 requires nothing.
      max_regression: Allowed drop of recall@10 below the last blessed bundle.
    """

    min_recall: float
    min_lift_over_popularity: float
    max_regression: float

    def requires_nothing(self) -> bool:
        """Whether a bundle passes whose recall is not measured, because no eval request led to an item."""
        return self.min_recall <= 0.0 and self.min_lift_over_popularity <= -1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
    """Figures of a bundle.

    Attributes:
      requests: Number of requests.
      products: Number of products of the catalogue: groups of variants.
      recall: Mean recall@10 of the bundle.
      recall_interval: Its 95 % confidence interval over the requests; (0, 1) without any.
      products_shown: Number of products that are on the first page of at least one request.
      popularity: The same of the ten most popular products.
      chance: The same of ten products at random, in expectation.
      baseline: The same of the last blessed bundle on the same requests, None without one.
      remark: Why there is no baseline, or "".
      example: A recorded query text, or "".
      example_item: An item of the catalogue, a relevant one where there is one, or "".
      seconds: Time taken.
    """

    requests: int
    products: int
    recall: float
    recall_interval: Interval
    products_shown: int
    popularity: float
    chance: float
    baseline: float | None
    remark: str
    example: str
    example_item: str
    seconds: float

    @property
    def fits_one_page(self) -> bool:
        """True where ten results are the whole catalogue, so that every order of them has the same recall@10."""
        return self.products <= PAGE_SIZE

    def problems(self, gate: QualityGate) -> list[str]:
        """Returns why the bundle does not pass, one line each; empty when it does."""
        if not self.requests:
            shows_nothing = self.fits_one_page and gate.min_recall <= 0.0
            return [] if gate.requires_nothing() or shows_nothing else [NOT_MEASURED]
        found = []
        if not self.fits_one_page and -1.0 < gate.min_lift_over_popularity >= self.recall - self.popularity:
            found.append(
                f"recall@10 is {self.recall:.3f}, popularity's is {self.popularity:.3f}; "
                f"wanted more than {gate.min_lift_over_popularity:.3f} above it "
                "(--min_lift_over_popularity; -1 requires nothing)"
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
        """Returns the figures in one line."""
        page = (
            f"; the catalogue has {self.products} products: ten results of them show nothing, and none is required to "
            "exceed popularity"
            if self.fits_one_page
            else ""
        )
        if not self.requests:
            return f"recall@10 is not measured: no eval request led to an item{page}"
        baseline = f", last blessed {self.baseline:.3f}" if self.baseline is not None else f" ({self.remark})"
        return (
            f"recall@10 {self.recall:.3f} on {self.requests} requests; baselines: popularity {self.popularity:.3f}, "
            f"chance {self.chance:.3f}{baseline}{page}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalData:
    """Evaluation data: folders or URIs of item, train and eval Examples, one each."""

    items: str
    train: str
    evaluation: str
    wire: WireConfig
    max_requests: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _EvalSet:
    """Requests with their relevant groups ([request]), and {item: group} of the catalogue."""

    requests: Sequence[EvalRequest]
    relevant: Sequence[frozenset[bytes]]
    groups: Mapping[bytes, bytes]

    def recalls(self, ranked: Sequence[Sequence[bytes]]) -> list[float]:
        """Recall@10 of ranked groups, one list for each request; one without a relevant group counts as 0."""
        pairs = zip(ranked, self.relevant, strict=True)
        return [recall_at(groups, relevant, k=PAGE_SIZE) if relevant else 0.0 for groups, relevant in pairs]

    def group_ranking(self, items: Sequence[bytes]) -> list[bytes]:
        """The groups of ranked items, each once, best first."""
        return list(dict.fromkeys(self.groups[item] for item in items if item in self.groups))


def evaluate_bundle(version: str, *, data: EvalData, baseline: str | None, remark: str) -> Quality:
    """Measures the SavedModel at `version`, and the one at `baseline` on the same requests.

    Args:
      version: Folder or URI of a bundle's version.
      data: Requests and catalogue.
      baseline: Folder or URI of the last blessed bundle's version.
      remark: Reason why there is no baseline.
    """
    started = time.monotonic()
    eval_set = _read_eval_set(data)
    popular = [item for item, _ in count_positives(data.train).most_common()]
    ranked = _ranked_groups(version, eval_set)
    recalls = eval_set.recalls(ranked)
    baseline_recall = None
    if baseline is not None:
        try:
            baseline_recall = _mean(eval_set.recalls(_ranked_groups(baseline, eval_set)))
        except Exception as error:  # It may want another wire form, or ops that are gone: then it is no baseline.
            remark = f"the last blessed bundle cannot answer these requests: {type(error).__name__}"
    num_groups = len(set(eval_set.groups.values()))
    texts = (request.query["query_text"].decode("utf-8", "replace") for request in eval_set.requests)
    items = (item for request in eval_set.requests for item in request.relevant if item in eval_set.groups)
    return Quality(
        requests=len(eval_set.requests),
        products=num_groups,
        recall=_mean(recalls),
        recall_interval=mean_interval(np.array(recalls)) if recalls else Interval(0.0, 1.0),
        products_shown=len({group for groups in ranked for group in groups[:PAGE_SIZE]}),
        popularity=_mean(eval_set.recalls([eval_set.group_ranking(popular)] * len(eval_set.requests))),
        chance=_mean([min(1.0, PAGE_SIZE / max(1, num_groups)) if relevant else 0.0 for relevant in eval_set.relevant]),
        baseline=baseline_recall,
        remark=remark,
        example=next((text for text in texts if text), ""),
        example_item=min(items, default=min(eval_set.groups, default=b"")).decode(),
        seconds=time.monotonic() - started,
    )


def _read_eval_set(data: EvalData) -> _EvalSet:
    requests = read_eval_requests(data.evaluation, wire=data.wire, limit=data.max_requests)
    groups = read_group_ids(data.items)
    relevant = [frozenset(groups[item] for item in request.relevant if item in groups) for request in requests]
    return _EvalSet(requests=requests, relevant=relevant, groups=groups)


def _ranked_groups(version: str, eval_set: _EvalSet) -> list[list[bytes]]:
    """The groups on the first page of each request, of one SavedModel, queried through its `search` signature."""
    with remote_files.local_copy(version) as folder:
        model = LoadedModel(folder, missing_libraries=load_op_libraries())
    try:
        ranked: list[list[bytes]] = []
        for start in range(0, len(eval_set.requests), BATCH_SIZE):
            batch = stack_queries([request.query for request in eval_set.requests[start : start + BATCH_SIZE]])
            page_size = np.full([len(next(iter(batch.values())))], PAGE_SIZE, np.int32)
            found = predict_arrays(model, model.signatures["search"], {**batch, "page_size": page_size})
            ranked += [eval_set.group_ranking(row.tolist()) for row in found["ids"]]
        return ranked
    finally:
        model.close()


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
