"""Metrics of the heads on held-out labels, each with a baseline."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.batch_inference import compile_rows, map_rows
from trainer.evaluation.eval_sets import Requests
from trainer.evaluation.report import MetricRow, ReportSection
from trainer.model.forecast import day_baselines
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import ITEM_DAY_TASKS, MAX_LABELS, TASKS, Task, TaskKind
from trainer.tables.events import EventTable

_ROWS_AT_ONCE = 256
_ERRORS = {TaskKind.COUNT: "mean error, units a day", TaskKind.REGRESSION: "mean error, log price"}


def heads_section(trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray) -> ReportSection:
    """Evaluates the probabilities, grades, classes and numbers of the heads: each metric with a baseline.

    Args:
      trained: Model and tables.
      requests: Requests of the held-out split.
      items: [items, dim] vectors by store row.
      queries: [request, dim] vectors.
    """
    rows: list[MetricRow] = []
    for task in TASKS:
        if task.kind in MAX_LABELS:
            rows += _pair_task(task, trained, requests=requests, items=items, queries=queries)
        elif task.kind is TaskKind.QUERY_CLASS:
            rows += _class_task(task, trained, known=_typed_rows(trained, requests), predict=_intents(trained))
        elif task.kind is TaskKind.REVIEW_CLASS:
            known = np.flatnonzero(trained.tables.evaluation.is_review())
            rows += _class_task(task, trained, known=known, predict=_sentiments(trained))
    rows += _day_tasks(trained)
    return ReportSection(name="heads", title="Heads", rows=tuple(rows))


def _pair_task(
    task: Task, trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray
) -> Iterator[MetricRow]:
    """A probability against the training mean, a grade against the cosine alone."""
    train, events = trained.tables.train, trained.tables.evaluation
    labels, training = events.values(task.label), train.values(task.label)
    usable = (labels >= 0) & (events.values("label_grade") < 0)
    if task.kind is TaskKind.BINARY:
        usable &= ~events.for_calibration()
    known = np.flatnonzero(usable)
    training = training[training >= 0]
    if not len(known) or not len(training):
        return
    query, item = queries[requests.of_row[known]], items[events.values("item_row")[known]]
    scores = trained.model.score_pairs(tf.constant(query), tf.constant(item[:, np.newaxis]))[task.name]
    predicted, label = np.asarray(scores)[:, 0], labels[known]
    if task.kind is TaskKind.PAIRWISE:
        groups = requests.of_row[known]
        values = {
            "model": metrics.pairwise_accuracy(label, predicted, groups),
            "cosine": metrics.pairwise_accuracy(label, np.sum(query * item, axis=1), groups),
            "mean": 0.5,
        }
        yield MetricRow(slice_name=task.name, size=len(known), metric="pairs in order", values=values)
        return
    mean = np.full(len(known), training.mean())
    measures = {"auc": metrics.auc, "log loss": metrics.log_loss, "calibration error": metrics.calibration_error}
    for metric, function in measures.items():
        values = {"model": function(label, predicted), "mean": function(label, mean)}
        yield MetricRow(slice_name=task.name, size=len(known), metric=metric, values=values)


def _day_tasks(trained: Any) -> Iterator[MetricRow]:
    """Demand of the held-out days against that of the last week, the next price against the last, item by item.

    Only prices and demand from events count: a price of the catalogue is not a next price.
    """
    items = trained.tables.items
    item_rows = np.flatnonzero(items.days.latest >= 0)
    if not len(item_rows):
        return
    days = items.days.latest[item_rows]
    known = items.days.gather(days, item_rows=item_rows)
    forecasts = {task.name: _forecast(trained, item_rows, task.name) for task in ITEM_DAY_TASKS}
    facts, _ = day_baselines({name: tf.constant(known[name]) for name in known})
    week = np.expm1(np.asarray(facts)[:, 0])
    baselines = {
        TaskKind.COUNT: {"last week": week, "mean": np.full(len(week), week.mean())},
        TaskKind.REGRESSION: {"last price": np.where(known["last_price_present"] > 0, known["last_price"], np.nan)},
    }
    for task in ITEM_DAY_TASKS:
        label, columns = items.days.values(task.label)[days], baselines[task.kind]
        usable = np.isfinite(label) & np.all([np.isfinite(values) for values in columns.values()], axis=0)
        if not usable.any():
            continue
        forecast = np.exp(forecasts[task.name]) if task.kind is TaskKind.COUNT else forecasts[task.name]
        columns = {"model": forecast, **columns}
        errors = {name: metrics.mean_absolute_error(label[usable], values[usable]) for name, values in columns.items()}
        yield MetricRow(slice_name=task.name, size=int(usable.sum()), metric=_ERRORS[task.kind], values=errors)
        if task.kind is TaskKind.COUNT:
            deviances = {
                name: metrics.poisson_deviance(label[usable], values[usable]) for name, values in columns.items()
            }
            yield MetricRow(slice_name=task.name, size=int(usable.sum()), metric="poisson deviance", values=deviances)


def _forecast(trained: Any, item_rows: np.ndarray, name: str) -> np.ndarray:
    """The prediction of an item-day task for the latest day of items: [n] float32."""
    model, items = trained.model, trained.tables.items

    def forecast(features: dict[str, tf.Tensor]) -> tf.Tensor:
        return model.forecast(model.encode_items_without_price(features)[TowerOutput.ENCODED.value], features)[name]

    encode = compile_rows(forecast, items.gather(item_rows[:1]))
    return map_rows(encode, item_rows, gather=items.gather, size=_ROWS_AT_ONCE)


Predict = Callable[[np.ndarray], dict[str, np.ndarray]]


def _class_task(task: Task, trained: Any, *, known: np.ndarray, predict: Predict) -> Iterator[MetricRow]:
    """Accuracy and macro-F1 against the most frequent class; AUC of the last class against the first."""
    train, events = trained.tables.train, trained.tables.evaluation
    labels, training = events.values(task.label), train.values(task.label)
    known = known[labels[known] >= 0]
    training = training[training >= 0]
    if not len(known) or not len(training):
        return
    probabilities, label = predict(known)[task.name], labels[known].astype(int)
    majority = np.full(len(known), np.bincount(training.astype(int)).argmax())
    predicted = probabilities.argmax(axis=1)
    for metric, function in (("accuracy", metrics.accuracy), ("macro f1", metrics.macro_f1)):
        values = {"model": function(label, predicted), "mean": function(label, majority)}
        yield MetricRow(slice_name=task.name, size=len(known), metric=metric, values=values)
    ends = np.isin(label, (0, len(task.classes) - 1))
    score = probabilities[:, -1] - probabilities[:, 0]
    values = {"model": metrics.auc(label[ends] > 0, score[ends]), "mean": 0.5}
    name = f"auc {task.classes[-1]}/{task.classes[0]}"
    yield MetricRow(slice_name=task.name, size=int(ends.sum()), metric=name, values=values)


def _typed_rows(trained: Any, requests: Requests) -> np.ndarray:
    """The first row of each request with a typed query."""
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
