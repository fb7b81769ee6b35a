"""Variants of a product in an export that has a row for the product too."""

import dataclasses
from typing import Any

from beam_preprocess.feeds.contract.drafts import ItemDraft
from beam_preprocess.feeds.stores.cells import unique
from beam_preprocess.feeds.values.nested import filled
from beam_preprocess.outcomes import SourceRef

_OWN_FIELDS = frozenset(("price", "list_price", "sale_price", "sale_start", "sale_end", "sku", "gtin", "mpn"))
_OWN_FIELDS |= {"stock_quantity", "in_stock"}


@dataclasses.dataclass
class Parent:
    """Product of which each variant takes over what it does not have.

    Attributes:
      refs: Its rows.
      values: Its fields.
      is_taken: Whether its rows already belong to a variant.
    """

    refs: tuple[SourceRef, ...]
    values: dict[str, Any]
    is_taken: bool = False


def with_parent(draft: ItemDraft, parent: Parent) -> ItemDraft:
    """Returns a variant completed by its product; the first variant takes the product's rows too.

    Price, stock and codes are the variant's alone, but what the shop does not offer, it offers in no variant.
    """
    refs = draft.refs if parent.is_taken else draft.refs + parent.refs
    parent.is_taken = True
    own, shared = draft.values, parent.values
    values = {field: value for field, value in shared.items() if field not in _OWN_FIELDS} | own
    if "status" in shared.get("attributes", {}):
        values["in_stock"] = False
    values["title"] = shared.get("title") or own.get("title")
    values["group_id"] = shared["group_id"]
    values["attributes"] = shared.get("attributes", {}) | own.get("attributes", {})
    values["images"] = unique([*own.get("images", ()), *shared.get("images", ())])
    return ItemDraft(refs, filled(values))
