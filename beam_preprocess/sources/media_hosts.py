"""Hosts of the media that a catalogue names, for a person to allow."""

import collections
import logging

from beam_preprocess import validation
from beam_preprocess.media.web.rules import FetchError, checked_url, host_of, web_address
from beam_preprocess.sources.base import Source, read_all
from trainer.spec.records import CATALOG

_LOG = logging.getLogger("vitrine.preprocess")


def catalogue_hosts(source: Source) -> dict[str, int]:
    """Returns the hosts of the media of a catalogue, each with its number of distinct addresses, and logs them."""
    addresses: set[str] = set()
    for row in read_all(source, "catalog"):
        if isinstance(row.values, dict):
            addresses.update(filter(None, map(web_address, validation.uris(row.values, CATALOG))))
    hosts: collections.Counter[str] = collections.Counter()
    for address in addresses:
        try:
            hosts[host_of(checked_url(address, allow_http=True))] += 1
        except FetchError:
            continue  # a dead letter once it is read
    named = ", ".join(f"{host} ({count:,} addresses)" for host, count in hosts.most_common())
    _LOG.info("media are fetched from the hosts of the catalogue: %s", named or "it names none")
    return dict(hosts)
