"""Fetching of the media of a catalogue before they are read: in Beam by shards of hosts, or in this process."""

import collections
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from beam_preprocess.media.web.prefetch import fetch_all, host_or_nothing
from beam_preprocess.media.web.rules import FetchRules, web_address
from beam_preprocess.media.web.web_media import AVAILABLE, web_media
from beam_preprocess.outcomes import Count

FETCHED = "fetch"
_NUM_SHARDS = 8


class WantedMedia(NamedTuple):
    """URIs of which a number is wanted, the best first."""

    uris: Sequence[str]
    number: int


def shard_of_host(address: str) -> int:
    """Returns the shard of the host of an address: one worker alone asks a host."""
    return hashlib.sha256(host_or_nothing(address).encode()).digest()[0] % _NUM_SHARDS


def fetch_shard(group: tuple[int, Iterable[str]], *, rules: FetchRules) -> Iterator[Any]:
    """Yields counts of fetched addresses by outcome, and their number."""
    outcomes = fetch_all(sorted(group[1]), web_media(rules), per_host=rules.limits.per_host)
    for outcome, number in collections.Counter(outcomes.values()).items():
        yield Count(f"{FETCHED}/{outcome}", number)
    yield len(outcomes)


def fetch_wanted(media: Iterable[WantedMedia], rules: FetchRules) -> None:
    """Fetches the wanted number of each, with the next ones in place of those that cannot be had."""
    pending = [WantedMedia(uris, number) for uris, number in media if any(map(web_address, uris))]
    outcomes: dict[str, str] = {}
    while pending:
        addresses = [
            address for found in pending for address in filter(None, map(web_address, found.uris[: found.number]))
        ]
        fresh = [address for address in addresses if address not in outcomes]
        outcomes |= fetch_all(fresh, web_media(rules), per_host=rules.limits.per_host)
        pending = [rest for found in pending if (rest := _rest(found, outcomes)).number and rest.uris]


def _rest(media: WantedMedia, outcomes: dict[str, str]) -> WantedMedia:
    """The media after the first ones, and how many of these could not be fetched."""
    first = media.uris[: media.number]
    failed = [uri for uri in first if (address := web_address(uri)) and outcomes.get(address) not in AVAILABLE]
    return WantedMedia(media.uris[media.number :], len(failed))
