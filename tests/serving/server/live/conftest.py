import dataclasses

import pytest

from tests.serving.conftest import make_shop, make_traced_bundle


@pytest.fixture(scope="package")
def live_bundle(towers):
    """Thirty items without variants and without a price, with the signature `update_items`."""
    search = dataclasses.replace(towers.config.search, live_updates=True)
    config = dataclasses.replace(towers.config, search=search)
    shop = make_shop(30)
    shop = dataclasses.replace(shop, groups=[b""] * 30)
    return make_traced_bundle(dataclasses.replace(towers, config=config), shop.catalogue())
