"""schema.org offers (https://schema.org/Offer): price, currency and availability of a product."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.feeds.values.nested import entries, first
from beam_preprocess.feeds.values.numbers import one_reading

VOCABULARY = re.compile(r"https?://(?:www\.)?schema\.org/", re.IGNORECASE)
GTIN = ("gtin", "gtin13", "gtin14", "gtin12", "gtin8")
_SOLD = frozenset(("instock", "limitedavailability", "onlineonly", "instoreonly"))
_PRICES = ("price", "lowPrice", "minPrice")
_BEFORE = ("listprice", "strikethroughprice", "srp", "msrp", "regularprice")


class Offer(NamedTuple):
    """Offer of a product: the fields of the item, the address of its page, and the numbers of a single offer."""

    values: dict[str, str]
    url: str = ""
    sku: str = ""
    gtin: str = ""


def offer_of(offers: Any, reading: Reading) -> Offer:
    """Returns the offer of a product; of several the first one that can be bought, with the lowest price of all.

    Args:
      offers: `Offer`, `AggregateOffer`, or a list of these.
      reading: Notes what was read.
    """
    found = [offer for offer in entries(offers) if isinstance(offer, Mapping)]
    inner = [part for offer in found for part in entries(offer.get("offers")) if isinstance(part, Mapping)]
    every = [*found, *inner]
    if not every:
        return Offer({})
    single = [offer for offer in every if _price(offer).get("price") and not offer.get("offers")] or every
    chosen = next((offer for offer in single if _availability(offer).lower() in _SOLD), single[0])
    # Of an aggregate, its own lowest price counts.
    ordered = [found[0], chosen] if first(found[0].get("lowPrice")) else [chosen, found[0]]
    values = {"price": "", "list_price": ""}
    for offer in ordered:
        values = values if values["price"] else _price(offer)
    values["currency"] = _first_of(ordered, _currency)
    values["availability"] = _first_of([chosen, found[0]], _availability)
    values["stock_quantity"] = first(chosen.get("inventoryLevel"), "value")
    for field, text in values.items():
        if text:
            reading.columns.note(field, f"offers.{field}")
    url = first(chosen.get("url"), "@id")
    if len(single) > 1:
        return Offer(values, url)
    return Offer(values, url, first(chosen.get("sku")), _first_of(list(GTIN), lambda name: first(chosen.get(name))))


def _first_of(offers: list[Any], read: Any) -> str:
    return next((text for text in map(read, offers) if text), "")


def _specifications(offer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Price specifications of an offer, without prices of a kilogram or litre."""
    found = [part for part in entries(offer.get("priceSpecification")) if isinstance(part, Mapping)]
    return [part for part in found if not part.get("referenceQuantity")] or found


def _availability(offer: Mapping[str, Any]) -> str:
    return VOCABULARY.sub("", first(offer.get("availability"), "@id", "name")).strip()


def _currency(offer: Mapping[str, Any]) -> str:
    own = first(offer.get("priceCurrency"))
    return own or _first_of(_specifications(offer), lambda part: first(part.get("priceCurrency")))


def _amount(node: Mapping[str, Any]) -> str:
    return _first_of(list(_PRICES), lambda name: first(one_reading(node.get(name))))


def _price(offer: Mapping[str, Any]) -> dict[str, str]:
    """The price, and the one before a reduction."""
    price, before = _amount(offer), ""
    for part in _specifications(offer):
        kind = VOCABULARY.sub("", first(part.get("priceType"), "@id")).lower()
        if kind in _BEFORE:
            before = before or _amount(part)
        else:
            price = price or _amount(part)
    return {"price": price or before, "list_price": before if price else ""}
