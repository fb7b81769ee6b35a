"""Answered queries: a sample of recorded requests with their results, contributions to scores, and occlusion."""

import dataclasses
import io
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from serving.evaluation.eval_requests import EvalRequest, stack_queries
from serving.report.figures.thumbnails import jpeg_of
from serving.server.protocol.predict import predict_arrays
from serving.server.protocol.servable import Servable
from trainer.spec.feature_list import HISTORY_IDS, features_of
from trainer.spec.features import Dtype, Side
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, LEXICAL

NUM_QUERIES, NUM_RESULTS, NUM_EXPLAINED = 20, 6, 3
EXPLAIN = "explain"
POOL = 200  # requests that the sample is chosen from
MAX_REASONS, MAX_WORDS, GRID = 8, 12, 4
_OCCLUDED_QUALITY = 90
_PARTS = tuple(f for f in features_of(Side.QUERY) if f.modality is not None and f.dtype is Dtype.BYTES)
Amount = tuple[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One result: item id, score, whether the shopper acted on it, and what adds up to the score."""

    item: bytes
    score: float
    is_relevant: bool
    reasons: Sequence[Amount]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnsweredQuery:
    """A recorded query and its answer.

    Attributes:
      parts: Modalities of the query.
      text: The typed text, "" without one.
      photo: The photo in JPEG, b"" without one.
      history: Ids of the shopper's history.
      results: The first page, best first.
      words: (word, loss of the first result's score without it).
      regions: [row][column] loss of that score with a region of the photo covered; empty without a photo.
      milliseconds: Time of the search.
    """

    parts: Sequence[str]
    text: str
    photo: bytes
    history: Sequence[bytes]
    results: Sequence[Result]
    words: Sequence[Amount]
    regions: Sequence[Sequence[float]]
    milliseconds: float

    @property
    def items(self) -> set[bytes]:
        """Every item that it names."""
        return {result.item for result in self.results} | set(self.history)


def query_parts(query: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the modalities of a query in wire form, in the order of the declaration."""
    present = [f.modality.value for f in _PARTS if f.modality and np.any(np.asarray(query[f.name], object) != b"")]
    return tuple(dict.fromkeys(present))


def choose_requests(requests: Sequence[EvalRequest], *, number: int = NUM_QUERIES) -> list[EvalRequest]:
    """Returns a sample with as many kinds of query as possible: one of each kind in turn, in the order given."""
    by_kind: dict[tuple[str, ...], list[EvalRequest]] = {}
    for request in requests:
        by_kind.setdefault(query_parts(request.query), []).append(request)
    turns = max(map(len, by_kind.values()), default=0)
    chosen = [group[turn] for turn in range(turns) for group in by_kind.values() if turn < len(group)]
    return chosen[:number]


def answer_requests(model: Servable, requests: Sequence[EvalRequest]) -> list[AnsweredQuery]:
    """Searches for each request, one at a time; the first one twice, so that the model is warm when it counts."""
    if requests:
        _search(model, requests[0])
    return [_answer(model, request) for request in requests]


def _search(model: Servable, request: EvalRequest) -> dict[str, np.ndarray]:
    page = {"page_size": np.array([NUM_RESULTS], np.int32)}
    return predict_arrays(model, model.signatures["search"], {**stack_queries([request.query]), **page})


def _answer(model: Servable, request: EvalRequest) -> AnsweredQuery:
    began = time.monotonic()
    found = _search(model, request)
    milliseconds = 1000.0 * (time.monotonic() - began)
    items = [item for item in found["ids"][0].tolist() if item]
    reasons = _reasons(model, request, items[:NUM_EXPLAINED])
    results = [
        Result(
            item=item,
            score=float(found["scores"][0][place]),
            is_relevant=item in request.relevant,
            reasons=reasons[place] if place < len(reasons) else (),
        )
        for place, item in enumerate(items)
    ]
    query = request.query
    return AnsweredQuery(
        parts=query_parts(query),
        text=bytes(query["query_text"]).decode("utf-8", "replace"),
        photo=bytes(query["query_image"]),
        history=[item for item in np.ravel(query[HISTORY_IDS]).tolist() if item],
        results=results,
        words=occluded_words(model, query, items[0]) if items else (),
        regions=occluded_regions(model, query, items[0]) if items else (),
        milliseconds=milliseconds,
    )


def _reasons(model: Servable, request: EvalRequest, items: Sequence[bytes]) -> list[Sequence[Amount]]:
    """The contributions to the score of each item; empty where the bundle does not explain."""
    if not items or EXPLAIN not in model.signatures:
        return []
    inputs = {**stack_queries([request.query] * len(items)), "item_id": np.array(items, object)}
    found = predict_arrays(model, model.signatures[EXPLAIN], inputs)
    return [reasons_of({name: values[row] for name, values in found.items()}) for row in range(len(items))]


def reasons_of(explained: Mapping[str, np.ndarray]) -> list[Amount]:
    """Returns the contributions to one score, the largest first; what is left of it is the last, `other`.

    Args:
      explained: One row of the outputs of `explain`.
    """
    amounts: list[Amount] = []
    for row, component in enumerate(explained["query_components"].tolist()):
        for column, branch in enumerate(explained["item_branches"].tolist()):
            name = f"{component.decode()} of the query, {branch.decode()} of the item"
            amounts.append((name, float(explained["contribution_matrix"][row][column])))
    for word, amount in zip(explained["words"].tolist(), explained["word_contributions"].tolist(), strict=True):
        amounts.append((f"word “{word.decode('utf-8', 'replace')}”", float(amount)))
    others = [name for name in DEFAULT_SCORE_WEIGHTS if name != LEXICAL and f"contribution_{name}" in explained]
    for name in (*others, "intent", "boost"):
        amounts.append((name.replace("_", " "), float(explained[f"contribution_{name}"])))
    amounts = sorted((pair for pair in amounts if abs(pair[1]) >= 5e-4), key=lambda pair: -abs(pair[1]))
    rest = float(explained["score"]) - sum(amount for _, amount in amounts[:MAX_REASONS])
    return amounts[:MAX_REASONS] + ([("other", rest)] if abs(rest) >= 5e-4 else [])


def occluded_words(model: Servable, query: Mapping[str, Any], item: bytes) -> list[Amount]:
    """Returns each of the first words of the text with the loss of the item's score without it."""
    words = bytes(query["query_text"]).decode("utf-8", "replace").split()
    if not words:
        return []
    without = [" ".join(words[:place] + words[place + 1 :]) for place in range(min(len(words), MAX_WORDS))]
    variants = [{**query, "query_text": text.encode()} for text in without]
    return list(zip(words, _losses(model, query, variants, item=item), strict=False))


def occluded_regions(model: Servable, query: Mapping[str, Any], item: bytes) -> list[list[float]]:
    """Returns the loss of the item's score with each region of the photo covered by its mean colour; [] without one."""
    try:
        with Image.open(io.BytesIO(bytes(query["query_image"]))) as opened:
            photo = opened.convert("RGB")
    except (OSError, ValueError):
        return []
    mean = photo.resize((1, 1), Image.Resampling.BOX).resize(photo.size)
    variants = []
    for place in range(GRID * GRID):
        covered, (row, column) = photo.copy(), divmod(place, GRID)
        width, height = photo.size
        corner = (column * width // GRID, row * height // GRID)
        box = (*corner, (column + 1) * width // GRID, (row + 1) * height // GRID)
        covered.paste(mean.crop(box), box)
        variants.append({**query, "query_image": jpeg_of(covered, quality=_OCCLUDED_QUALITY)})
    whole = {**query, "query_image": jpeg_of(photo, quality=_OCCLUDED_QUALITY)}
    losses = _losses(model, whole, variants, item=item)
    return [losses[start : start + GRID] for start in range(0, GRID * GRID, GRID)]


def _losses(
    model: Servable, query: Mapping[str, Any], variants: Sequence[Mapping[str, Any]], *, item: bytes
) -> list[float]:
    """The score of an item for a query less that for each variant of the query."""
    rows = [query, *variants]
    if EXPLAIN in model.signatures:  # is in use already: a signature that is called for the first time takes seconds
        inputs = {**stack_queries(rows), "item_id": np.full([len(rows)], item, object)}
        scores = predict_arrays(model, model.signatures[EXPLAIN], inputs)["score"]
    else:
        inputs = {**stack_queries(rows), "item_ids": np.full([len(rows), 1], item, object)}
        scores = predict_arrays(model, model.signatures["rank"], inputs)["scores"][:, 0]
    return (scores[0] - scores[1:]).astype(float).tolist()
