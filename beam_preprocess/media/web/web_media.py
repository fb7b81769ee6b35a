"""Web media: content of http(s) addresses, from the cache where it is fresh, else fetched."""

import dataclasses
import functools
import time
from typing import NamedTuple

from beam_preprocess.media.web.fetcher import Fetcher
from beam_preprocess.media.web.media_cache import CacheEntry, MediaCache
from beam_preprocess.media.web.rules import FetchError, FetchRules, check_host, checked_url

CACHED, FETCHED, UNCHANGED, STALE = "cached", "fetched", "unchanged", "stale"
AVAILABLE = frozenset((CACHED, FETCHED, UNCHANGED, STALE))


class WebContent(NamedTuple):
    """Content of an address, and how it was had: cached, fetched, unchanged or stale."""

    data: bytes
    origin: str


class WebMedia:
    """Content of addresses under rules of fetching; it can be used by several threads.

    Content is asked for again when it is older than `fresh_seconds` at the start of the run, with its validators, and
    kept when the host has it unchanged. A host that cannot be reached leaves the cached content in use. A failure is
    remembered for the rest of the run.

    Args:
      fetcher: Fetches under the rules.
      cache: Keeps content between runs.
    """

    def __init__(self, fetcher: Fetcher, cache: MediaCache) -> None:
        self._fetcher = fetcher
        self._rules = fetcher.rules
        self._cache = cache

    def read(self, address: str) -> WebContent:
        """Returns the content of an address.

        Raises:
          FetchError: There is none, or it may not be fetched.
        """
        check_host(checked_url(address, allow_http=self._rules.allow_http), self._rules.hosts)
        entry = self._cache.entry(address)
        if entry is not None and entry.checked >= self._rules.as_of and entry.error:
            raise FetchError(entry.error, entry.detail)
        content = self._cache.content(entry.sha256) if entry is not None else None
        if entry is None or content is None:
            return self._fetched(CacheEntry(address=address, checked=0.0), None)
        if not entry.error and entry.checked >= self._rules.as_of - self._rules.limits.fresh_seconds:
            return WebContent(content, CACHED)
        return self._fetched(entry, content)

    def content_hash(self, address: str) -> str:
        """Returns the hash of the cached content of an address, else the class of its error; fetches nothing."""
        entry = self._cache.entry(address)
        return "" if entry is None else entry.sha256 or entry.error

    def _fetched(self, entry: CacheEntry, content: bytes | None) -> WebContent:
        """Content from its host; `content` is that of `entry`, None when there is none."""
        try:
            found = self._fetcher.fetch(entry.address, entry.validators)
        except FetchError as error:
            is_away = error.is_transient or error.kind in ("circuit_open", "over_limit")
            if is_away and content is not None:
                self._cache.put(dataclasses.replace(entry, checked=time.time(), error=""))
                return WebContent(content, STALE)
            self._cache.put(
                CacheEntry(address=entry.address, checked=time.time(), error=error.kind, detail=error.detail)
            )
            raise
        if found.body is None and content is not None:
            self._cache.put(dataclasses.replace(entry, checked=time.time(), error=""))
            return WebContent(content, UNCHANGED)
        body = found.body or b""
        fresh = CacheEntry(
            address=entry.address,
            checked=time.time(),
            sha256=self._cache.add(body),
            etag=found.validators.etag,
            last_modified=found.validators.last_modified,
        )
        self._cache.put(fresh)
        return WebContent(body, FETCHED)


@functools.lru_cache(maxsize=4)
def web_media(rules: FetchRules) -> WebMedia:
    """Returns the web media of rules, the same in all threads of a process."""
    return WebMedia(Fetcher(rules), MediaCache(rules.cache_dir))
