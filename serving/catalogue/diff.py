"""A catalogue after a change, so that an index that was built over the old one can still be used."""

import dataclasses

import numpy as np

from serving.catalogue import day_features as days
from serving.catalogue.catalogue import Catalogue, build_catalogue, content_id, content_vectors
from serving.catalogue.item_encoder import EncodedItems
from serving.catalogue.item_scores import from_table
from serving.similarity import Similarity
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
        """Whether the item's branch vectors are there."""
        return (item_id, tower_hash) in self._rows

    def row_of(self, item_id: bytes, tower_hash: bytes) -> int:
        """The item's row, -1 where it is not known."""
        return self._rows.get((item_id, tower_hash), -1)


def encode_changed(towers: LoadedTowers, old: Catalogue, encoded: EncodedItems) -> days.DayEncoding:
    """What is known of the items that were encoded, where nothing new is known of their days.

    An item that was there keeps its trend, and without relations its neighbours; both do not depend on its content.
    """
    unit_length = Similarity(towers).unit_length
    vectors = content_vectors(old.ids, old.branches, unit_length=unit_length)
    fresh = [encoded.ids[row] for row in np.flatnonzero(encoded.is_encoded)]
    vectors |= content_vectors(fresh, encoded.branches, unit_length=unit_length)
    seen = days.encode_day_features(towers, encoded, days={}, vectors=vectors)
    row_of = {name: row for row, name in enumerate(old.ids)}
    before = np.array([row_of.get(name, -1) for name in fresh], np.int64)
    was = with_blank(old.branches[:, -len(DAILY_MODALITIES) :])[before]
    related = np.any(encoded.relations["relation_ids"][encoded.is_encoded] != b"", axis=1)
    keep = np.ones([len(fresh), len(DAILY_MODALITIES), 1], bool)
    keep[:, DAILY_MODALITIES.index(Modality.GRAPH), 0] = ~related
    branches = np.where(keep & (before >= 0)[:, None, None], was, seen.branches)
    return dataclasses.replace(seen, branches=branches)


def with_blank(values: np.ndarray) -> np.ndarray:
    """Rows [n, ...] and behind them one of zeros, which -1 names."""
    return np.concatenate([values, np.zeros_like(values, shape=[1, *values.shape[1:]])])


def refresh_catalogue(
    old: Catalogue,
    encoded: EncodedItems,
    seen: days.DayEncoding,
    *,
    known: "KnownItems",
    previous: str,
    search: SearchConfig,
) -> Catalogue:
    """The catalogue after a change, in the row order that the big index needs.

    Rows of the big index keep their place: an item that the tower would read as before stays there, with its columns of
    today. The others follow.

    Args:
      old: The catalogue before.
      encoded: What was read now; the vectors of known items come from `old`.
      seen: From `encode_changed`.
      known: The items of `old`.
      previous: The content id of the bundle that is refreshed.
      search: Search settings, which are part of the content.

    Raises:
      ValueError: An item id is empty or comes twice.
    """
    popularity = dict(zip(old.ids, old.popularity.tolist(), strict=True))
    item_values = {part: dict(values) for part, values in from_table(old.ids, old.item_scores).items()}
    foreseen = days.forecast_scores(encoded, seen)
    item_values[PRICE_VALUE] |= foreseen[PRICE_VALUE]
    item_values[DEMAND] = {**foreseen[DEMAND], **item_values[DEMAND]}  # a change of content changes no demand
    pairs = list(zip(encoded.ids, (row.tobytes() for row in encoded.tower_hashes), strict=True))
    rows = np.array([known.row_of(*pair) for pair in pairs], np.int64)
    branches = np.zeros([len(rows), *old.branches.shape[1:]], np.float32)
    branches[~encoded.is_encoded] = old.branches[rows[~encoded.is_encoded]]
    branches[encoded.is_encoded] = days.with_daily_branches(encoded.branches, seen.branches)
    fresh = build_catalogue(
        encoded.ids,
        groups=encoded.group_ids,
        branches=branches,
        popularity=popularity,
        item_values=item_values,
        columns=encoded.columns,
        tower_hashes=encoded.tower_hashes,
        content_id=content_id(encoded, search=search, known=(popularity, *item_values.values()), previous=previous),
        unit_length=old.unit_length,
    )
    row_in_fresh = {name: row for row, name in enumerate(fresh.ids)}
    kept = [
        (row, row_in_fresh[name])
        for name, row in zip(encoded.ids, rows.tolist(), strict=True)
        if 0 <= row < old.num_base
    ]
    base, staying = np.array(kept, np.int64).reshape(-1, 2).T
    removed = np.ones(old.num_base, bool)
    removed[base] = False
    following = np.setdiff1d(np.arange(len(fresh.ids)), staying)
    return _join_rows(old, fresh, base=base, staying=staying, following=following, removed=removed)


def _join_rows(
    old: Catalogue,
    fresh: Catalogue,
    *,
    base: np.ndarray,
    staying: np.ndarray,
    following: np.ndarray,
    removed: np.ndarray,
) -> Catalogue:
    """Rows of the big index as `old` has them, with what `fresh` says about those that stay, then the others."""

    def join(before: np.ndarray, now: np.ndarray) -> np.ndarray:
        head = before[: old.num_base].copy()
        head[base] = now[staying]
        return np.concatenate([head, now[following]])

    def join_texts(before: tuple[bytes, ...], now: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return tuple(join(np.array([*before, b""], object)[:-1], np.array([*now, b""], object)[:-1]).tolist())

    return Catalogue(
        ids=join_texts(old.ids, fresh.ids),
        group_ids=join_texts(old.group_ids, fresh.group_ids),
        branches=join(old.branches, fresh.branches),
        vectors=join(old.vectors, fresh.vectors),
        num_indexed=old.num_base + int((following < fresh.num_indexed).sum()),
        num_base=old.num_base,
        removed=np.concatenate([removed, np.zeros(len(following), bool)]),
        popularity=join(old.popularity, fresh.popularity),
        item_scores=join(old.item_scores, fresh.item_scores),
        columns={name: join(old.columns[name], fresh.columns[name]) for name in fresh.columns},
        tower_hashes=join(old.tower_hashes, fresh.tower_hashes),
        content_id=fresh.content_id,
        unit_length=old.unit_length,
    )


def is_unchanged(old: Catalogue, new: Catalogue) -> bool:
    """Whether the items are there as before."""
    return (
        old.ids == new.ids
        and old.group_ids == new.group_ids
        and np.array_equal(old.removed, new.removed)
        and np.array_equal(old.tower_hashes, new.tower_hashes)
        and np.array_equal(old.item_scores, new.item_scores)
        and all(np.array_equal(old.columns[name], new.columns[name]) for name in new.columns)
    )


def compact_catalogue(catalogue: Catalogue) -> Catalogue:
    """The same items without the rows of removed ones, in the order of a first build."""
    alive = np.flatnonzero(~catalogue.removed)
    ids = [catalogue.ids[row] for row in alive]
    return build_catalogue(
        ids,
        groups=[catalogue.group_ids[row] for row in alive],
        branches=catalogue.branches[alive],
        popularity=dict(zip(ids, catalogue.popularity[alive].tolist(), strict=True)),
        item_values=from_table(ids, catalogue.item_scores[alive]),
        columns={name: values[alive] for name, values in catalogue.columns.items()},
        tower_hashes=catalogue.tower_hashes[alive],
        content_id=catalogue.content_id,
        unit_length=catalogue.unit_length,
    )
