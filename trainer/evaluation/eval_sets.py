"""Evaluation sets: the relevant pairs of held-out requests, and the slices that they fall into."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.metrics import Relevant
from trainer.spec.branches import branches_of
from trainer.spec.features import Side
from trainer.spec.model_inputs import BRANCHES
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore
from trainer.tables.open import TrainingTables


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requests:
    """The requests of the held-out split.

    Attributes:
      ids: [request] bytes objects.
      first_row: [request] int, the event row that the request's query is read from.
      of_row: [row] int, the request of each event row, -1 for a review.
    """

    ids: np.ndarray
    first_row: np.ndarray
    of_row: np.ndarray

    @classmethod
    def from_events(cls, events: EventTable) -> "Requests":
        """Groups the rows of `events` by request."""
        rows = np.flatnonzero(~events.is_review())
        ids = events.request_ids()[rows].astype(bytes)
        names, first, index = np.unique(ids, return_index=True, return_inverse=True)
        of_row = np.full(events.num_rows, -1)
        of_row[rows] = index
        return cls(ids=names, first_row=rows[first], of_row=of_row)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalSet:
    """One evaluation set.

    Attributes:
      name: Key in reports.
      title: Title in reports.
      relevant: The relevant pairs.
      slices: Masks over pairs, by name.
      excluded_items: [request, any] int, store rows that are not ranked, -1 = none.
    """

    name: str
    title: str
    relevant: Relevant
    slices: Mapping[str, np.ndarray]
    excluded_items: np.ndarray | None = None


def build_eval_sets(
    tables: TrainingTables, *, requests: Requests, truth: Mapping[int, Mapping[str, Any]], counts: np.ndarray
) -> list[EvalSet]:
    """Builds the evaluation sets that the data has; modality masking is measured on the last that ranks all items."""
    events = tables.evaluation
    grades, weights, items = (events.values(name) for name in ("label_grade", "positive", "item_row"))
    result = []

    query = events.gather_queries(requests.first_row)
    history = query["history_rows"]

    def add(name: str, title: str, relevant: Relevant, excluded_items: np.ndarray | None = None) -> None:
        if len(relevant):
            slices = _slices(relevant, query=query, truth=truth, counts=counts)
            result.append(
                EvalSet(name=name, title=title, relevant=relevant, slices=slices, excluded_items=excluded_items)
            )

    held_out = (weights > 0) & (grades < 0)
    pairs = _pairs(requests.of_row[held_out], items[held_out], np.ones(held_out.sum()))
    add("held_out", "Held-out actions", pairs)
    repeated = _in_history(pairs, history)
    if repeated.any():
        title = "Held-out actions on what is new to the shopper, ranked among what is"
        add("new", title, pairs.where(~repeated), excluded_items=history)
    judged = grades >= 0
    add(
        "judged",
        "Judged requests (recall over grade 2 and 3, gain 2^grade - 1, unjudged 0)",
        _pairs(requests.of_row[judged], items[judged], grades[judged], judged=True),
    )
    planted = [(request, row) for request, line in truth.items() for row in line["rows"]]
    if planted:
        request, row = np.array(planted).T
        add("planted", "Planted truth", _pairs(request, row, np.ones(len(row))))
    return result


def _pairs(request: np.ndarray, item: np.ndarray, grade: np.ndarray, judged: bool = False) -> Relevant:
    """Distinct pairs, each with its highest grade."""
    order = np.lexsort((-grade, item, request))
    request, item, grade = request[order], item[order], grade[order]
    new = np.ones(len(order), bool)
    new[1:] = (request[1:] != request[:-1]) | (item[1:] != item[:-1])
    gain = metrics.grade_gain(grade[new]) if judged else grade[new]
    is_relevant = grade[new] >= metrics.RELEVANT_GRADE if judged else np.ones(new.sum(), bool)
    return Relevant(request=request[new], item=item[new], gain=gain.astype(np.float64), is_relevant=is_relevant)


def _slices(
    relevant: Relevant,
    *,
    query: Mapping[str, np.ndarray],
    truth: Mapping[int, Mapping[str, Any]],
    counts: np.ndarray,
) -> dict[str, np.ndarray]:
    """Masks over pairs: all, by planted truth, by kind of query, by history, by popularity of the item."""
    size = len(query["history_rows"])
    labels: dict[str, np.ndarray] = {}
    for key in ("needs", "form"):
        if truth:
            labels[key] = np.array([truth.get(number, {}).get(key, "") for number in range(size)])
    labels["query"] = _query_kinds(query, size)
    result = {"all": np.ones(len(relevant), bool)}
    for key, values in labels.items():
        for value in sorted(set(values) - {""}):
            result[f"{key}: {value}"] = (values == value)[relevant.request]
    result["again (in the shopper's history)"] = _in_history(relevant, query["history_rows"])
    popularity = counts[relevant.item]
    tail = counts[counts > 0]
    limit = np.median(tail) if len(tail) else 0.0
    result["cold items (never acted on in training)"] = popularity == 0
    result["tail items (below the median)"] = (popularity > 0) & (popularity < limit)
    return {name: mask for name, mask in result.items() if mask.any()}


def _in_history(relevant: Relevant, history: np.ndarray) -> np.ndarray:
    """[pair] bool, whether its item is in the history [request, history] of its request."""
    return (history[relevant.request] == relevant.item[:, np.newaxis]).any(axis=1)


def _query_kinds(query: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Present branches of each of `count` queries as model inputs, such as `text+history`: [query] str."""
    query = {**query, "history_present": query["history_rows"] >= 0}
    present = {
        branch.value: np.any(
            [mask.any(axis=tuple(range(1, mask.ndim))) for mask in BRANCHES[branch].presence(query)], axis=0
        )
        for branch in branches_of(Side.QUERY)
    }
    kinds = ["+".join(name for name, rows in present.items() if rows[i]) for i in range(count)]
    return np.array([kind or "nothing" for kind in kinds])


def read_truth(path: str | pathlib.Path, requests: Requests, items: ItemStore) -> dict[int, dict[str, Any]]:
    """Reads the lines of `truth.jsonl` about held-out requests, by request index, with `rows` of the relevant items."""
    number = {name: index for index, name in enumerate(requests.ids)}
    result = {}
    with tf.io.gfile.GFile(str(path), "r") as file:
        for text in file:
            line = json.loads(text)
            index = number.get(line["request_id"].encode())
            if index is not None:
                rows = [items.row_of[item.encode()] for item in line["relevant"] if item.encode() in items.row_of]
                needs = line.get("needs", "")
                needs = needs if isinstance(needs, str) else "+".join(sorted(needs))
                result[index] = {"needs": needs, "form": str(line.get("form", "")), "rows": rows}
    return result
