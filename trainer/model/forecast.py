"""Forecasts of items on days: demand and price from daily branches, as learned corrections of baselines."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from trainer.model.tower import Tensors, Tower, is_present
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.feature_list import TREND_CHANNELS
from trainer.spec.features import Modality
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import Task, TaskKind
from trainer.spec.units import DAYS_PER_WEEK

Heads = Mapping[Task, tf.keras.layers.Layer]
_MIN_RATE = 0.02  # units a day that an item may sell of which none was sold lately


class DayBaselines(NamedTuple):
    """Forecasts of items on days without a model, and the facts that they rest on.

    Attributes:
      facts: [batch, facts] float32.
      by_kind: {kind of item-day task: [batch] float32}.
    """

    facts: tf.Tensor
    by_kind: dict[TaskKind, tf.Tensor]


def day_baselines(days: Tensors) -> DayBaselines:
    """Returns the baselines of items on days, in the unit of the heads' outputs.

    A count is the logarithm of the mean of the last week and of the whole series, a price the last observed one (else
    the level of its currency).
    """
    units = tf.math.expm1(days["trend"][:, :, list(TREND_CHANNELS).index("units")])
    week, all_days = tf.reduce_mean(units[:, -DAYS_PER_WEEK:], axis=1), tf.reduce_mean(units, axis=1)
    facts = [tf.math.log1p(week), tf.math.log1p(all_days), days["popularity"], days["last_price"]]
    rate = tf.math.log(_MIN_RATE + 0.5 * (week + all_days))
    return DayBaselines(
        facts=tf.stack([*facts, days["last_price_present"]], axis=1),
        by_kind={TaskKind.COUNT: rate, TaskKind.REGRESSION: days["last_price"]},
    )


def forecast(
    item_tower: Tower, heads: Heads, encoded: tf.Tensor, days: Tensors, training: bool = False
) -> dict[str, tf.Tensor]:
    """Returns the outputs of the item-day heads, {task: [batch] float32}.

    Args:
      item_tower: Has the order of the branches.
      heads: Those of the item-day tasks.
      encoded: [batch, branch, dim] from `encode_without_price`.
      days: Model inputs of the days: `trend`, `popularity`, `last_price`, `last_price_present`.
      training: Whether dropout is on.

    Returns:
      For a count the logarithm of the rate, from the series of the item alone: item-specific branches overfit, most
      items have few sales. For a price its logarithm less the level of its currency, from all branches.
    """
    facts, baselines = day_baselines(days)
    series = item_tower.modalities.index(Modality.TREND)
    branches = {TaskKind.COUNT: encoded[:, series : series + 1], TaskKind.REGRESSION: encoded}
    return {
        task.name: head(branches[task.kind], facts=facts, baseline=baselines[task.kind], training=training)
        for task, head in heads.items()
    }


def encode_without_price(
    item_tower: Tower, items: Tensors, encoded: Tensors, training: bool = False
) -> dict[str, tf.Tensor]:
    """Returns the outputs of the item tower, in which `encoded` does not depend on the items' own prices.

    Args:
      item_tower: The tower.
      items: Its model inputs.
      encoded: Its outputs.
      training: Whether dropout is on.
    """
    unknown = tf.zeros_like(items["price_present"])
    items = {**items, "price_scaled": unknown, "price_present": unknown}
    tabular = item_tower.branch(Modality.TABULAR, items, is_present(Modality.TABULAR, items), training)
    if "content_of" in items:
        tabular = tf.gather(tabular, items["content_of"])
    branches = tf.unstack(encoded[TowerOutput.ENCODED.value], axis=1)
    branches[item_tower.modalities.index(Modality.TABULAR)] = tabular
    return {**encoded, TowerOutput.ENCODED.value: tf.stack(branches, axis=1)}


def encode_days(item_tower: Tower, heads: Heads, encoded: tf.Tensor, days: Tensors) -> dict[str, tf.Tensor]:
    """Returns the daily branches and the forecasts of items on days, given their content.

    Args:
      item_tower: The tower.
      heads: Those of the item-day tasks.
      encoded: [batch, branch, dim] from `encode_without_price`; its daily branches are not read.
      days: Model inputs of the days, neighbours as `neighbour_vectors` and `neighbour_present`.

    Returns:
      `branches` [batch, daily branch, dim], zeros where absent, and {task: [batch] float32} of the item-day tasks: a
      count as a rate, a price as its logarithm less the level of its currency.
    """
    daily = [modality for modality in item_tower.modalities if modality in DAILY_MODALITIES]
    branches = tf.stack([item_tower.branch(m, days, is_present(m, days)) for m in daily], axis=1)
    outputs = forecast(item_tower, heads, tf.concat([encoded[:, : -len(daily)], branches], axis=1), days)
    counts = {task.name for task in heads if task.kind is TaskKind.COUNT}
    forecasts = {name: tf.exp(value) if name in counts else value for name, value in outputs.items()}
    return {TowerOutput.BRANCHES.value: branches, **forecasts}
