"""Filters of a request, as plain data.

Filters are per row. Inside one filter the values are alternatives, filters among themselves must all hold. A default
means "no filter"; a blank entry of a list is padding.
"""

import dataclasses
import enum

from trainer.spec.features import Dtype


class FilterName(enum.StrEnum):
    """Names of the filter inputs of a request."""

    CATEGORY = "filter_category"
    BRAND = "filter_brand"
    PRICE_MIN = "filter_price_min"
    PRICE_MAX = "filter_price_max"
    CURRENCY = "filter_currency"
    IN_STOCK = "filter_in_stock"
    ATTRIBUTES = "filter_attributes"
    INCLUDE = "include_ids"
    EXCLUDE = "exclude_ids"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Filter input.

    Attributes:
      name: Name of the signature input.
      dtype: Its type.
      is_list: [batch, any] where true, else [batch].
      default: The value of every element that means "no filter".
      doc: What passes.
    """

    name: FilterName
    dtype: Dtype
    is_list: bool
    default: bytes | float | int
    doc: str


FILTERS: tuple[Filter, ...] = (
    Filter(
        name=FilterName.CATEGORY,
        dtype=Dtype.BYTES,
        is_list=True,
        default=b"",
        doc="Only items in one of these categories; a category of any level, as its whole path joined by ` > `.",
    ),
    Filter(name=FilterName.BRAND, dtype=Dtype.BYTES, is_list=True, default=b"", doc="Only items of these brands."),
    Filter(
        name=FilterName.PRICE_MIN,
        dtype=Dtype.FLOAT,
        is_list=False,
        default=-1.0,
        doc="Only items whose price is known and at least this, in the item's own currency; below 0 = no limit.",
    ),
    Filter(
        name=FilterName.PRICE_MAX,
        dtype=Dtype.FLOAT,
        is_list=False,
        default=-1.0,
        doc="Only items whose price is known and at most this, in the item's own currency; below 0 = no limit.",
    ),
    Filter(
        name=FilterName.CURRENCY,
        dtype=Dtype.BYTES,
        is_list=True,
        default=b"",
        doc="Only items priced in one of these currencies, as the catalogue writes them: what a price range is of.",
    ),
    Filter(
        name=FilterName.IN_STOCK,
        dtype=Dtype.INT,
        is_list=False,
        default=0,
        doc="1 = only what can be bought now.",
    ),
    Filter(
        name=FilterName.ATTRIBUTES,
        dtype=Dtype.BYTES,
        is_list=True,
        default=b"",
        doc="Only items with these `key=value`; values of one key are alternatives, keys must all hold.",
    ),
    Filter(name=FilterName.INCLUDE, dtype=Dtype.BYTES, is_list=True, default=b"", doc="Only these items."),
    Filter(name=FilterName.EXCLUDE, dtype=Dtype.BYTES, is_list=True, default=b"", doc="Never these items."),
)
