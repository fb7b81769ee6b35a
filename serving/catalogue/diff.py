"""Catalogue refresh: changed items are merged so that an index built over the old catalogue can still be used."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from serving.catalogue.catalogue import Catalogue, CatalogueItems, build_catalogue, content_id, content_vectors
from serving.catalogue.day_features import (
    DayEncoding,
    encode_day_features,
    forecast_scores,
    with_daily_branches,
)
from serving.catalogue.item_encoder import EncodedItems
from serving.catalogue.item_scores import from_table
from serving.towers import LoadedTowers
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.config import SearchConfig
from trainer.spec.features import Modality
from trainer.spec.tasks import DEMAND, PRICE_VALUE


class KnownItems:
    """Rows of a catalogue by item id and tower hash; a row that was removed serves again when its item comes back."""

    def __init__(self, catalogue: Catalogue) -> None:
        hashes = [row.tobytes() for row in catalogue.tower_hashes]
        self._rows: dict[tuple[bytes, bytes], int] = {}
        for row, pair in enumerate(zip(catalogue.ids, hashes, strict=True)):
            self._rows.setdefault(pair, row)  # of two rows of one item that of the big index

    def contains(self, item_id: bytes, tower_hash: bytes) -> bool:
        """Returns whether the item's branch vectors are known."""
        return (item_id, tower_hash) in self._rows

    def rows_of(self, encoded: EncodedItems) -> np.ndarray:
        """Returns the row of each item [n] int64, -1 where it is not known."""
        hashes = (row.tobytes() for row in encoded.tower_hashes)
        rows = [self._rows.get(pair, -1) for pair in zip(encoded.ids, hashes, strict=True)]
        return np.array(rows, np.int64)


def encode_changed(towers: LoadedTowers, old: Catalogue, encoded: EncodedItems) -> DayEncoding:
    """Encodes the day features of items that went through the tower, where no new day records are known.

    An item that was there keeps its trend, and without relations its neighbours; both do not depend on its content.
    """
    vectors = content_vectors(old.ids, old.branches, old.similarity)
    fresh = [encoded.ids[row] for row in np.flatnonzero(encoded.is_encoded)]
    vectors |= content_vectors(fresh, encoded.branches, old.similarity)
    encoding = encode_day_features(towers, encoded, days={}, vectors=vectors)
    row_of = {name: row for row, name in enumerate(old.ids)}
    old_rows = np.array([row_of.get(name, -1) for name in fresh], np.int64)
    old_branches = with_blank(old.branches[:, -len(DAILY_MODALITIES) :])[old_rows]
    related = np.any(encoded.relations["relation_ids"][encoded.is_encoded] != b"", axis=1)
    keep = np.ones([len(fresh), len(DAILY_MODALITIES), 1], bool)
    keep[:, DAILY_MODALITIES.index(Modality.GRAPH), 0] = ~related
    branches = np.where(keep & (old_rows >= 0)[:, None, None], old_branches, encoding.branches)
    return dataclasses.replace(encoding, branches=branches)


def with_blank(values: np.ndarray) -> np.ndarray:
    """Appends a row of zeros, which index -1 selects, to rows [n, ...]."""
    return np.concatenate([values, np.zeros_like(values, shape=[1, *values.shape[1:]])])


def refresh_catalogue(
    old: Catalogue,
    encoded: EncodedItems,
    day_encoding: DayEncoding,
    *,
    known: KnownItems,
    previous: str,
    search: SearchConfig,
) -> Catalogue:
    """Returns the catalogue after a change, in the row order that the big index needs.

    Rows of the big index keep their place: an item that the tower would read as before stays there, with its columns of
    today. The others follow.

    Args:
      old: The catalogue of the bundle that is refreshed.
      encoded: The whole catalogue of today; the vectors of known items come from `old`.
      day_encoding: From `encode_changed`.
      known: The items of `old`.
      previous: The version of the bundle that is refreshed.
      search: Search settings, which are part of the content.

    Raises:
      ValueError: An item id is empty or comes twice.
    """
    popularity = dict(zip(old.ids, old.popularity.tolist(), strict=True))
    item_values = _changed_values(old, forecast_scores(encoded, day_encoding))
    old_rows = known.rows_of(encoded)
    items = CatalogueItems(
        ids=encoded.ids,
        groups=encoded.group_ids,
        branches=_merged_branches(old, encoded, day_encoding, old_rows=old_rows),
        popularity=popularity,
        item_values=item_values,
        columns=encoded.columns,
        tower_hashes=encoded.tower_hashes,
    )
    name = content_id(encoded, search=search, known=(popularity, *item_values.values()), previous=previous)
    fresh = build_catalogue(items, content_id=name, similarity=old.similarity)
    return _join_rows(old, fresh, _match_rows(old, fresh, encoded.ids, old_rows))


def _changed_values(old: Catalogue, forecasts: Mapping[str, Mapping[bytes, float]]) -> dict[str, dict[bytes, float]]:
    """Item values of `old` with the forecasts of the items that were encoded."""
    values = from_table(old.ids, old.item_scores)
    values[PRICE_VALUE] |= forecasts[PRICE_VALUE]
    values[DEMAND] = {**forecasts[DEMAND], **values[DEMAND]}  # a change of content changes no demand
    return values


def _merged_branches(
    old: Catalogue, encoded: EncodedItems, day_encoding: DayEncoding, *, old_rows: np.ndarray
) -> np.ndarray:
    """[n, branch, dim] of the items of today: encoded now, or as `old` has them."""
    branches = np.zeros([len(old_rows), *old.branches.shape[1:]], np.float32)
    branches[~encoded.is_encoded] = old.branches[old_rows[~encoded.is_encoded]]
    branches[encoded.is_encoded] = with_daily_branches(encoded.branches, day_encoding.branches)
    return branches


@dataclasses.dataclass(frozen=True, kw_only=True)
class _RowMatch:
    """Correspondence of the rows of two catalogues.

    Attributes:
      base: [kept] rows of the big index whose items stay.
      staying: [kept] rows of the new catalogue, of the same items.
      following: Rows of the new catalogue that come behind the big index.
      removed: [num_base] bool, True for rows of the big index that no item has any more.
    """

    base: np.ndarray
    staying: np.ndarray
    following: np.ndarray
    removed: np.ndarray


def _match_rows(old: Catalogue, fresh: Catalogue, ids: Sequence[bytes], old_rows: np.ndarray) -> _RowMatch:
    row_in_fresh = {name: row for row, name in enumerate(fresh.ids)}
    kept = [
        (row, row_in_fresh[name]) for name, row in zip(ids, old_rows.tolist(), strict=True) if 0 <= row < old.num_base
    ]
    base, staying = np.array(kept, np.int64).reshape(-1, 2).T
    removed = np.ones(old.num_base, bool)
    removed[base] = False
    following = np.setdiff1d(np.arange(len(fresh.ids)), staying)
    return _RowMatch(base=base, staying=staying, following=following, removed=removed)


def _join_rows(old: Catalogue, fresh: Catalogue, match: _RowMatch) -> Catalogue:
    """Rows of the big index as `old` has them, updated from `fresh` where the item stays, then the other rows."""

    def join(old_values: np.ndarray, now: np.ndarray) -> np.ndarray:
        head = old_values[: old.num_base].copy()
        head[match.base] = now[match.staying]
        return np.concatenate([head, now[match.following]])

    # A stored catalogue has no vectors of texts: nothing reads those of rows that are removed.
    blank = {name: np.zeros([old.num_base, *now.shape[1:]], now.dtype) for name, now in fresh.columns.items()}
    before = {**blank, **old.columns}

    def join_texts(before: tuple[bytes, ...], now: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return tuple(join(np.array([*before, b""], object)[:-1], np.array([*now, b""], object)[:-1]).tolist())

    return Catalogue(
        ids=join_texts(old.ids, fresh.ids),
        group_ids=join_texts(old.group_ids, fresh.group_ids),
        branches=join(old.branches, fresh.branches),
        vectors=join(old.vectors, fresh.vectors),
        num_indexed=old.num_base + int((match.following < fresh.num_indexed).sum()),
        num_base=old.num_base,
        removed=np.concatenate([match.removed, np.zeros(len(match.following), bool)]),
        popularity=join(old.popularity, fresh.popularity),
        item_scores=join(old.item_scores, fresh.item_scores),
        columns={name: join(before[name], fresh.columns[name]) for name in fresh.columns},
        tower_hashes=join(old.tower_hashes, fresh.tower_hashes),
        content_id=fresh.content_id,
        similarity=old.similarity,
    )


def is_unchanged(old: Catalogue, new: Catalogue) -> bool:
    """Returns whether the items are the same as before."""
    return (
        old.ids == new.ids
        and old.group_ids == new.group_ids
        and np.array_equal(old.removed, new.removed)
        and np.array_equal(old.tower_hashes, new.tower_hashes)
        and np.array_equal(old.item_scores, new.item_scores)
        and all(np.array_equal(old.columns[name], new.columns[name]) for name in old.columns)
    )


def compact_catalogue(catalogue: Catalogue) -> Catalogue:
    """Returns the same items without the rows of removed ones, in the order of a first build."""
    alive = np.flatnonzero(~catalogue.removed)
    ids = [catalogue.ids[row] for row in alive]
    items = CatalogueItems(
        ids=ids,
        groups=[catalogue.group_ids[row] for row in alive],
        branches=catalogue.branches[alive],
        popularity=dict(zip(ids, catalogue.popularity[alive].tolist(), strict=True)),
        item_values=from_table(ids, catalogue.item_scores[alive]),
        columns={name: values[alive] for name, values in catalogue.columns.items()},
        tower_hashes=catalogue.tower_hashes[alive],
    )
    return build_catalogue(items, content_id=catalogue.content_id, similarity=catalogue.similarity)
