"""Sources of a shop's records: a class that implements the `Source` protocol, and its row in `SOURCES`."""

import dataclasses
import pathlib
from collections.abc import Callable

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.media.web.rules import FetchRules
from beam_preprocess.sources.base import ReadRecords, Source, SourceShard, read_all
from beam_preprocess.sources.chorus import ChorusSource
from beam_preprocess.sources.clothing_reviews import ClothingReviewsSource
from beam_preprocess.sources.fingerprint import fingerprint
from beam_preprocess.sources.grocery import GrocerySource
from beam_preprocess.sources.imported import ImportedSource
from beam_preprocess.sources.media_hosts import catalogue_hosts
from beam_preprocess.sources.online_retail import OnlineRetailSource
from beam_preprocess.sources.shop import ShopSource
from beam_preprocess.sources.spoken_digits import SpokenDigitsSource

__all__ = [
    "SOURCES",
    "SourceShard",
    "ReadRecords",
    "Source",
    "fingerprint",
    "open_source",
    "read_all",
]

SOURCES: dict[str, Callable[[MediaRoot], Source]] = {
    "records": ShopSource,
    "imported": ImportedSource,
    "grocery": GrocerySource,
    "chorus": ChorusSource,
    "online_retail": OnlineRetailSource,
    "clothing_reviews": ClothingReviewsSource,
    "spoken_digits": SpokenDigitsSource,
}


def open_source(
    location: str | pathlib.Path, kind: str = "records", *, allow_outside: bool = False, fetch: FetchRules | None = None
) -> Source:
    """Opens the source of one kind at a directory or address.

    Args:
      location: A local directory, or an address that Beam has a file system for.
      kind: A row of `SOURCES`.
      allow_outside: Whether records may name local media outside the directory.
      fetch: What media of the web may be fetched, None for nothing.

    Raises:
      ValueError: No such kind, or nothing of that kind there.
    """
    if kind not in SOURCES:
        raise ValueError(f"Unknown kind of source {kind!r}; wanted one of {', '.join(SOURCES)}. Name one of these.")
    root = str(location)
    if "://" not in root:
        root = str(pathlib.Path(root).expanduser().resolve())
        if not pathlib.Path(root).is_dir():
            raise ValueError(f"There is no directory {location}; wanted one with a shop's records. Check the path.")
    source = SOURCES[kind](MediaRoot(root, allow_outside, fetch))
    if fetch is None or fetch.hosts is not None:
        return source
    hosts = frozenset(catalogue_hosts(source))
    return SOURCES[kind](MediaRoot(root, allow_outside, dataclasses.replace(fetch, hosts=hosts)))
