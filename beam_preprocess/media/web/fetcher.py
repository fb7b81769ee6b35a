"""Fetcher of http(s) addresses: redirects, retries and budgets around single exchanges."""

import email.utils
import functools
import importlib.metadata
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from urllib3.util import Url

from beam_preprocess.media.web.addresses import Resolver, allowed_addresses, system_resolver
from beam_preprocess.media.web.exchange import Answer, Connections, Target, port_of
from beam_preprocess.media.web.host_gate import HostGate
from beam_preprocess.media.web.rules import FetchError, FetchRules, check_host, checked_url, host_of

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_GONE = frozenset((404, 410))
_WAIT = frozenset((429, 503))
_ADDRESS_SECONDS = 60.0  # how long a checked address of a name is kept
_MAX_ADDRESSES = 3  # of one name that are tried


class Validators(NamedTuple):
    """Validators of content that is known already, "" where there is none: `ETag` and `Last-Modified`."""

    etag: str = ""
    last_modified: str = ""


NO_VALIDATORS = Validators()


class Fetched(NamedTuple):
    """Content of an address; `body` is None when it is the one that the validators are of."""

    body: bytes | None
    validators: Validators


class Fetcher:
    """Fetcher of addresses that the rules allow; it can be used by several threads.

    Args:
      rules: What may be fetched, and the limits.
      resolve: Addresses of a name.
      sleep: Waits for some seconds.
    """

    def __init__(
        self, rules: FetchRules, *, resolve: Resolver = system_resolver, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.rules = rules
        self._resolve = resolve
        self._sleep = sleep
        self._connections = Connections(rules.limits, ca_file=rules.ca_file)
        self._lock = threading.Lock()
        self._gates: dict[str, HostGate] = {}
        self._addresses: dict[tuple[str, int], _KnownAddresses] = {}
        self._num_media = 0
        self._num_bytes = 0
        self._random = random.Random()

    def fetch(self, address: str, known: Validators = NO_VALIDATORS) -> Fetched:
        """Returns the content of an address.

        Args:
          address: An http(s) address.
          known: Validators of the content that is there already.

        Raises:
          FetchError: It may not be fetched, or could not.
        """
        url = self._allowed(address)
        self._take_from_budget()
        headers = {"User-Agent": user_agent(self.rules.contact), "Accept": "*/*", "Accept-Encoding": "identity"}
        headers |= {"If-None-Match": known.etag} if known.etag else {}
        headers |= {"If-Modified-Since": known.last_modified} if known.last_modified else {}
        retries = 0
        while True:
            try:
                return self._follow(url, headers, known)
            except FetchError as error:
                if not error.is_transient or retries == self.rules.limits.retries:
                    raise
                if error.retry_after is None:  # else the gate of the host waits
                    self._sleep(self.rules.limits.retry_seconds * 2.0**retries * self._random.uniform(0.5, 1.5))
            retries += 1

    def _allowed(self, address: str) -> Url:
        url = checked_url(address, allow_http=self.rules.allow_http)
        check_host(url, self.rules.hosts)
        return url

    def _take_from_budget(self) -> None:
        limits = self.rules.limits
        with self._lock:
            self._num_media += 1
            if self._num_media > limits.max_media or self._num_bytes > limits.max_total_bytes:
                raise FetchError(
                    "over_limit", f"{limits.max_media} media or {limits.max_total_bytes} bytes were fetched"
                )

    def _follow(self, url: Url, headers: Mapping[str, str], known: Validators) -> Fetched:
        """The content behind all redirects, each of which is checked like the first address."""
        for _ in range(self.rules.limits.max_redirects + 1):
            answer = self._ask(url, headers)
            if answer.status not in _REDIRECTS:
                return self._content(url, answer, known)
            try:
                url = self._allowed(urllib.parse.urljoin(str(url), answer.headers.get("location", "")))
            except FetchError as error:
                raise FetchError("redirect_refused", f"{host_of(url)} redirects: {error.detail}") from error
        raise FetchError(
            "redirect_refused", f"{host_of(url)} redirects more than {self.rules.limits.max_redirects} times"
        )

    def _content(self, url: Url, answer: Answer, known: Validators) -> Fetched:
        host = host_of(url)
        if answer.status == 304 and any(known):
            return Fetched(None, known)
        if answer.status == 200:
            with self._lock:
                self._num_bytes += len(answer.body)
            found = Validators(answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))
            return Fetched(answer.body, found)
        if answer.status in _GONE:
            raise FetchError("not_found", f"{host} answers {answer.status}")
        raise FetchError("http_error", f"{host} answers {answer.status}")

    def _ask(self, url: Url, headers: Mapping[str, str]) -> Answer:
        """One answer of a host at a checked address, through the gate of the host."""
        host = host_of(url)
        gate = self._gate(host)
        with gate.turn():
            try:
                answer = self._exchange(url, headers)
                if answer.status in _WAIT or answer.status >= 500:
                    wait = retry_after_seconds(answer.headers.get("retry-after", ""))
                    message = f"{host} answers {answer.status}"
                    raise FetchError("server_error", message, is_transient=True, retry_after=wait)
            except FetchError as error:
                if error.is_transient or error.kind == "bad_certificate":
                    gate.failed(retry_after=error.retry_after)
                raise
            gate.succeeded()
            return answer

    def _exchange(self, url: Url, headers: Mapping[str, str]) -> Answer:
        """The answer of the first address of a host that can be reached."""
        host, port = host_of(url), port_of(url)
        addresses = self._checked_addresses(host, port)
        for address in addresses[:-1]:
            try:
                return self._connections.get(Target(url.scheme or "", host, port, address), url, headers)
            except FetchError as error:
                if error.kind != "connection_failed":
                    raise
        return self._connections.get(Target(url.scheme or "", host, port, addresses[-1]), url, headers)

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        with self._lock:
            known = self._addresses.get((host, port))
        if known is None or time.monotonic() - known.at > _ADDRESS_SECONDS:
            found = allowed_addresses(host, port, resolve=self._resolve, allow_loopback=self.rules.allow_loopback)
            known = _KnownAddresses(found[:_MAX_ADDRESSES], time.monotonic())
            with self._lock:
                self._addresses[host, port] = known
        return known.addresses

    def _gate(self, host: str) -> HostGate:
        with self._lock:
            return self._gates.setdefault(host, HostGate(host, self.rules.limits, sleep=self._sleep))


class _KnownAddresses(NamedTuple):
    """Checked addresses of a host, and the second at which they were checked."""

    addresses: list[str]
    at: float


@functools.cache
def user_agent(contact: str) -> str:
    """Returns the name under which hosts see the fetches."""
    try:
        version = importlib.metadata.version("vitrine-search")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    return f"vitrine-media/{version}" + (f" (+{contact})" if contact else "")


def retry_after_seconds(text: str) -> float | None:
    """Returns the seconds of a `Retry-After` header, a number or a date; None for anything else."""
    if text.strip().isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(moment.timestamp() - time.time(), 0.0)
