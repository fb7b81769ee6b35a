"""Catalogue rows to item Examples: validation, one record for each id, media in wire form."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from beam_preprocess import examples, sharded_writer, validation
from beam_preprocess.media import wire
from beam_preprocess.media.errors import MediaError
from beam_preprocess.outcomes import Count, DeadLetter, Reason, RecordError, SourceRef, SourceRow
from beam_preprocess.sources import MediaRoot, MediaUnavailable, ReadRecords, Source
from beam_preprocess.steps import OutcomeCollector
from trainer.spec.config import Config
from trainer.spec.feature_list import features_of
from trainer.spec.features import Dtype, Modality, Side
from trainer.spec.records import CATALOG, Field

LEVEL_SEPARATOR = " > "
NAMED, UNUSABLE, WRITTEN = "items_naming_media", "items_with_unusable_media", "written"
_KEYED = Tuple[str, AnyType]


def read_catalog(pipeline: beam.Pipeline, source: Source, outcomes: OutcomeCollector) -> beam.PCollection:
    """Every valid item once: (item_id, (Ref parts, record))."""
    found = pipeline | "read catalogue" >> ReadRecords(source, "catalog")
    checked = outcomes.run(
        found, "check items", functools.partial(check_row, fields=CATALOG, key="item_id"), out=_KEYED
    )
    groups = checked | "by item" >> beam.GroupByKey()
    return outcomes.run(groups, "last of each item", latest_record, out=_KEYED)


def check_row(row: SourceRow, *, fields: tuple[Field, ...], key: str) -> Iterator[Any]:
    """(value of `key`, ((file, number), record)) of a valid row, or its dead letter."""
    yield Count("read")
    if isinstance(row.values, RecordError):
        yield DeadLetter(row.ref, row.values)
        return
    checked = validation.check(row.values, fields)
    if checked.error is not None:
        yield DeadLetter(row.ref, checked.error, key=str(checked.values.get(key, "")))
        return
    yield from map(Count, checked.warnings)
    yield checked.values[key], ((row.ref.file, row.ref.number), checked.values)


def latest_record(group: tuple[str, Iterable[Any]]) -> Iterator[Any]:
    """The last record of an item; equal ones are counted, earlier ones with other content become dead letters."""
    item_id, found = group
    *earlier, (last_ref, last) = sorted(found, key=lambda pair: pair[0])
    content = json.dumps(last, sort_keys=True)
    for ref, record in earlier:
        if json.dumps(record, sort_keys=True) == content:
            yield Count(f"dropped/{Reason.DUPLICATE}")
        else:
            detail = f"the same item_id comes again at {SourceRef(*last_ref)}"
            yield DeadLetter(SourceRef(*ref), RecordError(Reason.SUPERSEDED, detail), key=item_id)
    yield item_id, (last_ref, last)


def serialize_item(keyed: tuple[str, Any], *, media_root: MediaRoot, config: Config) -> Iterator[Any]:
    """(shard, (sort key, serialized Example)) of one item; media that cannot be used become dead letters."""
    item_id, (ref, record) = keyed
    letters: list[DeadLetter] = []
    row = wire_row(record, config)
    named = False
    for feature in features_of(Side.ITEM):
        if feature.modality not in WIRE_FORMS or feature.dtype is not Dtype.BYTES:
            continue
        value = record.get(feature.name) or []
        addresses = value if isinstance(value, list) else [value]
        named |= bool(addresses)
        made: list[Any] = []
        for uri in addresses:
            if len(made) >= (config.wire.num_images if feature.modality is Modality.IMAGE else 1):
                break
            form = wire_form(uri, modality=feature.modality, media_root=media_root, config=config)
            if isinstance(form, bytes | list):
                made += form if isinstance(form, list) else [form]
            else:
                letters.append(form(SourceRef(*ref), item_id))
        row[feature.name] = made if feature.axes else (made or [b""])[0]
    row["media_missing"] = int(bool(letters))
    yield from letters
    yield Count(NAMED, int(named))
    yield Count(UNUSABLE, int(bool(letters)))
    yield Count(WRITTEN)
    name = item_id.encode()
    shard = sharded_writer.shard_of(name, config.data.item_shards)
    yield shard, (name, examples.serialize(row, sides=(Side.ITEM,), wire=config.wire))


def wire_row(record: dict[str, Any], config: Config) -> dict[str, Any]:
    """The features of an item that come straight from its record, by the names they share."""
    shared = ("item_id", "title", "description", "brand", "price", "currency")
    row = {name: record[name] for name in shared if name in record}
    path = [level for level in record.get("category", []) if level][: config.wire.category_levels]
    row["group_id"] = record.get("group_id") or record["item_id"]
    row["category"] = [LEVEL_SEPARATOR.join(path[: depth + 1]) for depth in range(len(path))]
    row["attributes"] = validation.entries(record.get("attributes", {}))
    row["relation_ids"] = [edge["item_id"] for edge in record.get("relations", [])]
    row["relation_types"] = [edge["type"] for edge in record.get("relations", [])]
    row["in_stock"] = int(record.get("in_stock", True))
    return row


def _image(data: bytes, config: Config) -> bytes:
    return wire.image_wire(data, px=config.wire.image_px)


def _clip(data: bytes, config: Config) -> list[bytes]:
    return wire.video_wire(data, frames=config.wire.num_frames, px=config.wire.frame_px)


def _sound(data: bytes, config: Config) -> bytes:
    return wire.audio_wire(data, max_seconds=config.wire.audio_ms / 1000)


WIRE_FORMS: dict[Modality | None, Callable[[bytes, Config], bytes | list[bytes]]] = {
    Modality.IMAGE: _image,
    Modality.VIDEO: _clip,
    Modality.AUDIO: _sound,
}


def wire_form(
    uri: str, *, modality: Modality | None, media_root: MediaRoot, config: Config
) -> bytes | list[bytes] | Callable[[SourceRef, str], DeadLetter]:
    """A medium in wire form, or what makes its dead letter from a row and a key."""
    sha256 = ""
    try:
        data = media_root.read(uri)
        sha256 = hashlib.sha256(data).hexdigest()
        return WIRE_FORMS[modality](data, config)
    except (MediaUnavailable, MediaError) as error:
        problem = RecordError(error.kind, error.detail)
        return lambda ref, key: DeadLetter(ref, problem, key=key, uri=uri, sha256=sha256)
