"""Day features of catalogue items through the towers: graph and trend branches, and forecasts of demand and price."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from serving.catalogue.item_encoder import EncodedItems
from serving.towers import LoadedTowers, day_features
from trainer.ops.blocks import price
from trainer.ops.example_reader import read_batches
from trainer.ops.examples import axis_lengths
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.config import Config, WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import DEMAND, ITEM_DAY_TASKS, PRICE_VALUE

_BATCH_SIZE = 512
Record = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DayEncoding:
    """Daily branches and forecasts of some items.

    Attributes:
      branches: [n, daily branch, dim] float32.
      forecasts: {day task: [n] float32}: units a day, and the logarithm of a price less the level of its currency.
    """

    branches: np.ndarray
    forecasts: Mapping[str, np.ndarray]


def latest_days(pattern: str, towers: LoadedTowers) -> dict[bytes, Record]:
    """Returns the last record of each item among day Examples; empty where no file matches."""
    found: dict[bytes, Record] = {}
    for parsed in read_batches(pattern, features_of(Side.ITEM_DAY), towers.config.wire):
        for row in np.flatnonzero(parsed["latest"]):
            found[parsed["day_item_id"][row]] = {name: values[row] for name, values in parsed.items()}
    return found


def encode_day_features(
    towers: LoadedTowers, encoded: EncodedItems, *, days: Mapping[bytes, Record], vectors: Mapping[bytes, np.ndarray]
) -> DayEncoding:
    """Encodes the day features of the items that went through the item tower.

    Args:
      towers: With an `embed_day`.
      encoded: Items as they were read.
      days: Their day records, from `latest_days`.
      vectors: Content vectors [dim] of all possible neighbours, by item id.
    """
    rows = np.flatnonzero(encoded.is_encoded)
    levels = price.currency_levels(encoded.columns["price"], encoded.columns["currency"].tolist())
    empty = np.zeros([0, len(DAILY_MODALITIES), towers.config.tower.dim], np.float32)
    parts = [DayEncoding(branches=empty, forecasts={task.name: np.zeros(0, np.float32) for task in ITEM_DAY_TASKS})]
    for start in range(0, len(rows), _BATCH_SIZE):
        chosen = slice(start, start + _BATCH_SIZE)
        content = encoded.contents[chosen]
        parts.append(_encode_rows(towers, encoded, rows[chosen], content, days=days, vectors=vectors, levels=levels))
    return DayEncoding(
        branches=np.concatenate([part.branches for part in parts]),
        forecasts={task.name: np.concatenate([part.forecasts[task.name] for part in parts]) for task in ITEM_DAY_TASKS},
    )


def _encode_rows(
    towers: LoadedTowers,
    encoded: EncodedItems,
    rows: np.ndarray,
    contents: np.ndarray,
    *,
    days: Mapping[bytes, Record],
    vectors: Mapping[bytes, np.ndarray],
    levels: Mapping[bytes, float],
) -> DayEncoding:
    records = [days.get(encoded.ids[row]) for row in rows]
    inputs = {
        TowerOutput.ENCODED.value: contents,
        **_trend_inputs(records, towers.config.wire),
        **_neighbour_inputs(encoded, rows, records, vectors=vectors, config=towers.config),
        **_price_inputs(encoded, rows, records, levels=levels),
    }
    tensors = {
        name: tf.constant(values.tolist() if values.dtype == object else values, shape=values.shape)
        for name, values in inputs.items()
    }
    outputs = {name: values.numpy() for name, values in towers.module.embed_day(tensors).items()}
    branches = outputs.pop(TowerOutput.BRANCHES.value)
    return DayEncoding(branches=np.where(np.isfinite(branches), branches, np.float32(0.0)), forecasts=outputs)


def _trend_inputs(records: Sequence[Record | None], wire: WireConfig) -> dict[str, np.ndarray]:
    """The day features in wire form; zeros for an item without a record."""
    inputs = {}
    for feature in day_features():
        blank = np.zeros(axis_lengths(feature, wire), np.float32)
        inputs[feature.name] = _stack([blank if r is None else r[feature.name] for r in records], blank)
    return inputs


def _neighbour_inputs(
    encoded: EncodedItems,
    rows: np.ndarray,
    records: Sequence[Record | None],
    *,
    vectors: Mapping[bytes, np.ndarray],
    config: Config,
) -> dict[str, np.ndarray]:
    """Content vectors of the related and of the co-purchased items, and which of them are present."""
    related = encoded.relations["relation_ids"][rows]
    blank = np.full(config.wire.max_copurchased, b"", object)
    copurchased = _stack([blank if r is None else r["companion_ids"] for r in records], blank)
    names = np.concatenate([related, copurchased], axis=1)
    zero = np.zeros(config.tower.dim, np.float32)
    neighbours = [np.stack([vectors.get(name, zero) for name in row]) for row in names]
    stacked = _stack(neighbours, np.zeros([names.shape[1], config.tower.dim], np.float32))
    return {
        "neighbour_vectors": stacked,
        "neighbour_present": np.any(stacked != 0.0, axis=-1),
        "relation_types": encoded.relations["relation_types"][rows],
    }


def _price_inputs(
    encoded: EncodedItems, rows: np.ndarray, records: Sequence[Record | None], *, levels: Mapping[bytes, float]
) -> dict[str, np.ndarray]:
    """The last price seen of each item, relative to the level of its currency, and whether there is one."""
    last = np.array([0.0 if record is None else record["trend_price"][-1] for record in records], np.float32)
    relative = price.relative_log_prices(last, encoded.columns["currency"][rows].tolist(), levels)
    return {"last_price": np.nan_to_num(relative), "last_price_present": np.isfinite(relative).astype(np.float32)}


def _stack(rows: Sequence[np.ndarray], blank: np.ndarray) -> np.ndarray:
    return np.stack([*rows, blank])[: len(rows)]


def with_daily_branches(branches: np.ndarray, daily: np.ndarray) -> np.ndarray:
    """Replaces the daily branches of branches [n, branch, dim] by [n, daily branch, dim]."""
    return np.concatenate([branches[:, : -len(DAILY_MODALITIES)], daily], axis=1)


def forecast_scores(encoded: EncodedItems, day_encoding: DayEncoding) -> dict[str, dict[bytes, float]]:
    """Returns score components from the forecasts of the items that were encoded: {component: {item id: value}}."""
    rows = np.flatnonzero(encoded.is_encoded)
    ids = [encoded.ids[row] for row in rows]
    prices, currencies = encoded.columns["price"], encoded.columns["currency"].tolist()
    expected = np.full(len(encoded.ids), np.nan, np.float32)
    expected[rows] = day_encoding.forecasts["price"]
    value = price_value_score(expected, prices, currencies)[rows]
    demand = demand_score(day_encoding.forecasts["demand"])
    return {
        DEMAND: dict(zip(ids, demand.tolist(), strict=True)),
        PRICE_VALUE: dict(zip(ids, value.tolist(), strict=True)),
    }


def demand_score(units: np.ndarray) -> np.ndarray:
    """Returns units a day [n] as a score component in 0..1: d / (d + mean), so that the mean item has one half."""
    units = np.where(np.isfinite(units), np.maximum(units, 0.0), 0.0)
    mean = float(units.mean()) if len(units) else 0.0
    return (units / (units + mean)).astype(np.float32) if mean > 0.0 else np.zeros(len(units), np.float32)


def price_value_score(expected: np.ndarray, prices: np.ndarray, currencies: Sequence[bytes]) -> np.ndarray:
    """Returns how much cheaper items are than expected as a score component in -1..1.

    Args:
      expected: [n] logarithm of the price forecast, less the level of its currency.
      prices: [n], not above 0 where unknown.
      currencies: [n], of the prices.

    Returns:
      [n] float32: expected less actual logarithm, at most 1 either way; 0 where a price is not known.
    """
    actual = price.relative_log_prices(prices, currencies, price.currency_levels(prices, currencies))
    off = expected - actual
    return np.clip(np.where(np.isfinite(off), off, 0.0), -1.0, 1.0).astype(np.float32)
