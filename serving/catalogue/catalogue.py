"""A catalogue encoded by the item tower: ids, groups, columns and branch vectors, in the row order of a bundle."""

import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from serving.catalogue import day_features as days
from serving.catalogue.item_encoder import EncodedItems, absent_columns, encode_items
from serving.catalogue.item_scores import ItemValues, scores_from_columns, to_table
from serving.similarity import Similarity
from serving.towers import LoadedTowers
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.config import SearchConfig, to_dict

HASH_BYTES = 32
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every item of a bundle.

    Rows: first the `num_indexed` items that search can find, then the rest. Among the first, `num_base` are those of
    the big index, by id as it was built; what was added or changed since follows, by id. In a bundle that was built and
    not refreshed they are all of the big index and none is removed.

    Attributes:
      ids: [n] item ids; only removed rows may have the id of another.
      group_ids: [n] group ids, empty for a product of its own.
      branches: [n, branch, dim] float32, which add up to an item's vector.
      vectors: [n, dim] float32; zeros for an item that is not indexed.
      unit_length: Whether a vector is the sum of its branches over its length; else it is the sum.
      num_indexed: Rows with a usable vector.
      num_base: Rows of the big index; term statistics too are frozen over them.
      removed: [n] bool, rows of the big index whose item is gone or has changed; nothing may show them.
      popularity: [n] float32, larger first; what an empty query is answered by.
      item_scores: [n, part] float32 in -1..1, in the order of `ITEM_SCORES`; 0 where nothing is known.
      columns: {name of `COLUMNS`: [n] or [n, entry]} in wire form: texts as objects of type bytes, price float32,
        in_stock int64.
      tower_hashes: [n, 32] uint8, SHA-256 of what the item tower read of each item.
      content_id: SHA-256 of what the bundle is made from, apart from model and code.
    """

    ids: tuple[bytes, ...]
    group_ids: tuple[bytes, ...]
    branches: np.ndarray
    vectors: np.ndarray
    num_indexed: int
    num_base: int
    removed: np.ndarray
    popularity: np.ndarray
    item_scores: np.ndarray
    columns: Mapping[str, np.ndarray]
    tower_hashes: np.ndarray
    content_id: str
    unit_length: bool = True

    @property
    def quarantined(self) -> tuple[bytes, ...]:
        """Items whose vector is zero or not a number; only the popularity order shows them."""
        return self.ids[self.num_indexed :]

    @property
    def alive_ids(self) -> tuple[bytes, ...]:
        """The ids of the items that are there."""
        return tuple(name for name, removed in zip(self.ids, self.removed.tolist(), strict=True) if not removed)

    @functools.cached_property
    def groups(self) -> np.ndarray:
        """[n] int32, equal for variants of one product."""
        names = [group or b"\x00item:" + item for group, item in zip(self.group_ids, self.ids, strict=True)]
        codes = {name: code for code, name in enumerate(sorted(set(names)))}
        return np.array([codes[name] for name in names], np.int32)


def build_catalogue(
    ids: list[bytes],
    *,
    groups: list[bytes],
    branches: np.ndarray,
    popularity: Mapping[bytes, float] | None = None,
    item_values: ItemValues | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    tower_hashes: np.ndarray | None = None,
    content_id: str = "",
    unit_length: bool = True,
) -> Catalogue:
    """Puts encoded items into row order and sets aside those that no index may hold.

    Args:
      ids: [n] item ids, in any order.
      groups: [n] group ids; an empty one is a product of its own.
      branches: [n, branch, dim] as the item tower gives them.
      popularity: A number for each item id, larger first; without it the catalogue order stands for popularity.
      item_values: {score component that the item alone decides: {item id: -1 to 1}}; 0 where there is no entry. What
        columns say is added.
      columns: {name of `COLUMNS`: [n] or [n, entry]} in wire form; one that is left out is absent from every item.
      tower_hashes: [n, 32] uint8; zeros when left out.
      content_id: SHA-256 of the items.
      unit_length: Whether vectors have length 1.

    Raises:
      ValueError: An item id is empty or comes twice.
    """
    if len(set(ids)) != len(ids) or b"" in ids:
        twice = sorted({name.decode(errors="replace") for name in ids if not name or ids.count(name) > 1})[:5]
        raise ValueError(f"Item ids must be unique and not empty; got {twice} more than once or empty. Ingest again.")
    branches = branches.astype(np.float32)
    usable = usable_rows(branches)
    order = sorted(range(len(ids)), key=lambda row: (not usable[row], ids[row]))
    branches = np.where(usable[order][:, None, None], branches[order], np.float32(0.0))
    ordered = tuple(ids[row] for row in order)

    liked = np.array([(popularity or {}).get(name, 0.0) for name in ordered], np.float32)
    all_columns = {**absent_columns(len(ids)), **(columns or {})}
    values = {**(item_values or {}), **scores_from_columns(ids, all_columns)}
    if tower_hashes is None:
        tower_hashes = np.zeros([len(ids), HASH_BYTES], np.uint8)
    num_indexed = int(usable.sum())
    return Catalogue(
        ids=ordered,
        group_ids=tuple(groups[row] for row in order),
        branches=branches,
        vectors=vectors_from(branches, unit_length=unit_length),
        unit_length=unit_length,
        num_indexed=num_indexed,
        num_base=num_indexed,
        removed=np.zeros(len(ids), bool),
        popularity=np.where(np.isfinite(liked), liked, np.float32(0.0)),
        item_scores=to_table(ordered, values),
        columns={name: column[order] for name, column in all_columns.items()},
        tower_hashes=tower_hashes[order],
        content_id=content_id,
    )


def usable_rows(branches: np.ndarray) -> np.ndarray:
    """[n] bool, True where branches [n, branch, dim] make a vector that an index may hold."""
    with np.errstate(all="ignore"):
        lengths = _lengths(branches.sum(axis=1))
        return np.isfinite(branches).all(axis=(1, 2)) & np.isfinite(lengths) & (lengths > 1e-6)


def vectors_from(branches: np.ndarray, *, unit_length: bool = True) -> np.ndarray:
    """[n, dim] float32: the sum of each item's branches, with `unit_length` over its length; zeros stay zeros."""
    sums = branches.sum(axis=1)
    if not unit_length:
        return sums.astype(np.float32)
    lengths = _lengths(sums)
    return (sums / np.where(lengths > 0.0, lengths, 1.0)[:, None]).astype(np.float32)


def content_vectors(ids: Sequence[bytes], branches: np.ndarray, *, unit_length: bool = True) -> dict[bytes, np.ndarray]:
    """{item id: [dim]}, what histories and neighbours are made of; branches are [n, branch, dim]."""
    return dict(zip(ids, vectors_from(branches[:, : -len(DAILY_MODALITIES)], unit_length=unit_length), strict=True))


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=-1))


def encode_catalogue(
    towers: LoadedTowers,
    items_pattern: str,
    *,
    days_pattern: str | None = None,
    popularity: Mapping[bytes, float] | None = None,
    item_values: ItemValues | None = None,
) -> Catalogue:
    """Reads item Examples and encodes every one with the item tower.

    Args:
      towers: The towers.
      items_pattern: Glob of TFRecord files of item Examples.
      days_pattern: Glob of day Examples, whose latest are known of the items; None where nothing is.
      popularity: As `build_catalogue` takes it.
      item_values: The same; what the towers forecast is added.

    Raises:
      ValueError: No file matches, an id comes twice, or the towers' vectors are not the sum of their branches.
    """
    encoded = encode_items(towers, items_pattern)
    _LOG.info("encoded %d items", len(encoded.ids))
    known_days = days.latest_days(days_pattern, towers) if days_pattern else {}
    contents = content_vectors(encoded.ids, encoded.branches, unit_length=Similarity(towers).unit_length)
    seen = days.encode_day_features(towers, encoded, days=known_days, vectors=contents)
    item_values = {**(item_values or {}), **days.forecast_scores(encoded, seen)}
    return build_catalogue(
        encoded.ids,
        groups=encoded.group_ids,
        branches=days.with_daily_branches(encoded.branches, seen.branches),
        popularity=popularity,
        item_values=item_values,
        columns=encoded.columns,
        tower_hashes=encoded.tower_hashes,
        content_id=content_id(encoded, search=towers.config.search, known=(popularity or {}, *item_values.values())),
        unit_length=Similarity(towers).unit_length,
    )


def content_id(
    encoded: EncodedItems, *, search: SearchConfig, known: Sequence[Mapping[bytes, float]], previous: str = ""
) -> str:
    """Names what a bundle is made from.

    Args:
      encoded: The items.
      search: Search settings.
      known: What else is known of the items: popularity, item values.
      previous: Content id of the bundle that it was refreshed from.
    """
    values = [sorted((key.hex(), value) for key, value in part.items()) for part in known]
    shared = json.dumps(to_dict(search)) + json.dumps(values) + previous
    return hashlib.sha256(encoded.items_id.encode() + shared.encode()).hexdigest()
