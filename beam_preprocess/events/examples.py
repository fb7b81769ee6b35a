"""Event Examples from interactions: the query's media in wire form, and the features of the row."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beam_preprocess import examples, sharded_writer
from beam_preprocess.events.rows import Interaction
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.media.wire import WireMedia, wire_form
from beam_preprocess.outcomes import Count
from beam_preprocess.validation import entries
from trainer.spec.config import Config
from trainer.spec.features import Modality, Side
from trainer.spec.units import MICROSECONDS_PER_SECOND

_MEDIA = {"image": Modality.IMAGE, "video": Modality.VIDEO, "audio": Modality.AUDIO}
_TIME_ZERO = 2**63  # so that times before 1970 sort first


def media_key(row: Interaction) -> str:
    """Returns the media of a row's query as one key; "" when it has none."""
    named = [row.query.get(part, "") for part in _MEDIA]
    return "\n".join(named) if any(named) else ""


def without_media(row: Interaction, *, config: Config) -> Iterator[Any]:
    """Yields (split, shard, (sort key, serialized Example)) of a row whose query is text or empty."""
    yield from serialize_row(row, {}, config=config)


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
    features = {
        "event_item_id": row.item_id,
        "request_id": row.request_id,
        "event_time": row.time_us // MICROSECONDS_PER_SECOND,
        "position": row.position,
        "label_click": row.click,
        "label_purchase": row.purchase,
        "label_grade": row.grade,
        "label_relevance": row.relevance,
        "label_intent": row.intent,
        "review_text": row.review,
        "label_sentiment": row.sentiment,
        "positive": row.positive,
        "query_text": row.query.get("text", ""),
        "history_ids": [past.item_id for past in row.history],
        "history_age_days": [past.age_days for past in row.history],
        "history_counts": [past.num_requests for past in row.history],
        "search_history_texts": [past.text for past in row.search_history],
        "search_history_age_days": [past.age_days for past in row.search_history],
        "profile": entries(row.profile),
        "user_hash": row.user_hash,
        **media,
    }
    split = row.split
    yield Count(f"rows/{split}")
    if row.positive > 0:
        yield Count(f"positives/{split}")
    if row.is_first_of_request:
        yield Count(f"requests/{split}")
    if row.is_judgment:
        yield Count("judgments")
    if row.review:
        yield Count(f"reviews/{split}")
    serialized = examples.serialize(features, sides=(Side.QUERY, Side.EVENT), wire=config.wire)
    shard = sharded_writer.shard_of(row.request_id.encode(), config.data.event_shards)
    yield split, shard, (_sort_key(row), serialized)


def _sort_key(row: Interaction) -> bytes:
    """Orders rows by second, request, item and position."""
    time = (row.time_us // MICROSECONDS_PER_SECOND + _TIME_ZERO).to_bytes(9, "big")
    position = (row.position + _TIME_ZERO).to_bytes(9, "big")
    return b"\0".join([time, row.request_id.encode(), row.item_id.encode(), position])
