"""Orders in which everything that matches can be browsed."""

import enum


class SortOrder(enum.StrEnum):
    """Order of `browse`; an item of which it is not known comes last, and of equal ones the more popular first."""

    POPULARITY = "popularity"
    PRICE_UP = "price_up"
    PRICE_DOWN = "price_down"
    NEWEST = "newest"
    RATING = "rating"
