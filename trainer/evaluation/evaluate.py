"""Exact evaluation over the full catalogue: what was held out, what was judged and what was planted, beside floors."""

import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from trainer import metrics
from trainer.evaluation import baselines
from trainer.evaluation.eval_sets import Question, Requests, questions, read_truth
from trainer.evaluation.head_metrics import heads_section
from trainer.evaluation.report import Report, Row, Section
from trainer.model.tower import mask_modalities
from trainer.spec.branches import DAILY_MODALITIES, branches_of
from trainer.spec.features import Modality, Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.tables.tables import EventTable, ItemStore, Tables, compile_rows, map_rows

_ROWS_AT_ONCE = 256
_HEADLINE = "recall@10"


class Trained(Protocol):
    """What evaluation needs of a training run."""

    @property
    def model(self) -> Any:
        """The two-tower model, its snapshot that of the final weights."""

    @property
    def tables(self) -> Tables:
        """Items and events."""


def evaluate(trained: Trained, *, truth_path: str | pathlib.Path | None = None) -> Report:
    """Measures a trained model on the held-out events.

    Args:
      trained: Model and tables.
      truth_path: The planted truth of a synthetic shop (`truth.jsonl`), which adds its own question and slices.
    """
    tables = trained.tables
    requests = Requests.of(tables.evaluation)
    truth = read_truth(truth_path, requests, tables.items) if truth_path is not None else {}
    counts = baselines.item_counts(tables.train, num_items=tables.items.num_items)
    asked = questions(tables, requests=requests, truth=truth, counts=counts)
    encoder = Encoder(trained.model)
    items = encoder.items(tables.items)
    queries = encoder.queries(tables.evaluation, requests.first_row)
    scorers = {"model": encoder.scorer(queries, items, counts), **_floors(tables, requests, counts)}
    sections = [_retrieval_section(question, scorers, tables.items.num_items) for question in asked]
    if asked:
        (*_, question) = (each for each in asked if each.left_out is None)
        sections.append(_masked_section(question, encoder=encoder, tables=tables, requests=requests, counts=counts))
    sections.append(heads_section(trained, requests=requests, items=items, queries=queries.vectors))
    return Report(
        sections=tuple(section for section in sections if section.rows),
        counts={
            "items": tables.items.num_items,
            "train_rows": tables.train.num_rows,
            "held_out_rows": tables.evaluation.num_rows,
            "held_out_requests": len(requests.ids),
            "rows_of_unknown_items": tables.train.num_dropped + tables.evaluation.num_dropped,
        },
    )


def _floors(tables: Tables, requests: Requests, counts: np.ndarray) -> dict[str, metrics.Scorer]:
    events, num_items = tables.evaluation, tables.items.num_items
    histories = events.values("history_rows")[requests.first_row]
    return {
        "popularity": baselines.popularity(counts),
        "own history": baselines.OwnHistory(histories, counts=counts),
        "neighbours": baselines.Neighbours(tables.train, num_items=num_items, histories=histories),
        "bm25": baselines.Lexical(tables.items.texts(), query_texts=events.query_texts(requests.first_row)),
    }


class Queries(NamedTuple):
    """Requests as the model sees them.

    Attributes:
      vectors: [request, dim] float32.
      history_rows: [request, history] int, store rows, -1 = absent.
      repeats: [request, history] float32, what the similarity of each item of the history gains.
    """

    vectors: np.ndarray
    history_rows: np.ndarray
    repeats: np.ndarray


class Encoder:
    """Vectors of items and queries from their tables, with modalities masked on demand.

    Attributes:
      model: The two-tower model.
      seen: The modalities that anything encoded so far has.
    """

    def __init__(self, model: Any) -> None:
        """Compiles one function for each side when it is first needed: making a graph takes longer than its use."""
        self.model = model
        self.seen: set[Modality] = set()
        self._functions: dict[Side, Any] = {}

    def items(self, items: ItemStore, masked: Collection[Modality] = ()) -> np.ndarray:
        """[items, dim] float32."""
        return self._mapped(Side.ITEM, np.arange(items.num_items), masked=masked, gather=items.gather)

    def queries(self, events: EventTable, rows: np.ndarray, masked: Collection[Modality] = ()) -> Queries:
        """Those of event `rows`; histories are read from the model's snapshot."""
        found = self._mapped(Side.QUERY, rows, masked=masked, gather=events.gather_queries)
        dim, history_rows = self.model.snapshot.shape[1], events.values("history_rows")[rows]
        return Queries(vectors=found[:, :dim], history_rows=history_rows, repeats=found[:, dim:])

    def scorer(self, queries: Queries, items: np.ndarray, counts: np.ndarray) -> metrics.Scorer:
        """How similar requests and items [items, dim] are; popularity for a query that says nothing.

        So does a bundle answer; `counts` are [items].
        """
        silent = np.all(queries.vectors == 0.0, axis=1)
        popular = baselines.popularity(counts)
        similar = metrics.similarity_scorer(
            np.asarray(self.model.query_keys(queries.vectors)),
            np.asarray(self.model.item_keys(items)),
            history_rows=queries.history_rows,
            repeats=queries.repeats,
        )
        return lambda asked: np.where(silent[asked, np.newaxis], popular(asked), similar(asked))

    def _mapped(
        self,
        side: Side,
        rows: np.ndarray,
        *,
        masked: Collection[Modality],
        gather: Callable[[np.ndarray], dict[str, np.ndarray]],
    ) -> np.ndarray:
        """What a tower gives for `rows` side by side: vectors, and of queries what the items of the history gain."""

        def read(part: np.ndarray) -> dict[str, np.ndarray]:
            return {**gather(part), **mask_modalities(masked)}

        def encode(features: Mapping[str, Any]) -> Any:
            found = self.model.encode_items(features) if side is Side.ITEM else self.model.encode_queries(features)
            names = (TowerOutput.WEIGHTS, TowerOutput.VECTOR, TowerOutput.REPEATS)
            return tf.concat([found[name.value] for name in names if name.value in found], axis=1)

        if side not in self._functions:
            self._functions[side] = compile_rows(encode, read(rows[:1]))
        function, branches = self._functions[side], branches_of(side)
        found = map_rows(function, rows, gather=read, size=_ROWS_AT_ONCE)
        found = found.reshape(len(rows), function.get_concrete_function().outputs[0].shape[1])
        weighs = (found[:, : len(branches)] != 0.0).any(axis=0)
        self.seen |= {modality for modality, somewhere in zip(branches, weighs, strict=True) if somewhere}
        return found[:, len(branches) :]


def _retrieval_section(question: Question, scorers: Mapping[str, metrics.Scorer], num_items: int) -> Section:
    relevant = question.relevant
    if question.left_out is not None:
        scorers = {name: metrics.exclude_items(scorer, question.left_out) for name, scorer in scorers.items()}
    ranks = {name: metrics.count_ranks(scorer, relevant, num_items=num_items) for name, scorer in scorers.items()}
    rows = []
    for slice_name, mask in question.slices.items():
        part = relevant.where(mask)
        model, *others = [(name, metrics.retrieval_metrics(part, values[mask])) for name, values in ranks.items()]
        columns = dict([model, ("chance", metrics.chance_metrics(part, num_items=num_items)), *others])
        for metric in columns["model"]:
            values = {name: column[metric] for name, column in columns.items()}
            rows.append(Row(slice_name=slice_name, size=part.num_requests(), metric=metric, values=values))
    return Section(name=question.name, title=question.title, rows=tuple(rows), headline=_HEADLINE)


def _masked_section(
    question: Question, *, encoder: "Encoder", tables: Tables, requests: Requests, counts: np.ndarray
) -> Section:
    """The headline metric of each slice with one modality masked at inference, on both towers and in the histories."""
    values: dict[str, np.ndarray] = {}
    snapshot = encoder.model.snapshot.numpy()
    for modality in (None, *(each for each in Modality if each in encoder.seen)):
        masked = () if modality is None else (modality,)
        encoder.model.set_snapshot(encoder.items(tables.items, (*masked, *DAILY_MODALITIES)))
        items = encoder.items(tables.items, masked)
        queries = encoder.queries(tables.evaluation, requests.first_row, masked)
        scorer = encoder.scorer(queries, items, counts)
        name = "model" if modality is None else f"no {modality.value}"
        values[name] = metrics.count_ranks(scorer, question.relevant, num_items=tables.items.num_items)
    encoder.model.set_snapshot(snapshot)
    rows = []
    for slice_name, mask in question.slices.items():
        part = question.relevant.where(mask)
        found = {name: metrics.retrieval_metrics(part, ranks[mask])[_HEADLINE] for name, ranks in values.items()}
        ratios = {name: _ratio(found["model"], value) for name, value in found.items()}
        for metric, columns in ((_HEADLINE, found), ("full / masked", ratios)):
            rows.append(Row(slice_name=slice_name, size=part.num_requests(), metric=metric, values=columns))
    title = f"The same model with one modality masked at inference ({question.title.lower()})"
    return Section(name="masked", title=title, rows=tuple(rows))


def _ratio(whole: float, part: float) -> float:
    if part > 0:
        return whole / part
    return float("inf") if whole > 0 else float("nan")
