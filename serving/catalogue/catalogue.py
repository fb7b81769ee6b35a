"""Catalogue of encoded items: ids, groups, columns and branch vectors, in the row order of a bundle."""

import collections
import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from serving.catalogue.day_features import (
    encode_day_features,
    forecast_scores,
    latest_days,
    with_daily_branches,
)
from serving.catalogue.item_encoder import EncodedItems, absent_columns, encode_items
from serving.catalogue.item_scores import ItemValues, scores_from_columns, to_table
from serving.catalogue.synonym_file import read_synonym_file
from serving.similarity import sum_branches, vector_lengths
from serving.towers import LoadedTowers
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.config import SearchConfig, to_dict
from trainer.spec.tower import SimilarityKind

HASH_BYTES = 32
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Catalogue of a bundle.

    Rows: first the `num_indexed` items that search can find, then the rest. Among the first, `num_base` are those of
    the big index, by id as it was built; what was added or changed since follows, by id. In a bundle that was built and
    not refreshed they are all of the big index and none is removed.

    Attributes:
      ids: [n] item ids; only removed rows may have the id of another.
      group_ids: [n] group ids, empty for a product of its own.
      branches: [n, branch, dim] float32, which add up to an item's vector.
      vectors: [n, dim] float32; zeros for an item that is not indexed.
      similarity: The similarity of the towers, which decides whether vectors have length 1.
      num_indexed: Rows with a usable vector.
      num_base: Rows of the big index; term statistics too are frozen over them.
      removed: [n] bool, rows of the big index whose item is gone or has changed; nothing may show them.
      popularity: [n] float32, larger first; what an empty query is answered by.
      item_scores: [n, part] float32 in -1..1, in the order of `ITEM_SCORES`; 0 where nothing is known.
      columns: {name of `kept_columns`: [n] or [n, entry]} in wire form: texts as objects of type bytes, price float32,
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
    similarity: SimilarityKind = SimilarityKind.COSINE

    @property
    def quarantined(self) -> tuple[bytes, ...]:
        """Ids of items whose vector is zero or not finite; only the popularity order shows them."""
        return self.ids[self.num_indexed :]

    @property
    def alive_ids(self) -> tuple[bytes, ...]:
        """Ids of the items that are not removed."""
        return tuple(name for name, removed in zip(self.ids, self.removed.tolist(), strict=True) if not removed)

    @functools.cached_property
    def groups(self) -> np.ndarray:
        """[n] int32, equal for variants of one product."""
        names = [group or b"\x00item:" + item for group, item in zip(self.group_ids, self.ids, strict=True)]
        codes = {name: code for code, name in enumerate(sorted(set(names)))}
        return np.array([codes[name] for name in names], np.int32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogueItems:
    """Encoded items in any order, from which a catalogue is built.

    Attributes:
      ids: [n] item ids.
      groups: [n] group ids; an empty one is a product of its own.
      branches: [n, branch, dim] as the item tower gives them.
      popularity: A number for each item id, larger first; 0 where there is none, and the catalogue order decides.
      item_values: {score component that the item alone decides: {item id: -1 to 1}}; 0 where there is no entry. What
        follows from columns is added.
      columns: {name of `kept_columns`: [n] or [n, entry]} in wire form; one that is left out is absent from every item.
      tower_hashes: [n, 32] uint8; zeros when left out.
    """

    ids: Sequence[bytes]
    groups: Sequence[bytes]
    branches: np.ndarray
    popularity: Mapping[bytes, float] = dataclasses.field(default_factory=dict)
    item_values: ItemValues = dataclasses.field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    tower_hashes: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where an item id is empty or comes twice."""
        counts = collections.Counter(self.ids)
        bad = sorted({name.decode(errors="replace") for name, count in counts.items() if not name or count > 1})[:5]
        if bad:
            raise ValueError(f"Item ids must be unique and not empty; got {bad} more than once or empty. Ingest again.")


def build_catalogue(
    items: CatalogueItems, *, content_id: str = "", similarity: SimilarityKind = SimilarityKind.COSINE
) -> Catalogue:
    """Puts encoded items into row order and sets aside those that no index may hold.

    Args:
      items: The items, in any order.
      content_id: SHA-256 of the items.
      similarity: The similarity of the towers.
    """
    branches = items.branches.astype(np.float32)
    usable = usable_rows(branches)
    order = sorted(range(len(items.ids)), key=lambda row: (not usable[row], items.ids[row]))
    branches = np.where(usable[order][:, None, None], branches[order], np.float32(0.0))
    ids = tuple(items.ids[row] for row in order)
    popularity = np.array([items.popularity.get(name, 0.0) for name in ids], np.float32)
    columns = {**absent_columns(len(ids)), **items.columns}
    hashes = np.zeros([len(ids), HASH_BYTES], np.uint8) if items.tower_hashes is None else items.tower_hashes
    num_indexed = int(usable.sum())
    return Catalogue(
        ids=ids,
        group_ids=tuple(items.groups[row] for row in order),
        branches=branches,
        vectors=sum_branches(np, branches, similarity),
        similarity=similarity,
        num_indexed=num_indexed,
        num_base=num_indexed,
        removed=np.zeros(len(ids), bool),
        popularity=np.where(np.isfinite(popularity), popularity, np.float32(0.0)),
        item_scores=to_table(ids, {**items.item_values, **scores_from_columns(items.ids, columns)}),
        columns={name: column[order] for name, column in columns.items()},
        tower_hashes=hashes[order],
        content_id=content_id,
    )


def usable_rows(branches: np.ndarray) -> np.ndarray:
    """Returns [n] bool, True where branches [n, branch, dim] make a vector that an index may hold."""
    with np.errstate(all="ignore"):
        lengths = vector_lengths(branches.sum(axis=1))
        return np.isfinite(branches).all(axis=(1, 2)) & np.isfinite(lengths) & (lengths > 1e-6)


def content_vectors(ids: Sequence[bytes], branches: np.ndarray, similarity: SimilarityKind) -> dict[bytes, np.ndarray]:
    """{item id: [dim]}, the vectors of histories and neighbours; branches are [n, branch, dim]."""
    return dict(zip(ids, sum_branches(np, branches[:, : -len(DAILY_MODALITIES)], similarity), strict=True))


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
      days_pattern: Glob of day Examples, of which the latest of each item is used; None = no day features.
      popularity: As in `CatalogueItems`.
      item_values: As in `CatalogueItems`; the forecasts of the towers are added.

    Raises:
      ValueError: No file matches, an id comes twice, or the towers' vectors are not the sum of their branches.
    """
    encoded = encode_items(towers, items_pattern)
    _LOG.info("encoded %d items", len(encoded.ids))
    similarity = towers.config.tower.similarity
    days = latest_days(days_pattern, towers) if days_pattern else {}
    contents = content_vectors(encoded.ids, encoded.branches, similarity)
    day_encoding = encode_day_features(towers, encoded, days=days, vectors=contents)
    popularity = popularity or {}
    item_values = {**(item_values or {}), **forecast_scores(encoded, day_encoding)}
    items = CatalogueItems(
        ids=encoded.ids,
        groups=encoded.group_ids,
        branches=with_daily_branches(encoded.branches, day_encoding.branches),
        popularity=popularity,
        item_values=item_values,
        columns=encoded.columns,
        tower_hashes=encoded.tower_hashes,
    )
    known = (popularity, *item_values.values())
    name = content_id(encoded, search=towers.config.search, known=known)
    return build_catalogue(items, content_id=name, similarity=similarity)


def content_id(
    encoded: EncodedItems, *, search: SearchConfig, known: Sequence[Mapping[bytes, float]], previous: str = ""
) -> str:
    """Returns the SHA-256 of the content of a bundle.

    Args:
      encoded: The items.
      search: Search settings.
      known: Other data of the items: popularity, item values.
      previous: Bundle version that it was refreshed from.
    """
    values = [sorted((key.hex(), value) for key, value in part.items()) for part in known]
    shared = json.dumps(to_dict(search)) + json.dumps(values) + previous + read_synonym_file(search)
    return hashlib.sha256(encoded.items_id.encode() + shared.encode()).hexdigest()
