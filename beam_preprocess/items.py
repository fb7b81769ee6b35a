"""Item Examples from catalogue rows: validation, one record for each id, media in wire form."""

import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam

from beam_preprocess import examples, sharded_writer, validation
from beam_preprocess.batches import Batch, GroupBatches, flat_map, single
from beam_preprocess.media.fetch_step import WantedMedia, fetch_shard, fetch_wanted, shard_of_host
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.media.web.rules import web_address
from beam_preprocess.media.wire import WIRE_FORMS, MediaProblem, WireMedia, wire_form
from beam_preprocess.outcomes import Count, DeadLetter, Reason, RecordError, SourceRef, SourceRow
from beam_preprocess.sources import ReadRecords, Source, read_all
from beam_preprocess.steps import OutcomeCollector
from serving.client.search_options import CATEGORY_SEPARATOR
from trainer.spec.config import Config
from trainer.spec.feature_list import features_of
from trainer.spec.features import Dtype, Feature, Modality, Side
from trainer.spec.records import CATALOG, Field

NAMED, UNUSABLE, WRITTEN = "items_naming_media", "items_with_unusable_media", "written"
_READ, _WRITTEN = Count("read"), Count(WRITTEN)
_LONGEST_ADDRESS = 2_000
_MEDIA_FEATURES = tuple(
    feature for feature in features_of(Side.ITEM) if feature.modality in WIRE_FORMS and feature.dtype is Dtype.BYTES
)


class ValidRecord(NamedTuple):
    """A valid record and its place in the input."""

    ref: SourceRef
    values: dict[str, Any]


def read_catalog(
    pipeline: beam.Pipeline, source: Source, outcomes: OutcomeCollector, *, config: Config
) -> beam.PCollection:
    """Returns every valid item once: batches of (item_id, `ValidRecord`)."""
    found = pipeline | "read catalogue" >> ReadRecords(source, "catalog")
    checked = outcomes.run(found, "check items", functools.partial(check_row, fields=CATALOG, key="item_id"))
    groups = checked | "by item" >> GroupBatches(config.data.item_shards, ValidRecord)
    return outcomes.run(groups, "latest of each item", latest_record)


def check_row(row: SourceRow, *, fields: tuple[Field, ...], key: str) -> Iterator[Any]:
    """Yields (value of `key`, `ValidRecord`) of a valid row, or its dead letter."""
    yield _READ
    if isinstance(row.values, RecordError):
        yield DeadLetter(row.ref, row.values)
        return
    checked = validation.check(row.values, fields)
    if checked.error is not None:
        yield DeadLetter(row.ref, checked.error, key=str(checked.values.get(key, "")))
        return
    if checked.warnings:
        yield from map(Count, checked.warnings)
    yield checked.values[key], ValidRecord(row.ref, checked.values)


def latest_record(group: tuple[str, Iterable[ValidRecord]]) -> Iterator[Any]:
    """Yields the last record of an item; equal ones are counted, earlier ones of other content are dead letters."""
    item_id, found = group
    *earlier, last = sorted(found, key=lambda record: record.ref)
    if not earlier:
        yield item_id, last
        return
    content = json.dumps(last.values, sort_keys=True)
    for ref, values in earlier:
        if json.dumps(values, sort_keys=True) == content:
            yield Count(f"dropped/{Reason.DUPLICATE}")
        else:
            detail = f"the same item_id comes again at {last.ref}"
            yield DeadLetter(ref, RecordError(Reason.SUPERSEDED, detail), key=item_id)
    yield item_id, last


def fetch_catalog(
    catalog: beam.PCollection, media_root: MediaRoot, config: Config, outcomes: OutcomeCollector
) -> tuple[beam.pvalue.AsIter, ...]:
    """Fetches the media that items keep if all can be used, in parallel; returns side inputs that wait for it."""
    if media_root.fetch is None:
        return ()
    named = catalog | "media of the web" >> flat_map(functools.partial(_first_addresses, config=config))
    distinct = named | "distinct media" >> GroupBatches(config.data.item_shards, type(None))
    keyed = distinct | "hosts" >> beam.FlatMap(_with_shard).with_output_types(tuple[int, str])
    shards = keyed | "by host" >> beam.GroupByKey() | "each shard of hosts" >> beam.Map(single)
    step = functools.partial(fetch_shard, rules=media_root.fetch)
    return (beam.pvalue.AsIter(outcomes.run(shards, "fetch media", step)),)


def _first_addresses(keyed: tuple[str, ValidRecord], *, config: Config) -> Iterator[tuple[str, None]]:
    for media in media_of(keyed[1].values, config):
        yield from ((address, None) for address in filter(None, map(web_address, media.uris[: media.wanted])))


def _with_shard(addresses: Batch) -> Iterator[tuple[int, str]]:
    return ((shard_of_host(address), address) for address, _ in addresses)


def fetch_media(source: Source, config: Config) -> None:
    """Fetches the media that the items of a source keep, in this process; the next ones where some cannot be had."""
    if source.media_root.fetch is None:
        return
    rows = (row.values for row in read_all(source, "catalog"))
    records = (validation.check(values, CATALOG).values for values in rows if not isinstance(values, RecordError))
    media = (WantedMedia(named.uris, named.wanted) for record in records for named in media_of(record, config))
    fetch_wanted(media, source.media_root.fetch)


class NamedMedia(NamedTuple):
    """Media of one feature that a record names, the best first, and the number of them that an item keeps."""

    feature: Feature
    uris: list[str]
    wanted: int


def media_of(record: Mapping[str, Any], config: Config) -> Iterator[NamedMedia]:
    """Yields the media of a record, feature by feature."""
    for feature in _MEDIA_FEATURES:
        value = record.get(feature.name) or []
        uris = value if isinstance(value, list) else [value]
        yield NamedMedia(feature, uris, config.wire.num_images if feature.modality is Modality.IMAGE else 1)


def serialize_item(
    keyed: tuple[str, ValidRecord], waited_for: object = None, *, media_root: MediaRoot, config: Config
) -> Iterator[Any]:
    """Yields (shard, (sort key, serialized Example)) of one item; media that cannot be used become dead letters.

    Args:
      keyed: (item_id, record).
      waited_for: The end of `fetch_catalog`.
      media_root: The rule for URIs.
      config: Sizes and shards.
    """
    item_id, (ref, record) = keyed
    row = wire_row(record, config)
    dead_letters: list[DeadLetter] = []
    names_media = False
    for media in media_of(record, config):
        names_media |= bool(media.uris)
        parts: list[bytes] = []
        for form in _wire_forms(media, media_root, config):
            if isinstance(form, WireMedia):
                parts += form.parts
            else:
                dead_letters.append(form.dead_letter(ref, item_id))
        row[media.feature.name] = parts if media.feature.axes else (parts or [b""])[0]
    row["media_missing"] = int(bool(dead_letters))
    yield from dead_letters
    if names_media:
        yield Count(NAMED)
    if dead_letters:
        yield Count(UNUSABLE)
    yield _WRITTEN
    name = item_id.encode()
    shard = sharded_writer.shard_of(name, config.data.item_shards)
    yield shard, (name, examples.serialize(row, sides=(Side.ITEM,), wire=config.wire))


def _wire_forms(media: NamedMedia, media_root: MediaRoot, config: Config) -> Iterator[WireMedia | MediaProblem]:
    """The wire forms of media, until there are as many as an item keeps."""
    wanted = media.wanted
    for uri in media.uris:
        form = wire_form(uri, modality=media.feature.modality, media_root=media_root, wire=config.wire)
        yield form
        wanted -= isinstance(form, WireMedia)
        if not wanted:
            return


def wire_row(record: dict[str, Any], config: Config) -> dict[str, Any]:
    """Returns the features of an item that come from its record alone, most under the record's own names."""
    shared = ("item_id", "title", "description", "brand", "price", "currency")
    row = {name: record[name] for name in shared if name in record}
    path = [level for level in record.get("category", []) if level][: config.wire.category_levels]
    row["group_id"] = record.get("group_id") or record["item_id"]
    row["category"] = [CATEGORY_SEPARATOR.join(path[: depth + 1]) for depth in range(len(path))]
    first = itertools.islice(record.get("attributes", {}).items(), config.wire.max_attributes)
    row["attributes"] = validation.entries(dict(first))
    row["relation_ids"] = [edge["item_id"] for edge in record.get("relations", [])]
    row["relation_types"] = [edge["type"] for edge in record.get("relations", [])]
    row["in_stock"] = int(record.get("in_stock", True))
    row["available_from"] = record.get("available_from", 0) // validation.MICROSECONDS_PER_SECOND
    row["rating"] = record.get("rating", 0.0)
    row["image_uri"] = next(filter(_is_address, record.get("images", [])), "")
    return row


def _is_address(uri: str) -> bool:
    """Whether a page can link to a photo: one that holds its own bytes would make the bundle large."""
    return not uri.startswith("data:") and len(uri) <= _LONGEST_ADDRESS
