"""Daily series of an item, scaled so that no channel or currency dominates."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.ops.numbers import finite
from trainer.spec.feature_list import TREND_CHANNELS

_PRICE_CHANNELS = ("price", "market_price")
_UNSCALED_CHANNELS = ("tone",)


def to_model(wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the model inputs of the trend branch.

    Args:
      wire: `popularity` [batch] and `trend_<channel>` [batch, days] of every channel, float32, the oldest day first.

    Returns:
      trend [batch, days, channels] float32: amounts v as sign(v) ln(1 + |v|), prices as their logarithm above that of
      the last observed price, 0 where either is not known, the tone as it is; popularity [batch] as ln(1 + v). NaN and
      infinity count as 0.
    """
    values = {name: finite(wire[f"trend_{name}"]) for name in TREND_CHANNELS}
    last = values["price"][:, -1:]
    channels = [
        _log_ratio(value, last) if name in _PRICE_CHANNELS else value if name in _UNSCALED_CHANNELS else _log(value)
        for name, value in values.items()
    ]
    return {"trend": tf.stack(channels, axis=-1), "popularity": _log(finite(wire["popularity"]))}


def _log(values: tf.Tensor) -> tf.Tensor:
    return tf.sign(values) * tf.math.log1p(tf.abs(values))


def _log_ratio(prices: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    known = (prices > 0.0) & (last > 0.0)
    return tf.where(known, tf.math.log(tf.where(known, prices, 1.0) / tf.where(last > 0.0, last, 1.0)), 0.0)
