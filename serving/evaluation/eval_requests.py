"""Evaluation requests: recorded and judged queries read from event Examples, with their relevant items."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trainer.ops.example_reader import read_batches
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Feature, Side

_QUERY = tuple(feature for feature in features_of(Side.QUERY) if feature.modality is not None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalRequest:
    """Recorded query with its relevant items.

    Attributes:
      query: {query feature: its value in wire form}.
      relevant: Ids of the items that a positive event of the request is about.
    """

    query: Mapping[str, Any]
    relevant: frozenset[bytes]


def read_eval_requests(
    directory: str | Path, *, wire: WireConfig, limit: int, label: str = "positive"
) -> list[EvalRequest]:
    """Reads the requests of a folder of event Examples that have a relevant item; of more than `limit`, a fixed sample.

    Args:
      directory: Folder or URI of TFRecord files of event Examples.
      wire: Sizes of the wire form.
      limit: Maximum number of requests; those with the smallest hash of the request id.
      label: Event feature that is above 0 for a relevant item.
    """
    key, item, positive = (_feature_named(name) for name in ("request_id", "event_item_id", label))
    relevant: dict[bytes, set[bytes]] = {}
    for row in _rows(directory, (key, item, positive), wire=wire):
        if row[positive.name] > 0:
            relevant.setdefault(row[key.name], set()).add(row[item.name])
    chosen = set(sorted(relevant, key=lambda name: hashlib.sha256(name).digest())[:limit])
    found: dict[bytes, EvalRequest] = {}
    for row in _rows(directory, (key, *_QUERY), wire=wire):
        name = row[key.name]
        if name in chosen and name not in found:
            query = {feature.name: row[feature.name] for feature in _QUERY}
            found[name] = EvalRequest(query=query, relevant=frozenset(relevant[name]))
    return [found[name] for name in sorted(found)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgedRequest:
    """Query with relevance judgments.

    Attributes:
      query: {query feature: its value in wire form}.
      grades: {item id: judged relevance 0 to 3}.
    """

    query: Mapping[str, Any]
    grades: Mapping[bytes, float]


def read_judged(directory: str | Path, *, wire: WireConfig) -> list[JudgedRequest]:
    """Reads the judged requests of a folder of event Examples, by request id."""
    key, item, grade = (_feature_named(name) for name in ("request_id", "event_item_id", "label_grade"))
    queries: dict[bytes, dict[str, Any]] = {}
    grades: dict[bytes, dict[bytes, float]] = {}
    for row in _rows(directory, (key, item, grade, *_QUERY), wire=wire):
        if row[grade.name] >= 0:
            queries.setdefault(row[key.name], {feature.name: row[feature.name] for feature in _QUERY})
            grades.setdefault(row[key.name], {})[row[item.name]] = float(row[grade.name])
    return [JudgedRequest(query=queries[name], grades=grades[name]) for name in sorted(queries)]


class LoggedSearch(NamedTuple):
    """Search by words that led to an item.

    Attributes:
      text: What was typed.
      item_id: The item of a positive event.
      previous: What the user typed into the search before; "" where there was none.
      age_days: How long before.
    """

    text: str
    item_id: bytes
    previous: str
    age_days: float


def read_logged_searches(directory: str | Path, *, wire: WireConfig) -> Iterator[LoggedSearch]:
    """Yields the searches of the positive events of a folder of event Examples, those with a text."""
    names = ("query_text", "event_item_id", "positive", "search_history_texts", "search_history_age_days")
    text, item, positive, texts, ages = (_feature_named(name) for name in names)
    for row in _rows(directory, (text, item, positive, texts, ages), wire=wire):
        if row[positive.name] > 0 and row[text.name]:
            yield LoggedSearch(
                text=row[text.name].decode(errors="replace"),
                item_id=row[item.name],
                previous=row[texts.name][0].decode(errors="replace"),
                age_days=float(row[ages.name][0]),
            )


def count_positives(directory: str | Path) -> Counter[bytes]:
    """Counts the positive events of each item in a folder of event Examples."""
    item, positive = _feature_named("event_item_id"), _feature_named("positive")
    rows = _rows(directory, (item, positive), wire=WireConfig())
    return Counter(row[item.name] for row in rows if row[positive.name] > 0)


def read_group_ids(directory: str | Path) -> dict[bytes, bytes]:
    """Reads {item id: group id} from a folder of item Examples; an item without a group is its own."""
    item, group = _feature_named("item_id"), _feature_named("group_id")
    rows = _rows(directory, (item, group), wire=WireConfig())
    return {row[item.name]: row[group.name] or row[item.name] for row in rows}


def read_texts(directory: str | Path, *names: str) -> dict[str, list[bytes]]:
    """Reads {item feature: its text for each item} from a folder of item Examples."""
    features = [_feature_named(name) for name in names]
    rows = list(_rows(directory, features, wire=WireConfig()))
    return {name: [row[name] for row in rows] for name in names}


def stack_queries(queries: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """{query feature: [batch, ...]} of several requests."""
    return {name: np.stack([query[name] for query in queries]) for name in queries[0]}


def _feature_named(name: str) -> Feature:
    return next(f for side in Side for f in features_of(side) if f.name == name)


def _rows(directory: str | Path, features: Sequence[Feature], *, wire: WireConfig) -> Iterator[dict[str, Any]]:
    """One {feature: value} for each Example, files in order of name."""
    for batch in read_batches(f"{directory}/*", features, wire):
        for position in range(len(batch[features[0].name])):
            yield {feature.name: batch[feature.name][position] for feature in features}
