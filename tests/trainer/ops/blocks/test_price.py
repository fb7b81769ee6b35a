import numpy as np
import pytest

from trainer.ops.blocks import price

PRICES = np.array([1.0, np.e**2, np.e, -1.0, np.nan, 5.0])
CURRENCIES = [b"EUR", b"EUR", b"USD", b"EUR", b"EUR", b""]


def test_levels_are_the_mean_logarithms_of_the_known_prices():
    assert price.currency_levels(PRICES, CURRENCIES) == pytest.approx({b"EUR": 1.0, b"USD": 1.0, b"": np.log(5.0)})


def test_a_price_is_relative_to_the_level_of_its_currency():
    found = price.relative_log_prices(PRICES, CURRENCIES, price.currency_levels(PRICES, CURRENCIES))
    np.testing.assert_allclose(found, [-1.0, 1.0, 0.0, np.nan, np.nan, 0.0], atol=1e-6)


def test_a_currency_change_changes_nothing():
    before = price.relative_log_prices(PRICES, CURRENCIES, price.currency_levels(PRICES, CURRENCIES))
    yen = [b"JPY" if name == b"EUR" else name for name in CURRENCIES]
    rates = np.array([160.0 if name == b"JPY" else 1.0 for name in yen])
    after = price.relative_log_prices(PRICES * rates, yen, price.currency_levels(PRICES * rates, yen))
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_an_unknown_currency_has_no_level():
    assert np.isnan(price.relative_log_prices(np.array([3.0]), [b"XXX"], {b"EUR": 1.0}))
