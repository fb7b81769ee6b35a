"""Event Examples from interactions: the query's media in wire form, and the features of the row."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from beam_preprocess import examples, sharded_writer
from beam_preprocess.events.rows import EVAL, TRAIN, Interaction
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.media.wire import WireMedia, wire_form
from beam_preprocess.outcomes import Count
from beam_preprocess.validation import entries
from trainer.spec.config import Config, WireConfig
from trainer.spec.features import Modality, Side
from trainer.spec.units import MICROSECONDS_PER_SECOND

_MEDIA = {"image": Modality.IMAGE, "video": Modality.VIDEO, "audio": Modality.AUDIO}
_NO_MEDIA: Mapping[str, Any] = {}
_TIME_ZERO = 2**63  # so that times before 1970 sort first


def media_key(row: Interaction) -> str:
    """Returns the media of a row's query as one key; "" when it has none."""
    if not row.query or (len(row.query) == 1 and "text" in row.query):
        return ""
    named = [row.query.get(part, "") for part in _MEDIA]
    return "\n".join(named) if any(named) else ""


def without_media(row: Interaction, *, config: Config) -> Iterator[Any]:
    """Yields (split, shard, (sort key, serialized Example)) of a row whose query is text or empty, else nothing."""
    if not media_key(row):
        yield from serialize_row(row, _NO_MEDIA, config=config)


def with_media(group: tuple[str, Iterable[Interaction]], *, media_root: MediaRoot, config: Config) -> Iterator[Any]:
    """Yields the same for all rows whose query has the same media, which is decoded once."""
    rows = sorted(group[1], key=lambda row: (row.ref, row.item_id))
    media: dict[str, bytes | list[bytes]] = {}
    for part, modality in _MEDIA.items():
        uri = rows[0].query.get(part)
        if uri is None:
            continue
        form = wire_form(uri, modality=modality, media_root=media_root, wire=config.wire)
        if isinstance(form, WireMedia):
            media[f"query_{part}"] = list(form.parts) if modality is Modality.VIDEO else form.parts[0]
        else:
            yield form.dead_letter(rows[0].ref, rows[0].request_id)
            yield Count("rows_with_unusable_media", len(rows))
    for row in rows:
        yield from serialize_row(row, media, config=config)


def serialize_row(row: Interaction, media: Mapping[str, Any], *, config: Config) -> Iterator[Any]:
    """Yields (split, shard, (sort key, serialized Example)) of one row."""
    rows, positives, requests, reviews = _COUNTS[row.split]
    yield rows
    if row.positive > 0:
        yield positives
    if row.is_first_of_request:
        yield requests
    if row.is_judgment:
        yield _JUDGMENTS
    if row.review:
        yield reviews
    shard = _shard_of(row.request_id, config.data.event_shards)
    yield row.split, shard, (_sort_key(row), row_serializer(config.wire).serialize(row, media))


class _Counts(NamedTuple):
    """Counts of the rows of one split."""

    rows: Count
    positives: Count
    requests: Count
    reviews: Count


_COUNTS = {split: _Counts(*(Count(f"{name}/{split}") for name in _Counts._fields)) for split in (TRAIN, EVAL)}
_JUDGMENTS = Count("judgments")


class RowSerializer:
    """Serializer of rows; the bytes of what the rows of one request share are made once where the rows follow."""

    def __init__(self, wire: WireConfig) -> None:
        self._serializer = examples.serializer((Side.QUERY, Side.EVENT), wire)
        self._last: tuple[Any, list[examples.Placed]] = (None, [])
        self._labels = functools.lru_cache(maxsize=4096)(self._placed_labels)

    def serialize(self, row: Interaction, media: Mapping[str, Any]) -> bytes:
        """Returns the Example of a row whose query has these media."""
        key: tuple[Any, ...] = (row.request_id, row.time_us, row.intent, row.user_hash, row.query, row.profile)
        key = (*key, row.history, row.search_history, media)
        last, shared = self._last  # read and written as one, because workers may have threads
        if key != last:
            shared = self._serializer.placed({**_shared_features(row), **media})
            self._last = (key, shared)
        about = {"event_item_id": row.item_id}
        if row.review:
            about["review_text"] = row.review
        labels = self._labels(tuple(_labels(row).items()))
        return self._serializer.joined(shared, labels, self._serializer.placed(about))

    def _placed_labels(self, labels: tuple[tuple[str, float], ...]) -> list[examples.Placed]:
        return self._serializer.placed(dict(labels))


def _labels(row: Interaction) -> dict[str, float]:
    """The features that have few values: the place of a row and its labels."""
    return {
        "position": row.position,
        "positive": row.positive,
        "label_click": row.click,
        "label_purchase": row.purchase,
        "label_grade": row.grade,
        "label_relevance": row.relevance,
        "label_sentiment": row.sentiment,
    }


def _shared_features(row: Interaction) -> dict[str, Any]:
    """The features that the rows of one request and moment share."""
    return {
        "request_id": row.request_id,
        "event_time": row.time_us // MICROSECONDS_PER_SECOND,
        "label_intent": row.intent,
        "query_text": row.query.get("text", ""),
        "history_ids": [past.item_id for past in row.history],
        "history_age_days": [past.age_days for past in row.history],
        "history_counts": [past.num_requests for past in row.history],
        "search_history_texts": [past.text for past in row.search_history],
        "search_history_age_days": [past.age_days for past in row.search_history],
        "profile": entries(row.profile),
        "user_hash": row.user_hash,
    }


@functools.cache
def row_serializer(wire: WireConfig) -> RowSerializer:
    """Returns the serializer of rows of these sizes."""
    return RowSerializer(wire)


@functools.lru_cache(maxsize=1024)
def _shard_of(request_id: str, shards: int) -> int:
    return sharded_writer.shard_of(request_id.encode(), shards)


def _sort_key(row: Interaction) -> bytes:
    """Orders rows by second, request, item and position."""
    time = (row.time_us // MICROSECONDS_PER_SECOND + _TIME_ZERO).to_bytes(9, "big")
    position = (row.position + _TIME_ZERO).to_bytes(9, "big")
    return b"\0".join([time, row.request_id.encode(), row.item_id.encode(), position])
