"""Facets of a bundle: their names, and the number and order of the values that an answer has of each.

A facet is `category.1` (the first level), `brand`, `currency`, `price`, `attributes.KEY`, or `attributes`, whose values
are the keys.
"""

import dataclasses
import enum
import re
from collections.abc import Iterable

PRICE = "price"
ATTRIBUTES = "attributes"
DEFAULT_VALUES = 20  # of a facet that the configuration does not name, or without a number
DEFAULT_RANGES = 5
MAX_VALUES = 1_000
_ENTRY = re.compile(r"(?P<name>.+?)(:(?P<number>\d+))?(:(?P<order>count|name))?")
_NAME = re.compile(rf"category\.[1-9]\d*|brand|currency|{PRICE}|{ATTRIBUTES}(\..+)?", re.DOTALL)


class FacetOrder(enum.StrEnum):
    """Order of the values of a facet."""

    COUNT = "count"  # the most frequent first, of equal counts by name
    NAME = "name"  # numbers in names by size


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Facet:
    """Facet as the configuration describes it.

    Attributes:
      name: Its name.
      num_values: Values that an answer has at most; of prices the number of ranges.
      order: Their order; prices are always in order.
    """

    name: str
    num_values: int
    order: FacetOrder = FacetOrder.COUNT


def parse_facets(text: str) -> tuple[Facet, ...]:
    """Returns the facets of `name[:number][:order]` with commas between.

    Raises:
      ValueError: An entry is none.
    """
    found: dict[str, Facet] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        match = _ENTRY.fullmatch(entry)
        name = match["name"] if match else ""
        default = DEFAULT_RANGES if name == PRICE else DEFAULT_VALUES
        number = int(match["number"] or default) if match else 0
        if not match or not _NAME.fullmatch(name) or not 1 <= number <= MAX_VALUES or name in found:
            raise ValueError(
                f"search.facets has the entry {entry!r}; wanted each of category.1, category.2, ..., brand, currency, "
                f"price, attributes, attributes.KEY at most once, with a number of values from 1 to {MAX_VALUES} and "
                "`count` or `name` as order if you want: `brand:20:name`. Correct it."
            )
        found[name] = Facet(name=name, num_values=number, order=FacetOrder(match["order"] or FacetOrder.COUNT))
    return tuple(found.values())


def max_values(facets: Iterable[Facet]) -> int:
    """Returns the number of values that an answer has room for in each facet."""
    return max([DEFAULT_VALUES, DEFAULT_RANGES, *(facet.num_values for facet in facets)])
