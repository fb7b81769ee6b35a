"""Metrics of the heads on held-out labels, each with a baseline, and their curves."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.batch_inference import compile_rows, map_rows
from trainer.evaluation.curves import binary_curves, class_curves, number_curves
from trainer.evaluation.eval_sets import Requests
from trainer.evaluation.report import MetricRow, ReportSection
from trainer.intervals import Interval, auc_interval, mean_interval
from trainer.model.forecast import day_baselines
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import ITEM_DAY_TASKS, MAX_LABELS, TASKS, Task, TaskKind
from trainer.tables.events import EventTable

_ROWS_AT_ONCE = 256
_ERRORS = {TaskKind.COUNT: "mean error, units a day", TaskKind.REGRESSION: "mean error, log price"}


class EvaluatedHeads(NamedTuple):
    """Metrics of all heads, and the curves of each that has some: {task: curves}."""

    section: ReportSection
    curves: dict[str, dict[str, Any]]


class _Head(NamedTuple):
    """Metrics and curves of one head; both empty where nothing is labelled."""

    rows: list[MetricRow]
    curves: dict[str, Any]


_NOTHING = _Head([], {})


def evaluate_heads(trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray) -> EvaluatedHeads:
    """Evaluates the probabilities, grades, classes and numbers of the heads: each metric with a baseline.

    Args:
      trained: Model and tables.
      requests: Requests of the held-out split.
      items: [items, dim] vectors by store row.
      queries: [request, dim] vectors.
    """
    heads: dict[str, _Head] = {}
    for task in TASKS:
        if task.kind in MAX_LABELS:
            heads[task.name] = _pair_task(task, trained, requests=requests, items=items, queries=queries)
        elif task.kind is TaskKind.QUERY_CLASS:
            typed = _typed_rows(trained, requests)
            heads[task.name] = _class_task(task, trained, known=typed, predict=_intents(trained))
        elif task.kind is TaskKind.REVIEW_CLASS:
            known = np.flatnonzero(trained.tables.evaluation.is_review())
            heads[task.name] = _class_task(task, trained, known=known, predict=_sentiments(trained))
    heads |= _day_tasks(trained)
    rows = tuple(row for head in heads.values() for row in head.rows)
    section = ReportSection(name="heads", title="Heads", rows=rows)
    return EvaluatedHeads(section, {name: head.curves for name, head in heads.items() if head.curves})


def _pair_task(task: Task, trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray) -> _Head:
    """A probability against the training mean, a grade against the cosine alone."""
    train, events = trained.tables.train, trained.tables.evaluation
    labels, training = events.values(task.label), train.values(task.label)
    usable = (labels >= 0) & (events.values("label_grade") < 0)
    if task.kind is TaskKind.BINARY:
        usable &= ~events.for_calibration()
    known = np.flatnonzero(usable)
    training = training[training >= 0]
    if not len(known) or not len(training):
        return _NOTHING
    query, item = queries[requests.of_row[known]], items[events.values("item_row")[known]]
    scores = trained.model.score_pairs(tf.constant(query), tf.constant(item[:, np.newaxis]))[task.name]
    predicted, label = np.asarray(scores)[:, 0], labels[known]
    if task.kind is TaskKind.BINARY:
        return _Head(_binary_rows(task, label, predicted, mean=training.mean()), binary_curves(label > 0.5, predicted))
    groups = requests.of_row[known]
    values = {
        "model": metrics.pairwise_accuracy(label, predicted, groups),
        "cosine": metrics.pairwise_accuracy(label, np.sum(query * item, axis=1), groups),
        "mean": 0.5,
    }
    return _Head([MetricRow(slice_name=task.name, size=len(known), metric="pairs in order", values=values)], {})


def _binary_rows(task: Task, label: np.ndarray, predicted: np.ndarray, *, mean: float) -> list[MetricRow]:
    """AUC, log loss and calibration error of probabilities, beside those of the training mean."""
    constant = np.full(len(label), mean)
    measures = {"auc": metrics.auc, "log loss": metrics.log_loss, "calibration error": metrics.calibration_error}
    rows = []
    for metric, function in measures.items():
        values = {"model": function(label, predicted), "mean": function(label, constant)}
        intervals = {"model": _auc_interval(label > 0.5, values["model"])} if metric == "auc" else {}
        rows.append(MetricRow(slice_name=task.name, size=len(label), metric=metric, values=values, intervals=intervals))
    return rows


def _auc_interval(label: np.ndarray, auc: float) -> Interval:
    return auc_interval(auc, positives=int(label.sum()), negatives=int((~label).sum()))


def _day_tasks(trained: Any) -> dict[str, _Head]:
    """Demand of the held-out days against that of the last week, the next price against the last, item by item.

    Only prices and demand from events count: a price of the catalogue is not a next price.
    """
    items = trained.tables.items
    item_rows = np.flatnonzero(items.days.latest >= 0)
    if not len(item_rows):
        return {}
    days = items.days.latest[item_rows]
    known = items.days.gather(days, item_rows=item_rows)
    forecasts = {task.name: _forecast(trained, item_rows, task.name) for task in ITEM_DAY_TASKS}
    facts, _ = day_baselines({name: tf.constant(known[name]) for name in known})
    week = np.expm1(np.asarray(facts)[:, 0])
    baselines = {
        TaskKind.COUNT: {"last week": week, "mean": np.full(len(week), week.mean())},
        TaskKind.REGRESSION: {"last price": np.where(known["last_price_present"] > 0, known["last_price"], np.nan)},
    }
    heads = {}
    for task in ITEM_DAY_TASKS:
        label, columns = items.days.values(task.label)[days], baselines[task.kind]
        usable = np.isfinite(label) & np.all([np.isfinite(values) for values in columns.values()], axis=0)
        if usable.any():
            forecast = np.exp(forecasts[task.name]) if task.kind is TaskKind.COUNT else forecasts[task.name]
            columns = {name: values[usable] for name, values in {"model": forecast, **columns}.items()}
            rows = _day_rows(task, label[usable], columns)
            heads[task.name] = _Head(rows, number_curves(label[usable], columns["model"]))
    return heads


def _day_rows(task: Task, label: np.ndarray, columns: Mapping[str, np.ndarray]) -> list[MetricRow]:
    """Mean error of a number, and the deviance of a count."""
    measures: dict[str, Callable[..., float]] = {_ERRORS[task.kind]: metrics.mean_absolute_error}
    if task.kind is TaskKind.COUNT:
        measures["poisson deviance"] = metrics.poisson_deviance
    return [
        MetricRow(
            slice_name=task.name,
            size=len(label),
            metric=metric,
            values={name: function(label, values) for name, values in columns.items()},
        )
        for metric, function in measures.items()
    ]


def _forecast(trained: Any, item_rows: np.ndarray, name: str) -> np.ndarray:
    """The prediction of an item-day task for the latest day of items: [n] float32."""
    model, items = trained.model, trained.tables.items

    def forecast(features: dict[str, tf.Tensor]) -> tf.Tensor:
        return model.forecast(model.encode_items_without_price(features)[TowerOutput.ENCODED.value], features)[name]

    encode = compile_rows(forecast, items.gather(item_rows[:1]))
    return map_rows(encode, item_rows, gather=items.gather, size=_ROWS_AT_ONCE)


Predict = Callable[[np.ndarray], dict[str, np.ndarray]]


def _class_task(task: Task, trained: Any, *, known: np.ndarray, predict: Predict) -> _Head:
    """Accuracy and macro-F1 against the most frequent class; AUC of the last class against the first."""
    train, events = trained.tables.train, trained.tables.evaluation
    labels, training = events.values(task.label), train.values(task.label)
    known = known[labels[known] >= 0]
    training = training[training >= 0]
    if not len(known) or not len(training):
        return _NOTHING
    probabilities, label = predict(known)[task.name], labels[known].astype(int)
    majority = np.full(len(known), np.bincount(training.astype(int)).argmax())
    rows = _class_rows(task, label, probabilities, majority=majority)
    return _Head(rows, class_curves(label, probabilities, classes=task.classes))


def _class_rows(task: Task, label: np.ndarray, probabilities: np.ndarray, *, majority: np.ndarray) -> list[MetricRow]:
    predicted = probabilities.argmax(axis=1)
    rows = []
    for metric, function in (("accuracy", metrics.accuracy), ("macro f1", metrics.macro_f1)):
        values = {"model": function(label, predicted), "mean": function(label, majority)}
        intervals = {"model": mean_interval(label == predicted)} if metric == "accuracy" else {}
        rows.append(MetricRow(slice_name=task.name, size=len(label), metric=metric, values=values, intervals=intervals))
    ends = np.isin(label, (0, len(task.classes) - 1))
    score, is_last = (probabilities[:, -1] - probabilities[:, 0])[ends], label[ends] > 0
    auc = metrics.auc(is_last, score)
    rows.append(
        MetricRow(
            slice_name=task.name,
            size=int(ends.sum()),
            metric=f"auc {task.classes[-1]}/{task.classes[0]}",
            values={"model": auc, "mean": 0.5},
            intervals={"model": _auc_interval(is_last, auc)},
        )
    )
    return rows


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
