"""How good the heads are on held-out labels, each beside what needs no model."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.evaluation.eval_sets import Requests
from trainer.evaluation.report import Row, Section
from trainer.model.forecast import day_baselines
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import ITEM_DAY_TASKS, MAX_LABELS, TASKS, Task, TaskKind
from trainer.tables.tables import EventTable, compile_rows, map_rows

_ROWS_AT_ONCE = 256
_ERRORS = {TaskKind.COUNT: "mean error, units a day", TaskKind.REGRESSION: "mean error, log price"}


def heads_section(trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray) -> Section:
    """How good probabilities, grades, classes and numbers are: each measure beside what needs no model.

    Args:
      trained: Model and tables.
      requests: Of the held-out split.
      items: [items, dim] vectors by store row.
      queries: [request, dim] vectors.
    """
    rows: list[Row] = []
    for task in TASKS:
        if task.kind in MAX_LABELS:
            rows += _pair_task(task, trained, requests=requests, items=items, queries=queries)
        elif task.kind is TaskKind.QUERY_CLASS:
            rows += _class_task(task, trained, known=_first_rows(trained, requests), predict=_intents(trained))
        elif task.kind is TaskKind.REVIEW_CLASS:
            known = np.flatnonzero(trained.tables.evaluation.is_review())
            rows += _class_task(task, trained, known=known, predict=_sentiments(trained))
    rows += _day_tasks(trained)
    return Section(name="heads", title="Heads", rows=tuple(rows))


def _pair_task(
    task: Task, trained: Any, *, requests: Requests, items: np.ndarray, queries: np.ndarray
) -> Iterator[Row]:
    """A probability beside the training mean, a grade beside the cosine alone."""
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
        yield Row(slice_name=task.name, size=len(known), metric="pairs in order", values=values)
        return
    mean = np.full(len(known), training.mean())
    measures = {"auc": metrics.auc, "log loss": metrics.log_loss, "calibration error": metrics.calibration_error}
    for metric, function in measures.items():
        values = {"model": function(label, predicted), "mean": function(label, mean)}
        yield Row(slice_name=task.name, size=len(known), metric=metric, values=values)


def _day_tasks(trained: Any) -> Iterator[Row]:
    """Demand in the held-out days beside that of the last week, the next price beside the last one, item by item.

    Only what events tell counts: a price of the catalogue is no next price, and one that was never seen has no last.
    """
    items = trained.tables.items
    item_rows = np.flatnonzero(items.days.latest >= 0)
    if not len(item_rows):
        return
    days = items.days.latest[item_rows]
    known = items.days.gather(days, item_rows=item_rows)
    foreseen = {task.name: _foreseen(trained, item_rows, task.name) for task in ITEM_DAY_TASKS}
    facts, _ = day_baselines({name: tf.constant(known[name]) for name in known})
    week = np.expm1(np.asarray(facts)[:, 0])
    floors = {
        TaskKind.COUNT: {"last week": week, "mean": np.full(len(week), week.mean())},
        TaskKind.REGRESSION: {"last price": np.where(known["last_price_present"] > 0, known["last_price"], np.nan)},
    }
    for task in ITEM_DAY_TASKS:
        label, beside = items.days.values(task.label)[days], floors[task.kind]
        usable = np.isfinite(label) & np.all([np.isfinite(values) for values in beside.values()], axis=0)
        if not usable.any():
            continue
        model = np.exp(foreseen[task.name]) if task.kind is TaskKind.COUNT else foreseen[task.name]
        columns = {"model": model, **beside}
        errors = {name: metrics.mean_absolute_error(label[usable], values[usable]) for name, values in columns.items()}
        yield Row(slice_name=task.name, size=int(usable.sum()), metric=_ERRORS[task.kind], values=errors)
        if task.kind is TaskKind.COUNT:
            deviances = {
                name: metrics.poisson_deviance(label[usable], values[usable]) for name, values in columns.items()
            }
            yield Row(slice_name=task.name, size=int(usable.sum()), metric="poisson deviance", values=deviances)


def _foreseen(trained: Any, item_rows: np.ndarray, name: str) -> np.ndarray:
    """What a task on items and days comes to for the latest records of items: [n] float32."""
    model, items = trained.model, trained.tables.items

    def look(features: dict[str, tf.Tensor]) -> tf.Tensor:
        return model.forecast(model.encode_items_without_price(features)[TowerOutput.ENCODED.value], features)[name]

    encode = compile_rows(look, items.gather(item_rows[:1]))
    return map_rows(encode, item_rows, gather=items.gather, size=_ROWS_AT_ONCE)


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
