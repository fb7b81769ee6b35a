"""Relative log prices: the logarithm of a price less the mean logarithm of its currency in the catalogue.

A catalogue in another currency, every price times the rate, gives the same numbers.
"""

from collections.abc import Mapping, Sequence

import numpy as np


def currency_levels(prices: np.ndarray, currencies: Sequence[bytes]) -> dict[bytes, float]:
    """Returns {currency: mean logarithm of its prices} of prices [n], of which those above 0 are known."""
    names = np.array(currencies, object)
    known = _known(prices)
    return {
        name: float(np.log(np.asarray(prices, np.float64)[known & (names == name)]).mean())
        for name in sorted(set(names[known].tolist()))
    }


def relative_log_prices(
    prices: np.ndarray, currencies: Sequence[bytes], by_currency: Mapping[bytes, float]
) -> np.ndarray:
    """Logarithms of prices [n] less the level of their currencies: [n] float32, NaN where either is not known."""
    level = np.array([by_currency.get(name, np.nan) for name in currencies], np.float64)
    logarithm = np.log(np.where(_known(prices), np.asarray(prices, np.float64), np.nan))
    return (logarithm - level).astype(np.float32)


def _known(prices: np.ndarray) -> np.ndarray:
    return np.isfinite(prices) & (np.asarray(prices) > 0.0)
