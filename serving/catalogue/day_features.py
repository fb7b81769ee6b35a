"""What is known of the items of a catalogue now, through the towers: neighbours, trend, and what is foreseen."""

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
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import DEMAND, ITEM_DAY_TASKS, PRICE_VALUE

_BATCH_SIZE = 512
Record = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DayEncoding:
    """What the towers make of some items as they are known now.

    Attributes:
      branches: [n, changing branch, dim] float32.
      foreseen: {day task: [n] float32}: units a day, and the logarithm of a price less the level of its currency.
    """

    branches: np.ndarray
    foreseen: Mapping[str, np.ndarray]


def latest_days(pattern: str, towers: LoadedTowers) -> dict[bytes, Record]:
    """The last record of each item among day Examples; none where no file matches."""
    found: dict[bytes, Record] = {}
    for parsed in read_batches(pattern, features_of(Side.ITEM_DAY), towers.config.wire):
        for row in np.flatnonzero(parsed["latest"]):
            found[parsed["day_item_id"][row]] = {name: values[row] for name, values in parsed.items()}
    return found


def encode_day_features(
    towers: LoadedTowers, encoded: EncodedItems, *, days: Mapping[bytes, Record], vectors: Mapping[bytes, np.ndarray]
) -> DayEncoding:
    """Looks at the items that were encoded.

    Args:
      towers: With an `embed_day`.
      encoded: Items as they were read.
      days: What is known of them, from `latest_days`.
      vectors: Content vectors [dim] of everything that may be a neighbour, by item id.
    """
    rows = np.flatnonzero(encoded.is_encoded)
    levels = price.currency_levels(encoded.columns["price"], encoded.columns["currency"].tolist())
    nothing = np.zeros([0, len(DAILY_MODALITIES), towers.config.tower.dim], np.float32)
    parts = [DayEncoding(branches=nothing, foreseen={task.name: np.zeros(0, np.float32) for task in ITEM_DAY_TASKS})]
    for start in range(0, len(rows), _BATCH_SIZE):
        chosen = slice(start, start + _BATCH_SIZE)
        content = encoded.contents[chosen]
        parts.append(_encode_rows(towers, encoded, rows[chosen], content, days=days, vectors=vectors, levels=levels))
    return DayEncoding(
        branches=np.concatenate([part.branches for part in parts]),
        foreseen={task.name: np.concatenate([part.foreseen[task.name] for part in parts]) for task in ITEM_DAY_TASKS},
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
    config = towers.config
    records = [days.get(encoded.ids[row]) for row in rows]
    inputs: dict[str, np.ndarray] = {TowerOutput.ENCODED.value: contents}
    for feature in day_features():
        blank = np.zeros(axis_lengths(feature, config.wire), np.float32)
        inputs[feature.name] = _stack([blank if r is None else r[feature.name] for r in records], blank)
    related = encoded.relations["relation_ids"][rows]
    nothing = np.full(config.wire.max_copurchased, b"", object)
    companions = _stack([nothing if r is None else r["companion_ids"] for r in records], nothing)
    names = np.concatenate([related, companions], axis=1)
    found = [[vectors.get(name) for name in row] for row in names]
    zero = np.zeros(config.tower.dim, np.float32)
    neighbours = [np.stack([zero if vector is None else vector for vector in row]) for row in found]
    inputs["neighbour_vectors"] = _stack(neighbours, np.zeros([names.shape[1], config.tower.dim], np.float32))
    inputs["neighbour_present"] = np.any(inputs["neighbour_vectors"] != 0.0, axis=-1)
    inputs["relation_types"] = encoded.relations["relation_types"][rows]
    last = np.array([0.0 if record is None else record["trend_price"][-1] for record in records], np.float32)
    relative = price.relative_log_prices(last, encoded.columns["currency"][rows].tolist(), levels)
    inputs["last_price"] = np.nan_to_num(relative)
    inputs["last_price_present"] = np.isfinite(relative).astype(np.float32)
    tensors = {
        name: tf.constant(values.tolist() if values.dtype == object else values, shape=values.shape)
        for name, values in inputs.items()
    }
    outputs = {name: values.numpy() for name, values in towers.module.embed_day(tensors).items()}
    branches = outputs.pop(TowerOutput.BRANCHES.value)
    return DayEncoding(branches=np.where(np.isfinite(branches), branches, np.float32(0.0)), foreseen=outputs)


def _stack(rows: Sequence[np.ndarray], blank: np.ndarray) -> np.ndarray:
    return np.stack([*rows, blank])[: len(rows)]


def with_daily_branches(branches: np.ndarray, changing: np.ndarray) -> np.ndarray:
    """Branches [n, branch, dim] of items with [n, changing branch, dim] in the place of those that change."""
    return np.concatenate([branches[:, : -len(DAILY_MODALITIES)], changing], axis=1)


def forecast_scores(encoded: EncodedItems, seen: DayEncoding) -> dict[str, dict[bytes, float]]:
    """Score components that follow from what is foreseen of the items that were encoded: {part: {item id: value}}."""
    rows = np.flatnonzero(encoded.is_encoded)
    ids = [encoded.ids[row] for row in rows]
    prices, currencies = encoded.columns["price"], encoded.columns["currency"].tolist()
    expected = np.full(len(encoded.ids), np.nan, np.float32)
    expected[rows] = seen.foreseen["price"]
    value = price_value_score(expected, prices, currencies)[rows]
    demand = demand_score(seen.foreseen["demand"])
    return {
        DEMAND: dict(zip(ids, demand.tolist(), strict=True)),
        PRICE_VALUE: dict(zip(ids, value.tolist(), strict=True)),
    }


def demand_score(units: np.ndarray) -> np.ndarray:
    """Units a day [n] as a score component in 0..1: d / (d + mean), so that the mean item has one half."""
    units = np.where(np.isfinite(units), np.maximum(units, 0.0), 0.0)
    mean = float(units.mean()) if len(units) else 0.0
    return (units / (units + mean)).astype(np.float32) if mean > 0.0 else np.zeros(len(units), np.float32)


def price_value_score(expected: np.ndarray, prices: np.ndarray, currencies: Sequence[bytes]) -> np.ndarray:
    """How much cheaper items are than expected as a score component in -1..1.

    Args:
      expected: [n] logarithm of the price that is foreseen, less the level of its currency.
      prices: [n], not above 0 where unknown.
      currencies: Of the prices.

    Returns:
      [n] float32: expected less actual logarithm, at most 1 either way; 0 where a price is not known.
    """
    actual = price.relative_log_prices(prices, currencies, price.currency_levels(prices, currencies))
    off = expected - actual
    return np.clip(np.where(np.isfinite(off), off, 0.0), -1.0, 1.0).astype(np.float32)
