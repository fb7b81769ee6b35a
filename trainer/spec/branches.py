"""Branches of the towers: the modalities that feed them, and groups of modalities. Derived from `FEATURES`."""

from trainer.spec.feature_list import FEATURES, features_of
from trainer.spec.features import Feature, Modality, Side

# Modalities whose wire form is the bytes of files: kept out of statistics, schema and Transform.
MEDIA = (Modality.IMAGE, Modality.VIDEO, Modality.AUDIO)
# Modalities of items that change while their content stays. A history or a neighbour is the content of an item alone.
DAILY_MODALITIES = (Modality.GRAPH, Modality.TREND)
# Modalities of the user, not of the content of a query: they differ where the same query comes again.
USER_MODALITIES = (Modality.HISTORY, Modality.SEARCHES, Modality.PROFILE)


def branches_of(side: Side) -> tuple[Modality, ...]:
    """Returns the modalities that feed the tower of `side`, in the order of `Modality` and of every branch table.

    Features of item days feed the item tower.
    """
    sides = (side, Side.ITEM_DAY) if side is Side.ITEM else (side,)
    present = {feature.modality for feature in FEATURES if feature.side in sides}
    return tuple(modality for modality in Modality if modality in present)


# Ids of relation types of neighbours: 0 none, 1 co-purchased, from 2 on the relations of the catalogue.
NO_NEIGHBOUR, CO_PURCHASED = 0, 1


def content_features() -> tuple[Feature, ...]:
    """Returns the item features that the item tower reads as content."""
    return tuple(f for f in features_of(Side.ITEM) if f.modality is not None and f.modality not in DAILY_MODALITIES)
