"""Names of the outputs and vocabularies of the Transform graph."""

import enum


class Transformed(enum.StrEnum):
    """Outputs of the Transform graph for the item tower."""

    CATEGORY_IDS = "category_ids"  # int64 [batch, levels]; 0 = absent, 1.. = vocabulary and out-of-vocabulary buckets
    BRAND_ID = "brand_id"  # int64 [batch]; 0 = absent
    PRICE_SCALED = "price_scaled"  # float32 [batch]; z-score of log1p(price), 0 where absent
    PRICE_PRESENT = "price_present"  # float32 [batch]; 1 = known
    ITEM_NUMBER = "item_number"  # int64 [batch]; 0 = absent or not in the vocabulary


# Names of the vocabularies that Transform writes as assets of its graph.
WORD_VOCABULARY = "words"  # every word of titles, descriptions and attributes with its count
CATEGORY_VOCABULARY = "categories"
BRAND_VOCABULARY = "brands"
ITEM_VOCABULARY = "items"
