"""Rows of events to Examples: the query's media in wire form, and the features of the row."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beam_preprocess import examples, sharded_writer
from beam_preprocess.events.joins import PairRow, relevance
from beam_preprocess.items import wire_form
from beam_preprocess.outcomes import Count, DeadLetter, SourceRef
from beam_preprocess.sources import MediaRoot
from beam_preprocess.validation import entries
from trainer.spec.config import Config
from trainer.spec.features import Modality, Side
from trainer.spec.units import MICROSECONDS_PER_SECOND

_MEDIA = {"image": Modality.IMAGE, "video": Modality.VIDEO, "audio": Modality.AUDIO}
_TIME_ZERO = 2**63  # so that times before 1970 sort first


def media_key(row: PairRow) -> str:
    """The media of a row's query; "" when it has none."""
    named = [row["query"].get(part, "") for part in _MEDIA]
    return "\n".join(named) if any(named) else ""


def without_media(row: PairRow, *, config: Config) -> Iterator[Any]:
    """(split, shard, (sort key, serialized Example)) of a row whose query is text or nothing."""
    yield from serialize_row(row, {}, config=config)


def with_media(group: tuple[str, Iterable[PairRow]], *, media_root: MediaRoot, config: Config) -> Iterator[Any]:
    """The same for all rows whose query has the same media, which is decoded once."""
    rows = sorted(group[1], key=lambda row: (row["ref"], row["item"]))
    media: dict[str, bytes | list[bytes]] = {}
    for part, modality in _MEDIA.items():
        uri = rows[0]["query"].get(part)
        if uri is None:
            continue
        form = wire_form(uri, modality=modality, media_root=media_root, config=config)
        if isinstance(form, bytes | list):
            media[f"query_{part}"] = form
        else:
            letter: DeadLetter = form(SourceRef(*rows[0]["ref"]), rows[0]["request"])
            yield letter
            yield Count("rows_with_unusable_media", len(rows))
    for row in rows:
        yield from serialize_row(row, media, config=config)


def serialize_row(row: PairRow, media: Mapping[str, Any], *, config: Config) -> Iterator[Any]:
    """(split, shard, (sort key, serialized Example)) of one row."""
    history, searches = row["history"], row["searches"]
    features = {
        "event_item_id": row["item"],
        "request_id": row["request"],
        "event_time": row["time"] // MICROSECONDS_PER_SECOND,
        "position": row["position"],
        "label_click": row["click"],
        "label_purchase": row["purchase"],
        "label_grade": row["grade"],
        "label_relevance": relevance(row),
        "label_intent": row["intent"],
        "review_text": row["review"],
        "label_sentiment": row["sentiment"],
        "positive": row["positive"],
        "query_text": row["query"].get("text", ""),
        "history_ids": [item for item, *_ in history],
        "history_age_days": [age for _, age, _ in history],
        "history_counts": [count for *_, count in history],
        "search_history_texts": [typed for typed, _ in searches],
        "search_history_age_days": [age for _, age in searches],
        "profile": entries(row["profile"]),
        "user_hash": row["user"],
        **media,
    }
    split = row["split"]
    yield Count(f"rows/{split}")
    yield Count(f"positives/{split}", int(row["positive"] > 0))
    yield Count(f"requests/{split}", int(row["first"]))
    yield Count("judgments", int(row["judged"]))
    yield Count(f"reviews/{split}", int(bool(row["review"])))
    serialized = examples.serialize(features, sides=(Side.QUERY, Side.EVENT), wire=config.wire)
    shard = sharded_writer.shard_of(row["request"].encode(), config.data.event_shards)
    yield split, shard, (_sort_key(row), serialized)


def _sort_key(row: PairRow) -> bytes:
    """Orders rows by second, request, item and position."""
    time = (row["time"] // MICROSECONDS_PER_SECOND + _TIME_ZERO).to_bytes(9, "big")
    position = (row["position"] + _TIME_ZERO).to_bytes(9, "big")
    return b"\0".join([time, row["request"].encode(), row["item"].encode(), position])
