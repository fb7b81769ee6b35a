"""Exact evaluation over the full catalogue: held-out, judged and planted relevance, with baselines."""

import functools
import pathlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.batch_inference import compile_rows, map_rows
from trainer.evaluation import baselines
from trainer.evaluation.eval_sets import EvalSet, Requests, build_eval_sets, read_truth
from trainer.evaluation.head_metrics import evaluate_heads
from trainer.evaluation.report import MetricRow, Report, ReportSection
from trainer.intervals import mean_interval
from trainer.model.tower import mask_modalities
from trainer.spec.branches import DAILY_MODALITIES, branches_of
from trainer.spec.features import Modality, Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore
from trainer.tables.open import TrainingTables

_ROWS_AT_ONCE = 256
_HEADLINE = "recall@10"


class EvaluatedModel(Protocol):
    """A trained model with its tables, as evaluation needs them."""

    @property
    def model(self) -> Any:
        """The two-tower model, its snapshot that of the final weights."""

    @property
    def tables(self) -> TrainingTables:
        """Items and events."""


def evaluate(trained: EvaluatedModel, *, truth_path: str | pathlib.Path | None = None) -> Report:
    """Measures a trained model on the held-out events.

    Args:
      trained: Model and tables.
      truth_path: The planted truth of a synthetic shop (`truth.jsonl`), which adds its own evaluation set and slices.
    """
    tables = trained.tables
    requests = Requests.from_events(tables.evaluation)
    truth = read_truth(truth_path, requests, tables.items) if truth_path is not None else {}
    counts = baselines.item_counts(tables.train, num_items=tables.items.num_items)
    eval_sets = build_eval_sets(tables, requests=requests, truth=truth, counts=counts)
    encoder = TowerEncoder(trained.model)
    items = encoder.items(tables.items)
    queries = encoder.queries(tables.evaluation, requests.first_row)
    scorers = {"model": encoder.scorer(queries, items, counts), **_baseline_scorers(tables, requests, counts)}
    sections = [_retrieval_section(eval_set, scorers, tables.items.num_items) for eval_set in eval_sets]
    if eval_sets:
        (*_, last) = (each for each in eval_sets if each.excluded_items is None)
        sections.append(_masked_section(last, encoder=encoder, tables=tables, requests=requests, counts=counts))
    heads = evaluate_heads(trained, requests=requests, items=items, queries=queries.vectors)
    sections.append(heads.section)
    return Report(
        sections=tuple(section for section in sections if section.rows),
        counts={
            "items": tables.items.num_items,
            "train_rows": tables.train.num_rows,
            "held_out_rows": tables.evaluation.num_rows,
            "held_out_requests": len(requests.ids),
            "rows_of_unknown_items": tables.train.num_dropped + tables.evaluation.num_dropped,
        },
        curves=heads.curves,
    )


def _baseline_scorers(tables: TrainingTables, requests: Requests, counts: np.ndarray) -> dict[str, metrics.Scorer]:
    events, num_items = tables.evaluation, tables.items.num_items
    histories = events.values("history_rows")[requests.first_row]
    return {
        "popularity": baselines.popularity(counts),
        "own history": baselines.RepurchaseBaseline(histories, counts=counts),
        "neighbours": baselines.ItemKnnBaseline(tables.train, num_items=num_items, histories=histories),
        "bm25": baselines.Bm25Baseline(tables.items.texts(), query_texts=events.query_texts(requests.first_row)),
    }


class EncodedQueries(NamedTuple):
    """Requests encoded by the query tower.

    Attributes:
      vectors: [request, dim] float32.
      history_rows: [request, history] int, store rows, -1 = absent.
      repeats: [request, history] float32, repurchase bonus of each item of the history.
    """

    vectors: np.ndarray
    history_rows: np.ndarray
    repeats: np.ndarray


class TowerEncoder:
    """Vectors of items and queries from their tables, with modalities masked on demand.

    Attributes:
      model: The two-tower model.
      modalities: Modalities with a weight in anything encoded so far.
    """

    def __init__(self, model: Any) -> None:
        """Compiles one function for each side when it is first needed: tracing takes longer than running."""
        self.model = model
        self.modalities: set[Modality] = set()
        self._functions: dict[Side, Any] = {}

    def items(self, items: ItemStore, masked: Collection[Modality] = ()) -> np.ndarray:
        """Returns the vectors of all items: [items, dim] float32."""
        return self._mapped(Side.ITEM, np.arange(items.num_items), masked=masked, gather=items.gather)

    def queries(self, events: EventTable, rows: np.ndarray, masked: Collection[Modality] = ()) -> EncodedQueries:
        """Encodes the queries of event `rows`; histories are read from the model's snapshot."""
        encoded = self._mapped(Side.QUERY, rows, masked=masked, gather=events.gather_queries)
        dim, history_rows = self.model.snapshot.shape[1], events.values("history_rows")[rows]
        return EncodedQueries(vectors=encoded[:, :dim], history_rows=history_rows, repeats=encoded[:, dim:])

    def scorer(self, queries: EncodedQueries, items: np.ndarray, counts: np.ndarray) -> metrics.Scorer:
        """Returns the similarity scorer of requests and items [items, dim]; popularity for an empty query.

        A bundle ranks the same way; `counts` are [items].
        """
        is_empty = np.all(queries.vectors == 0.0, axis=1)
        by_popularity = baselines.popularity(counts)
        by_similarity = metrics.similarity_scorer(
            np.asarray(self.model.query_keys(queries.vectors)),
            np.asarray(self.model.item_keys(items)),
            history_rows=queries.history_rows,
            repeats=queries.repeats,
        )
        return lambda rows: np.where(is_empty[rows, np.newaxis], by_popularity(rows), by_similarity(rows))

    def _mapped(
        self,
        side: Side,
        rows: np.ndarray,
        *,
        masked: Collection[Modality],
        gather: Callable[[np.ndarray], dict[str, np.ndarray]],
    ) -> np.ndarray:
        """Maps a tower over `rows`: vectors, and for queries the repurchase bonuses in the columns after them."""

        def read(part: np.ndarray) -> dict[str, np.ndarray]:
            return {**gather(part), **mask_modalities(masked)}

        def encode(features: Mapping[str, Any]) -> Any:
            outputs = self.model.encode_items(features) if side is Side.ITEM else self.model.encode_queries(features)
            names = (TowerOutput.WEIGHTS, TowerOutput.VECTOR, TowerOutput.REPEATS)
            return tf.concat([outputs[name.value] for name in names if name.value in outputs], axis=1)

        if side not in self._functions:
            self._functions[side] = compile_rows(encode, read(rows[:1]))
        function, branches = self._functions[side], branches_of(side)
        outputs = map_rows(function, rows, gather=read, size=_ROWS_AT_ONCE)
        outputs = outputs.reshape(len(rows), function.get_concrete_function().outputs[0].shape[1])
        has_weight = (outputs[:, : len(branches)] != 0.0).any(axis=0)
        self.modalities |= {modality for modality, present in zip(branches, has_weight, strict=True) if present}
        return outputs[:, len(branches) :]


def _retrieval_section(eval_set: EvalSet, scorers: Mapping[str, metrics.Scorer], num_items: int) -> ReportSection:
    relevant = eval_set.relevant
    if eval_set.excluded_items is not None:
        scorers = {name: metrics.exclude_items(scorer, eval_set.excluded_items) for name, scorer in scorers.items()}
    ranks = {name: metrics.count_ranks(scorer, relevant, num_items=num_items) for name, scorer in scorers.items()}
    rows: list[MetricRow] = []
    for slice_name, mask in eval_set.slices.items():
        part = relevant.where(mask)
        by_request = {name: metrics.request_metrics(part, values[mask]) for name, values in ranks.items()}
        rows += _slice_rows(slice_name, part, by_request, num_items=num_items)
    return ReportSection(name=eval_set.name, title=eval_set.title, rows=tuple(rows), headline=_HEADLINE)


def _slice_rows(
    slice_name: str, part: metrics.Relevant, by_request: Mapping[str, Mapping[str, np.ndarray]], *, num_items: int
) -> Iterator[MetricRow]:
    """The metrics of one slice; with intervals of all requests, and of the headline metric of a part of them."""
    chance = metrics.chance_metrics(part, num_items=num_items)
    model, *others = by_request
    for metric, expected in chance.items():
        of_each = {name: values[metric] for name, values in by_request.items()}
        means = {name: _mean(values) for name, values in of_each.items()}
        has_intervals = slice_name == "all" or metric == _HEADLINE
        yield MetricRow(
            slice_name=slice_name,
            size=part.num_requests(),
            metric=metric,
            values={model: means[model], "chance": expected, **{name: means[name] for name in others}},
            intervals={name: mean_interval(values) for name, values in of_each.items()} if has_intervals else {},
        )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _masked_section(
    eval_set: EvalSet, *, encoder: TowerEncoder, tables: TrainingTables, requests: Requests, counts: np.ndarray
) -> ReportSection:
    """The headline metric of each slice with one modality masked at inference, on both towers and in the histories."""
    values: dict[str, np.ndarray] = {}
    snapshot = encoder.model.snapshot.numpy()
    for modality in (None, *(each for each in Modality if each in encoder.modalities)):
        masked = () if modality is None else (modality,)
        encoder.model.set_snapshot(encoder.items(tables.items, (*masked, *DAILY_MODALITIES)))
        items = encoder.items(tables.items, masked)
        queries = encoder.queries(tables.evaluation, requests.first_row, masked)
        scorer = encoder.scorer(queries, items, counts)
        name = "model" if modality is None else f"no {modality.value}"
        values[name] = metrics.count_ranks(scorer, eval_set.relevant, num_items=tables.items.num_items)
    encoder.model.set_snapshot(snapshot)
    rows = []
    for slice_name, mask in eval_set.slices.items():
        part = eval_set.relevant.where(mask)
        recall = {name: metrics.request_metrics(part, ranks[mask])[_HEADLINE] for name, ranks in values.items()}
        headline = {name: _mean(of_each) for name, of_each in recall.items()}
        ratios = {name: _ratio(headline["model"], value) for name, value in headline.items()}
        intervals = {name: mean_interval(of_each) for name, of_each in recall.items()}
        row = functools.partial(MetricRow, slice_name=slice_name, size=part.num_requests())
        rows.append(row(metric=_HEADLINE, values=headline, intervals=intervals))
        rows.append(row(metric="full / masked", values=ratios))
    title = f"The same model with one modality masked at inference ({eval_set.title.lower()})"
    return ReportSection(name="masked", title=title, rows=tuple(rows))


def _ratio(whole: float, part: float) -> float:
    if part > 0:
        return whole / part
    return float("inf") if whole > 0 else float("nan")
