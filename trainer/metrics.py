"""Retrieval and classification metrics: recall, nDCG, MRR, AUC, log loss, calibration error; ranks are exact."""

import dataclasses
import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

RECALL_AT = (1, 10, 100)
NDCG_AT = 10
RELEVANT_GRADE = 2.0  # recall over judged items counts those of this grade and better
# Scores of the whole catalogue for some requests: [n] int -> [n, items] float, there until the next call.
Scorer = Callable[[np.ndarray], np.ndarray]
_BLOCK_CELLS = 12_000_000  # 48 MB of float32
_Item = TypeVar("_Item", bound=Hashable)
_Grade = TypeVar("_Grade", float, np.ndarray)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relevant:
    """Pairs of a request and an item that retrieval should find, each at most once.

    Attributes:
      request: [pair] int, number of the request.
      item: [pair] int, store row.
      gain: [pair] float, gain of nDCG.
      is_relevant: [pair] bool, whether recall counts the pair.
    """

    request: np.ndarray
    item: np.ndarray
    gain: np.ndarray
    is_relevant: np.ndarray

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.request)

    def num_requests(self) -> int:
        """The number of requests with a relevant item."""
        return len(np.unique(self.request[self.is_relevant]))

    def where(self, mask: np.ndarray) -> "Relevant":
        """Only the pairs of `mask` ([pair] bool)."""
        return Relevant(**{f.name: getattr(self, f.name)[mask] for f in dataclasses.fields(self)})


def count_ranks(scorer: Scorer, relevant: Relevant, *, num_items: int) -> np.ndarray:
    """The rank of each pair's item among all items, from 1: [pair] float64.

    The rank is one more than the number of items that score strictly higher, plus half of the others that score the
    same: the mean over every order of the ties. A score of NaN ranks last.
    """
    result = np.zeros(len(relevant))
    order = np.argsort(relevant.request, kind="stable")
    size = max(1, _BLOCK_CELLS // max(1, num_items))
    for start in range(0, len(order), size):
        pairs = order[start : start + size]
        requests, position = np.unique(relevant.request[pairs], return_inverse=True)
        scores = scorer(requests)
        # Row by row: a row stays in the cache, and counting in one dimension is several times as fast as along an axis.
        for pair, row, item in zip(pairs, position, relevant.item[pairs], strict=True):
            line, own = scores[row], scores[row, item]
            if np.isnan(own):
                line, own = np.where(np.isnan(line), -np.inf, line), -np.inf
            at_least = np.count_nonzero(line >= own)  # the item itself among them, a NaN never
            higher = np.count_nonzero(line > own) if at_least > 1 else 0
            result[pair] = 1.0 + higher + (at_least - higher - 1) / 2.0
    return result


def similarity_scorer(
    query_keys: np.ndarray, item_keys: np.ndarray, *, history_rows: np.ndarray, repeats: np.ndarray
) -> Scorer:
    """Returns the scorer of vector similarity, with the repurchase bonus of the items of each history.

    Args:
      query_keys: [request, key_dim] float32.
      item_keys: [items, key_dim] float32.
      history_rows: [request, history] int, store rows, -1 = absent.
      repeats: [request, history] float32, bonus of each.
    """
    buffer = np.empty([0, len(item_keys)], np.float32)  # used again: new memory costs as much as filling it

    def scores(requests: np.ndarray) -> np.ndarray:
        nonlocal buffer
        if len(buffer) < len(requests):
            buffer = np.empty([len(requests), len(item_keys)], np.float32)
        result = np.matmul(query_keys[requests], item_keys.T, out=buffer[: len(requests)])
        row, entry = np.nonzero(history_rows[requests] >= 0)
        np.add.at(result, (row, history_rows[requests][row, entry]), repeats[requests][row, entry])
        return result

    return scores


def exclude_items(scorer: Scorer, excluded_items: np.ndarray) -> Scorer:
    """Returns `scorer` with the items `excluded_items` [request, any] ranked below all others; -1 = none."""

    def scores(requests: np.ndarray) -> np.ndarray:
        result = np.array(scorer(requests), np.float64)
        row, column = np.nonzero(excluded_items[requests] >= 0)
        result[row, excluded_items[requests][row, column]] = -np.inf
        return result

    return scores


def retrieval_metrics(relevant: Relevant, ranks: np.ndarray) -> dict[str, float]:
    """Recall, hit rate, mean reciprocal rank and nDCG: means of `request_metrics`; NaN where there is no request."""
    return {name: _mean(values) for name, values in request_metrics(relevant, ranks).items()}


def request_metrics(relevant: Relevant, ranks: np.ndarray) -> dict[str, np.ndarray]:
    """Recall, hits, reciprocal rank and nDCG of each request.

    Returns:
      `recall@k` (share of a request's relevant items within rank k) and `hit@k` (whether any is), `mrr` (one over the
      rank of the first), each of the requests with a relevant item; `ndcg@10` of the requests with a gain above 0.
    """
    is_relevant = relevant.is_relevant
    requests, index = np.unique(relevant.request[is_relevant], return_inverse=True)
    sizes = np.bincount(index, minlength=len(requests))
    values = {}
    for k in RECALL_AT:
        hits = np.bincount(index, ranks[is_relevant] <= k, minlength=len(requests))
        values[f"recall@{k}"] = hits / np.maximum(sizes, 1)
        values[f"hit@{k}"] = (hits > 0).astype(np.float64)
    best = np.full(len(requests), np.inf)
    np.minimum.at(best, index, ranks[is_relevant])
    values["mrr"] = 1.0 / best
    ideal, of_pair = _ideal_dcg(relevant)
    gains = np.where(ranks <= NDCG_AT, relevant.gain / np.log2(1.0 + ranks), 0.0)
    dcg = np.bincount(of_pair, gains, minlength=len(ideal))
    values[f"ndcg@{NDCG_AT}"] = dcg[ideal > 0] / ideal[ideal > 0]
    return values


def chance_metrics(relevant: Relevant, *, num_items: int) -> dict[str, float]:
    """Expected value of each of `retrieval_metrics` under a random order, in closed form."""
    requests, index = np.unique(relevant.request[relevant.is_relevant], return_inverse=True)
    sizes = np.bincount(index, minlength=len(requests))
    metrics = {}
    for k in RECALL_AT:
        metrics[f"recall@{k}"] = _mean(np.full(len(requests), min(k, num_items) / num_items))
        metrics[f"hit@{k}"] = _mean(np.array([1.0 - _miss_probability(num_items, size, k) for size in sizes]))
    metrics["mrr"] = _mean(np.array([_expected_reciprocal_rank(num_items, size) for size in sizes]))
    ideal, of_pair = _ideal_dcg(relevant)
    discount = np.sum(1.0 / np.log2(1.0 + np.arange(1, min(NDCG_AT, num_items) + 1))) / num_items
    total = np.bincount(of_pair, relevant.gain, minlength=len(ideal))
    metrics[f"ndcg@{NDCG_AT}"] = _mean(total[ideal > 0] * discount / ideal[ideal > 0])
    return metrics


def recall_at(ranked: Sequence[_Item], relevant: Collection[_Item], *, k: int) -> float:
    """Recall@k of one ranked list: the share of `relevant` among its first `k`; NaN where nothing is relevant."""
    wanted = set(relevant)
    return len(wanted & set(ranked[:k])) / len(wanted) if wanted else float("nan")


def ndcg_at(ranked: Sequence[_Item], gains: Mapping[_Item, float], *, k: int) -> float:
    """nDCG@k of one ranked list; NaN where no gain is above 0.

    Args:
      ranked: Items, best first, each at most once.
      gains: Gain of each judged item (`grade_gain` of its grade); any other item has none.
      k: Length of the list that counts.
    """
    ideal = _dcg(sorted(gains.values(), reverse=True)[:k])
    return _dcg([gains.get(item, 0.0) for item in ranked[:k]]) / ideal if ideal else float("nan")


def grade_gain(grade: _Grade) -> _Grade:
    """Gain of a judged grade in nDCG: 2^grade - 1."""
    return 2.0**grade - 1.0


def _dcg(gains: Sequence[float]) -> float:
    return float(sum(gain / math.log2(place + 2.0) for place, gain in enumerate(gains)))


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half; NaN unless both occur.

    Args:
      labels: [n] 0 or 1.
      scores: [n] float.
    """
    positive = labels > 0.5
    if positive.all() or not positive.any():
        return float("nan")
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    num_positive = int(positive.sum())
    above = mean_rank[index][positive].sum() - num_positive * (num_positive + 1) / 2.0
    return float(above / (num_positive * (len(labels) - num_positive)))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean cross-entropy in nats; probabilities are kept within 1e-7 of 0 and 1. NaN without rows."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1.0 - 1e-7)
    return _mean(-(labels * np.log(p) + (1.0 - labels) * np.log(1.0 - p)))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, *, bins: int = 10) -> float:
    """Expected calibration error over bins of equally many probabilities; NaN without rows.

    Equal probabilities share a bin: https://doi.org/10.1609/aaai.v29i1.9602

    Args:
      labels: [n] 0 or 1.
      probabilities: [n] float.
      bins: Their maximum number.
    """
    if not len(labels):
        return float("nan")
    edges = np.quantile(probabilities, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    _, own = np.unique(np.searchsorted(edges, probabilities, side="right"), return_inverse=True)
    return float(np.abs(np.bincount(own, weights=probabilities - labels)).sum() / len(labels))


def pairwise_accuracy(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """Share of the pairs of one group with unequal labels whose scores are in the same order, ties half; NaN if none.

    Args:
      labels: [n] numbers.
      scores: [n] float.
      groups: [n] integers.
    """
    concordant, pairs = 0.0, 0
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        above = labels[rows][:, np.newaxis] > labels[rows][np.newaxis]
        difference = scores[rows][:, np.newaxis] - scores[rows][np.newaxis]
        concordant += float(np.sum((difference > 0) & above) + 0.5 * np.sum((difference == 0) & above))
        pairs += int(above.sum())
    return concordant / pairs if pairs else float("nan")


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of equal class numbers [n]; NaN without rows."""
    return _mean(labels == predicted)


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 over the classes that occur among `labels` [n], each with the weight 1; NaN without rows."""
    scores = []
    for number in np.unique(labels):
        hits = np.sum((labels == number) & (predicted == number))
        scores.append(2.0 * hits / (np.sum(labels == number) + np.sum(predicted == number)))
    return _mean(scores)


class _IdealDcg(NamedTuple):
    """The best DCG of each request [request], and for each pair the index of its request [pair]."""

    dcg: np.ndarray
    of_pair: np.ndarray


def _ideal_dcg(relevant: Relevant) -> _IdealDcg:
    requests, index = np.unique(relevant.request, return_inverse=True)
    order = np.lexsort((-relevant.gain, index))
    starts = np.searchsorted(index[order], np.arange(len(requests)))
    place = np.arange(len(order)) - starts[index[order]]
    gains = np.where(place < NDCG_AT, relevant.gain[order] / np.log2(place + 2.0), 0.0)
    return _IdealDcg(np.bincount(index[order], gains, minlength=len(requests)), index)


def _miss_probability(num_items: int, num_relevant: int, depth: int) -> float:
    """Probability that none of the relevant items is among `depth` random ones."""
    result = 1.0
    for i in range(num_relevant):
        result *= max(0, num_items - depth - i) / (num_items - i)
    return result


def _expected_reciprocal_rank(num_items: int, num_relevant: int) -> float:
    """The mean of one over the best rank of `num_relevant` items in a random order."""
    # P(best > r) = C(n - r, m) / C(n, m), by its ratio from one r to the next.
    depth = np.arange(num_items - num_relevant + 1)
    ratios = (num_items - depth - num_relevant) / (num_items - depth)
    missed = np.concatenate([[1.0], np.cumprod(ratios)])
    return float(np.sum((missed[:-1] - missed[1:]) / (depth + 1)))


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def mean_absolute_error(labels: np.ndarray, predicted: np.ndarray) -> float:
    """The mean absolute error of predictions [n]."""
    return float(np.mean(np.abs(np.asarray(labels, np.float64) - predicted)))


def poisson_deviance(labels: np.ndarray, rates: np.ndarray, *, min_rate: float = 1e-2) -> float:
    """The mean deviance 2 (y ln(y / r) - y + r) of counts y [n] from rates r [n], which are at least `min_rate`."""
    y, r = np.asarray(labels, np.float64), np.maximum(np.asarray(rates, np.float64), min_rate)
    ratio = np.where(y > 0.0, y, 1.0) / np.where(y > 0.0, r, 1.0)
    return float(np.mean(2.0 * (y * np.log(ratio) - y + r)))
