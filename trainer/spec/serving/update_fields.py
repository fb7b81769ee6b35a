"""Inputs and outputs of the signature that changes items of a loaded bundle."""

import enum

from trainer.spec.serving import search_fields
from trainer.spec.serving.signature_fields import Signature, SignatureField, WireType

UPDATE_ITEMS, UPDATE_MASK = "update_items", "update_mask"


class LiveField(enum.StrEnum):
    """Fields of an item that change without a new version."""

    PRICE = "price"
    IN_STOCK = "in_stock"
    VISIBLE = "visible"
    BOOST = "boost"


def update_signature(item_id: SignatureField, price: SignatureField) -> Signature:
    """Returns the signature `update_items`.

    Args:
      item_id: The input that names an item.
      price: The input with a price.
    """
    mask = f"Fields to change: {', '.join(LiveField)}; '' is padding."
    inputs = (
        item_id,
        SignatureField(name=UPDATE_MASK, dtype=WireType.STRING, shape=(None,), default=b"", doc=mask),
        price,
        SignatureField(name=LiveField.IN_STOCK, dtype=WireType.INT32, default=1, doc="1 = can be bought now."),
        SignatureField(name=LiveField.VISIBLE, dtype=WireType.INT32, default=1, doc="0 = no answer shows it."),
        SignatureField(name=LiveField.BOOST, dtype=WireType.FLOAT, default=0.0, doc="Added to its score; 0 = none."),
    )
    return Signature(
        name=UPDATE_ITEMS,
        inputs=inputs,
        outputs=search_fields.status_outputs(),
        doc="Changes items in the tables of the loaded bundle; with an unknown item among them it changes nothing.",
    )
