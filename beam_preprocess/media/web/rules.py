"""Rules of fetching: the hosts that a person allowed, the limits of a fetch, and the classes of failure."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Collection, Mapping
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

SCHEMES = ("http", "https")
ALL_HOSTS = "all"


class FetchError(Exception):
    """Error of an address that gives no content.

    Attributes:
      kind: Class of the error, for counting: not_found, http_error, server_error, timeout, connection_failed,
        bad_certificate, unknown_host, truncated, too_large, over_limit, malformed_address, refused_address,
        host_not_allowed, unsupported_scheme, redirect_refused or circuit_open.
      detail: One line for a person.
      is_transient: Whether the same fetch may succeed later.
      retry_after: Seconds that the host asks to wait, None where it does not.
    """

    def __init__(self, kind: str, detail: str, *, is_transient: bool = False, retry_after: float | None = None) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.is_transient = is_transient
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FetchLimits:
    """Limits of fetching.

    Attributes:
      max_bytes: Of one answer, unpacked.
      max_media: Addresses that one process fetches in one run.
      max_total_bytes: Of all their answers.
      connect_seconds: For a connection.
      read_seconds: Between two pieces of an answer.
      fetch_seconds: For one request, from the connection to the last byte.
      max_redirects: Of one fetch.
      per_host: Fetches from one host at a time, by one process.
      retries: After a failure that may pass.
      retry_seconds: Wait before the first retry, on average; it doubles with each.
      failures_to_open: Failures of a host in succession before all its fetches wait.
      max_wait_seconds: Of all such waits of a host in succession; then nothing more is fetched from it in this run.
      fresh_seconds: Age at which cached content is not asked for again.
    """

    max_bytes: int = 64 * 2**20
    max_media: int = 2_000_000
    max_total_bytes: int = 2**40
    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    fetch_seconds: float = 120.0
    max_redirects: int = 5
    per_host: int = 4
    retries: int = 3
    retry_seconds: float = 1.0
    failures_to_open: int = 5
    max_wait_seconds: float = 120.0
    fresh_seconds: float = 3_600.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FetchRules:
    """Permission to fetch, as a person gave it.

    Attributes:
      hosts: Host names that may be asked, None for those that the catalogue names.
      cache_dir: A local directory, or an address that Beam has a file system for, which keeps content between runs.
      allow_http: Whether `http://` may be fetched, too.
      allow_loopback: Whether this machine may be asked; for tests.
      contact: An address or page in the user agent, for the operators of the hosts.
      ca_file: Certificates of authorities beside the system's.
      limits: Limits of fetching.
      as_of: Epoch seconds of the start of the run; what failed before is tried again.
    """

    hosts: frozenset[str] | None = None
    cache_dir: str = ""
    allow_http: bool = False
    allow_loopback: bool = False
    contact: str = ""
    ca_file: str = ""
    limits: FetchLimits = FetchLimits()
    as_of: float = dataclasses.field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Fills in the default cache."""
        if not self.cache_dir:
            object.__setattr__(self, "cache_dir", default_cache_dir())


def rules_from_options(options: Mapping[str, Any], *, fetches_feeds: bool = False) -> FetchRules | None:
    """Returns the rules of the options of a command line (`FETCH_FLAGS`), None where no media may be fetched.

    Args:
      options: Values of the flags by name.
      fetches_feeds: Whether the other flags are for feeds, where no host of media is named.

    Raises:
      ValueError: An option of fetching without `fetch_media`, or no host name in it.
    """
    given = {name: value for name, value in options.items() if value}
    if "fetch_media" not in given:
        if given and not fetches_feeds:
            raise ValueError(
                f"--{next(iter(given))} is about fetching media; name their hosts with --fetch_media, too."
            )
        return None
    return FetchRules(
        hosts=hosts_from_text(given["fetch_media"]),
        cache_dir=given.get("media_cache", ""),
        allow_http=bool(given.get("allow_http")),
        allow_loopback=bool(given.get("allow_loopback")),
        contact=given.get("fetch_contact", ""),
    )


def rules_of(hosts: FetchRules | str) -> FetchRules | None:
    """Returns rules as they are, or those of a list of hosts alone, None for "".

    Raises:
      ValueError: No host name is in the list.
    """
    return hosts if isinstance(hosts, FetchRules) else rules_from_options({"fetch_media": hosts})


def hosts_from_text(text: str) -> frozenset[str] | None:
    """Returns the hosts of a comma-separated list, None for `all`.

    Raises:
      ValueError: One is no host name.
    """
    if text == ALL_HOSTS:
        return None
    hosts = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            hosts.add(host_of(checked_url(part if "://" in part else f"https://{part}", allow_http=True)))
        except FetchError as error:
            raise ValueError(
                f"{part!r} is no host to fetch from ({error.detail}); wanted names such as cdn.example.com, or all."
            ) from error
    if not hosts:
        raise ValueError("The list of hosts to fetch from is empty; name some, or all.")
    return frozenset(hosts)


def default_cache_dir() -> str:
    """Returns the folder of fetched media in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return str(pathlib.Path(base) / "vitrine" / "media")


def web_address(uri: str) -> str | None:
    """Returns the http(s) address that a URI of a record means, None for any other URI.

    `//host/path`, as shops write it for the scheme of the page, means https.
    """
    uri = uri.strip()
    if uri.startswith("//") and "." in uri[2:].partition("/")[0]:
        return f"https:{uri}"
    return uri if uri.partition("://")[0].lower() in SCHEMES and "://" in uri else None


def checked_url(address: str, *, allow_http: bool) -> Url:
    """Returns an address in its parts, percent-encoded, its host in ASCII and lower case.

    Raises:
      FetchError: unsupported_scheme or malformed_address.
    """
    try:
        url = parse_url(address)
    except (LocationParseError, ValueError) as error:
        raise FetchError("malformed_address", "not an address") from error
    if url.scheme not in SCHEMES:
        raise FetchError("unsupported_scheme", f"{(url.scheme or 'an address without a scheme')[:20]} is not fetched")
    if url.scheme == "http" and not allow_http:
        raise FetchError("unsupported_scheme", "http:// is not fetched without --allow_http")
    if not url.host or url.auth is not None:
        raise FetchError("malformed_address", "no host, or a user name before it")
    return url


def host_of(url: Url) -> str:
    """Returns the host of a checked address, without brackets and a last dot."""
    return (url.host or "").strip("[]").rstrip(".")


def check_host(url: Url, hosts: Collection[str] | None) -> None:
    """Refuses an address whose host is not among the allowed ones.

    Raises:
      FetchError: host_not_allowed.
    """
    host = host_of(url)
    if hosts is None or host not in hosts:
        raise FetchError("host_not_allowed", f"{host} is not among the hosts of --fetch_media; name it there")
