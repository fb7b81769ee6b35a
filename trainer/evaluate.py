"""Exact evaluation over the full catalogue: what was held out, what was judged and what was planted, beside floors."""

import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from trainer import floors, metrics
from trainer.data import EventTable, ItemStore, Tables, compile_rows, map_rows
from trainer.head_metrics import heads_section
from trainer.model.tower import hide
from trainer.questions import Question, Requests, questions, read_truth
from trainer.report import Report, Row, Section
from trainer.spec.branches import CHANGING, branches_of
from trainer.spec.features import Modality, Side

_ITEMS_AT_ONCE = 256
_QUERIES_AT_ONCE = 256
_HEADLINE = "recall@10"
_MODALITIES = tuple(m for m in Modality if any(m in branches_of(side) for side in (Side.ITEM, Side.QUERY)))


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
    counts = floors.item_counts(tables.train, num_items=tables.items.num_items)
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
        "popularity": floors.popularity(counts),
        "own history": floors.OwnHistory(histories, counts=counts),
        "neighbours": floors.Neighbours(tables.train, num_items=num_items, histories=histories),
        "bm25": floors.Lexical(tables.items.texts(), query_texts=events.query_texts(requests.first_row)),
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
    """Vectors of items and queries from their tables, with modalities masked on demand."""

    def __init__(self, model: Any) -> None:
        """Compiles one function for each side when it is first needed: making a graph takes longer than its use."""
        self.model = model
        self._functions: dict[Side, Callable[..., Any]] = {}

    def items(self, items: ItemStore, masked: Collection[Modality] = ()) -> np.ndarray:
        """[items, dim] float32."""
        rows, gather = np.arange(items.num_items), items.gather
        return self._mapped(Side.ITEM, self._item_vectors, rows, masked=masked, gather=gather, size=_ITEMS_AT_ONCE)

    def queries(self, events: EventTable, rows: np.ndarray, masked: Collection[Modality] = ()) -> Queries:
        """Those of event `rows`; histories are read from the model's snapshot."""
        encode, gather = self.model.vectors_and_repeats, events.gather_queries
        found = self._mapped(Side.QUERY, encode, rows, masked=masked, gather=gather, size=_QUERIES_AT_ONCE)
        history_rows = events.values("history_rows")[rows]
        dim = self.model.snapshot.shape[1]
        vectors, repeats = np.split(found.reshape(len(rows), dim + history_rows.shape[1]), [dim], axis=1)
        return Queries(vectors=vectors, history_rows=history_rows, repeats=repeats)

    def scorer(self, queries: Queries, items: np.ndarray, counts: np.ndarray) -> metrics.Scorer:
        """How similar requests and items [items, dim] are; popularity for a query that says nothing.

        So does a bundle answer; `counts` are [items].
        """
        silent = np.all(queries.vectors == 0.0, axis=1)
        popular = floors.popularity(counts)
        similar = metrics.similar(
            np.asarray(self.model.query_keys(queries.vectors)),
            np.asarray(self.model.item_keys(items)),
            history_rows=queries.history_rows,
            repeats=queries.repeats,
        )
        return lambda asked: np.where(silent[asked, np.newaxis], popular(asked), similar(asked))

    def _item_vectors(self, features: Mapping[str, Any]) -> Any:
        return self.model.encode_items(features)["vector"]

    def _mapped(
        self,
        side: Side,
        encode: Callable[..., Any],
        rows: np.ndarray,
        *,
        masked: Collection[Modality],
        gather: Callable[[np.ndarray], dict[str, np.ndarray]],
        size: int,
    ) -> np.ndarray:
        def read(part: np.ndarray) -> dict[str, np.ndarray]:
            return {**gather(part), **hide(masked)}

        if side not in self._functions:
            self._functions[side] = compile_rows(encode, read(rows[:1]))
        return map_rows(self._functions[side], rows, gather=read, size=size)


def _retrieval_section(question: Question, scorers: Mapping[str, metrics.Scorer], num_items: int) -> Section:
    relevant = question.relevant
    if question.left_out is not None:
        scorers = {name: metrics.without(scorer, question.left_out) for name, scorer in scorers.items()}
    ranks = {name: metrics.count_ranks(scorer, relevant, num_items=num_items) for name, scorer in scorers.items()}
    rows = []
    for slice_name, mask in question.slices.items():
        part = relevant.where(mask)
        model, *others = [(name, metrics.retrieval(part, values[mask])) for name, values in ranks.items()]
        columns = dict([model, ("chance", metrics.chance(part, num_items=num_items)), *others])
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
    for modality in (None, *_MODALITIES):
        masked = () if modality is None else (modality,)
        encoder.model.set_snapshot(encoder.items(tables.items, (*masked, *CHANGING)))
        items = encoder.items(tables.items, masked)
        queries = encoder.queries(tables.evaluation, requests.first_row, masked)
        scorer = encoder.scorer(queries, items, counts)
        name = "model" if modality is None else f"no {modality.value}"
        values[name] = metrics.count_ranks(scorer, question.relevant, num_items=tables.items.num_items)
    encoder.model.set_snapshot(snapshot)
    rows = []
    for slice_name, mask in question.slices.items():
        part = question.relevant.where(mask)
        found = {name: metrics.retrieval(part, ranks[mask])[_HEADLINE] for name, ranks in values.items()}
        ratios = {name: _ratio(found["model"], value) for name, value in found.items()}
        for metric, columns in ((_HEADLINE, found), ("full / masked", ratios)):
            rows.append(Row(slice_name=slice_name, size=part.num_requests(), metric=metric, values=columns))
    title = f"The same model with one modality masked at inference ({question.title.lower()})"
    return Section(name="masked", title=title, rows=tuple(rows))


def _ratio(whole: float, part: float) -> float:
    if part > 0:
        return whole / part
    return float("inf") if whole > 0 else float("nan")
