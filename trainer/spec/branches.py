"""Branches of the towers: which modalities feed them, and how they differ. Derived from `FEATURES`."""

from trainer.spec.feature_list import FEATURES, features_of
from trainer.spec.features import Feature, Modality, Side

# Modalities whose wire form is the bytes of files: kept out of statistics, schema and Transform.
MEDIA = (Modality.IMAGE, Modality.VIDEO, Modality.AUDIO)
# Modalities of items that change while their content stays. A history or a neighbour is the content of an item alone.
DAILY_MODALITIES = (Modality.GRAPH, Modality.TREND)
# Modalities of queries that tell of who asks, not of what is asked: they differ where the same is asked again.
USER_MODALITIES = (Modality.HISTORY, Modality.SEARCHES, Modality.PROFILE)


def branches_of(side: Side) -> tuple[Modality, ...]:
    """The modalities that feed the tower of `side`, in the order of `Modality`; the order of every branch table.

    What is known of an item on a day feeds the item tower.
    """
    sides = (side, Side.ITEM_DAY) if side is Side.ITEM else (side,)
    present = {feature.modality for feature in FEATURES if feature.side in sides}
    return tuple(modality for modality in Modality if modality in present)


# Numbers of the types of a neighbour: none, bought together, and from then on what the catalogue relates.
NO_NEIGHBOUR, CO_PURCHASED = 0, 1


def content_features() -> tuple[Feature, ...]:
    """The features of items that the item tower reads as their content."""
    return tuple(f for f in features_of(Side.ITEM) if f.modality is not None and f.modality not in DAILY_MODALITIES)
