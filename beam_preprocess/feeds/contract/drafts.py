"""Drafts of records: output of a kind of export, with values still spelled as in the file.

A kind knows the structure of an export: columns, continuation rows, parents and variants. Values are read afterwards,
for all kinds alike (`beam_preprocess.feeds.normalise`), because the spelling of numbers and dates is decided by the
file as a whole.
"""

from typing import Any, NamedTuple

from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow

# What a draft of an item may hold beside the fields of `trainer.spec.records.CATALOG`:
#   sku, gtin, mpn       further keys by which events may name the item; kept as attributes
#   list_price           price before a reduction
#   sale_price           reduced price; takes the place of `price` while its window is open
#   sale_start, sale_end moments of that window; a missing end is open
#   sale_window          both in one text, `start/end` as in a Merchant Center feed (`values.times.window`)
#   availability         wording of the stock ("in stock", "OutOfStock", "preorder"), where `in_stock` is not known
#   stock_quantity       number in stock, where neither is known
#   options              names of the attributes by which a variant differs from the others of its group, in order
ITEM_KEYS = ("sku", "gtin", "mpn")
SALE_FIELDS = ("list_price", "sale_price", "sale_start", "sale_end", "sale_window")
STOCK_FIELDS = ("availability", "stock_quantity")
# What a draft of an event may hold beside the fields of `trainer.spec.records.EVENTS`: further references to its item,
# of which the one that joins the catalogue best is taken; and `list_position`, a place in a list as its tool counts
# it, from 0 or from 1, where that is not known: the log as a whole decides.
EVENT_KEYS = ("sku", "gtin", "group_id", "item_name")


class ItemDraft(NamedTuple):
    """A sellable item: a product, or one variant of it.

    Attributes:
      refs: The rows that it was made of, the first one first. A row belongs to one draft only: of several variants in
        one row the first one has it, and the others, which follow it, have none.
      values: Fields of the catalogue and of this module; text, numbers, lists and maps as in the file.
    """

    refs: tuple[SourceRef, ...]
    values: dict[str, Any]

    @property
    def ref(self) -> SourceRef:
        """The first of its rows, for messages."""
        return self.refs[0] if self.refs else SourceRef("", 0)


class EventDraft(NamedTuple):
    """An event.

    Attributes:
      ref: The row; several events may come from one row.
      values: Fields of the events and of this module, as in the file.
    """

    ref: SourceRef
    values: dict[str, Any]


class Skipped(NamedTuple):
    """A row that gives no draft.

    Attributes:
      ref: The row.
      reason: Its class: `not_a_product` and `not_an_event` are counted apart, all others are drops.
      detail: The value found and the one wanted; never holds personal data.
    """

    ref: SourceRef
    reason: str
    detail: str = ""


NOT_A_PRODUCT, NOT_AN_EVENT = "not_a_product", "not_an_event"


def unreadable(row: SourceRow) -> Skipped | None:
    """Returns the outcome of a row that could not be parsed, None where it could."""
    if isinstance(row.values, RecordError):
        return Skipped(row.ref, row.values.reason, row.values.detail)
    return None
