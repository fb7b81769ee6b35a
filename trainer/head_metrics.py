"""How good the heads are on held-out labels, each beside what needs no model."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.data import EventTable, compile_rows, map_rows
from trainer.questions import Requests
from trainer.report import Row, Section
from trainer.spec.signatures import TowerOutput
from trainer.spec.tasks import LARGEST_LABEL, TASKS, Task, TaskKind

_ROWS_AT_ONCE = 256


def heads_section(trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray) -> Section:
    """AUC and log loss of clicks and purchases, order of grades, accuracy and macro-F1 of classes.

    Args:
      trained: Model and tables.
      requests: Of the held-out split.
      items: [items, dim] vectors by store row.
      queries: [request, dim] vectors.
    """
    rows: list[Row] = []
    for task in TASKS:
        if task.kind in LARGEST_LABEL:
            rows += _pair_task(task, trained, requests=requests, items=items, queries=queries)
        elif task.kind is TaskKind.QUERY_CLASS:
            rows += _class_task(task, trained, known=_first_rows(trained, requests), predict=_intents(trained))
        elif task.kind is TaskKind.REVIEW_CLASS:
            known = np.flatnonzero(trained.tables.evaluation.is_review())
            rows += _class_task(task, trained, known=known, predict=_sentiments(trained))
    return Section(name="heads", title="Heads", rows=tuple(rows))


def _pair_task(
    task: Task, trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray
) -> Iterator[Row]:
    """A probability beside the training mean, a grade beside the cosine alone."""
    train, events = trained.tables.train, trained.tables.evaluation
    labels, training = events.values(task.label), train.values(task.label)
    known = np.flatnonzero((labels >= 0) & (events.values("label_grade") < 0))
    training = training[training >= 0]
    if not len(known) or not len(training):
        return
    query, item = queries[requests.of_row[known]], items[events.values("item_row")[known]]
    scores = trained.model.score_pairs(tf.constant(query), tf.constant(item[:, np.newaxis]))[task.name]
    predicted, label = np.asarray(scores)[:, 0], labels[known]
    if task.kind is TaskKind.GRADED:
        groups = requests.of_row[known]
        values = {
            "model": metrics.pair_order(label, predicted, groups),
            "cosine": metrics.pair_order(label, np.sum(query * item, axis=1), groups),
            "mean": 0.5,
        }
        yield Row(slice_name=task.name, size=len(known), metric="pairs in order", values=values)
        return
    mean = np.full(len(known), training.mean())
    for metric, function in (("auc", metrics.auc), ("log loss", metrics.log_loss)):
        values = {"model": function(label, predicted), "mean": function(label, mean)}
        yield Row(slice_name=task.name, size=len(known), metric=metric, values=values)


Predict = Callable[[np.ndarray], dict[str, np.ndarray]]


def _class_task(task: Task, trained: Any, *, known: np.ndarray, predict: Predict) -> Iterator[Row]:
    """Accuracy and macro-F1 beside the most frequent class; AUC of the last class against the first."""
    train, events = trained.tables.train, trained.tables.evaluation
    labels, training = events.values(task.label), train.values(task.label)
    known = known[labels[known] >= 0]
    training = training[training >= 0]
    if not len(known) or not len(training):
        return
    probabilities, label = predict(known)[task.name], labels[known].astype(int)
    majority = np.full(len(known), np.bincount(training.astype(int)).argmax())
    found = probabilities.argmax(axis=1)
    for metric, function in (("accuracy", metrics.accuracy), ("macro f1", metrics.macro_f1)):
        values = {"model": function(label, found), "mean": function(label, majority)}
        yield Row(slice_name=task.name, size=len(known), metric=metric, values=values)
    ends = np.isin(label, (0, len(task.classes) - 1))
    leaning = probabilities[:, -1] - probabilities[:, 0]
    values = {"model": metrics.auc(label[ends] > 0, leaning[ends]), "mean": 0.5}
    name = f"auc {task.classes[-1]}/{task.classes[0]}"
    yield Row(slice_name=task.name, size=int(ends.sum()), metric=name, values=values)


def _first_rows(trained: Any, requests: Requests) -> np.ndarray:
    """One row of each request that anything was searched in."""
    events: EventTable = trained.tables.evaluation
    typed = [bool(text) for text in events.query_texts(requests.first_row)]
    return requests.first_row[np.array(typed, bool)]


def _intents(trained: Any) -> Predict:
    events, model = trained.tables.evaluation, trained.model

    def predict(rows: np.ndarray) -> dict[str, np.ndarray]:
        encode = compile_rows(
            lambda features: model.encode_queries(features)[TowerOutput.BRANCHES.value], events.gather_queries(rows[:1])
        )
        branches = map_rows(encode, rows, gather=events.gather_queries, size=_ROWS_AT_ONCE)
        return {name: np.asarray(values) for name, values in model.classify_queries(tf.constant(branches)).items()}

    return predict


def _sentiments(trained: Any) -> Predict:
    def predict(rows: np.ndarray) -> dict[str, np.ndarray]:
        words = tf.constant(trained.tables.evaluation.gather_reviews(rows))
        return {name: np.asarray(values) for name, values in trained.model.classify_reviews(words).items()}

    return predict
