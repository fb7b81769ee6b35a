"""Fetched file: one file that a person names by its address, as a path."""

import hashlib
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from beam_preprocess.media.web.rules import FetchError, FetchLimits, FetchRules, checked_url, default_cache_dir, host_of

_LOG = logging.getLogger("vitrine.preprocess")
# A feed is larger than a photo, and asked for in every run.
_LIMITS = FetchLimits(max_bytes=2**30, fetch_seconds=1_800.0, fresh_seconds=0.0)


def fetched_file(address: str, options: Mapping[str, Any]) -> str:
    """Returns the path of a copy of the file at an address; one that is unchanged is not sent again.

    The person who names an address allows its host by that; a redirect may not leave it, and the other rules of media
    hold.

    Args:
      address: An http(s) address.
      options: Values of the flags of fetching (`trainer.job.fetch_flags`).

    Raises:
      ValueError: The file may not be fetched, or cannot be.
    """
    from beam_preprocess import sharded_writer
    from beam_preprocess.media.web.web_media import web_media

    try:
        url = checked_url(address, allow_http=bool(options.get("allow_http")))
        rules = FetchRules(
            hosts=frozenset([host_of(url)]),
            cache_dir=options.get("media_cache") or default_cache_dir(),
            allow_http=bool(options.get("allow_http")),
            allow_loopback=bool(options.get("allow_loopback")),
            contact=options.get("fetch_contact") or "",
            limits=_LIMITS,
        )
        content = web_media(rules).read(address)
    except FetchError as error:
        raise ValueError(
            f"{address} cannot be fetched ({error.kind}: {error.detail}); wanted a file there. Check the address, or "
            "download the file and name its path."
        ) from error
    folder = hashlib.sha256(address.encode()).hexdigest()[:16]
    name = pathlib.PurePosixPath(url.path or "").name or "feed"
    path = f"{rules.cache_dir.rstrip('/')}/files/{folder}/{name}"
    sharded_writer.write_file(path, content.data)
    _LOG.info("%s: %s, %.1f MiB", address, content.origin, len(content.data) / 2**20)
    return path
