"""One HTTP exchange with one checked address, within limits of time and size."""

import contextlib
import http.client
import socket
import ssl
import threading
import weakref
from collections.abc import Mapping
from typing import NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError, IncompleteRead
from urllib3.response import HTTPResponse
from urllib3.util import Url

from beam_preprocess.media.web.rules import FetchError, FetchLimits

_PIECE_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """Answer of a host: status, headers by lower-case name, and the body of a success."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Target(NamedTuple):
    """A host by its name, and the address of it that was checked."""

    scheme: str
    host: str
    port: int
    address: str


def port_of(url: Url) -> int:
    """Returns the port of an address, that of its scheme when it names none."""
    return url.port or _PORTS[url.scheme or "https"]


class _Deadline:
    """End of an exchange: shuts the socket when the time is over, also of a host that sends a byte now and then.

    Args:
      connection: The connection; its socket is taken as soon as it is there.
      seconds: The time.
    """

    def __init__(self, connection: HTTPConnection, seconds: float) -> None:
        self.has_passed = False
        self.sock: socket.socket | None = None
        self._connection = connection
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def _end(self) -> None:
        self.has_passed = True
        sock = self.sock or self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS's own would first unwrap.

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()


class Connections:
    """Connections to checked addresses, kept open for the next exchange.

    A connection is made to the address that was checked, never to the name; the name is what the certificate must be of
    and what the request names.

    Args:
      limits: Limits of an exchange.
      ca_file: Certificates of authorities beside the system's.
    """

    def __init__(self, limits: FetchLimits, *, ca_file: str = "") -> None:
        self._limits = limits
        self._tls = ssl.create_default_context()
        if ca_file:
            self._tls.load_verify_locations(ca_file)
        self._idle: dict[Target, list[HTTPConnection]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    def get(self, target: Target, url: Url, headers: Mapping[str, str]) -> Answer:
        """Returns the answer to a GET.

        Raises:
          FetchError: timeout, connection_failed, bad_certificate, truncated, too_large or http_error.
        """
        connection = self._taken(target)
        deadline = _Deadline(connection, self._limits.fetch_seconds)
        try:
            with deadline:
                answer = self._exchange(connection, url, headers, deadline)
        except FetchError:
            connection.close()
            raise
        except Exception as error:  # Shut by the deadline, a connection raises anything.
            connection.close()
            raise _failure(error, target.host, is_late=deadline.has_passed) from error
        if deadline.has_passed or answer.status not in (200, 304):
            connection.close()
        else:
            with self._lock:
                self._idle.setdefault(target, []).append(connection)
        if deadline.has_passed:
            raise _failure(TimeoutError(), target.host, is_late=True)
        return answer

    def _taken(self, target: Target) -> HTTPConnection:
        """An open connection to the target, or a new one."""
        while True:
            with self._lock:
                idle = self._idle.get(target)
                connection = idle.pop() if idle else None
            if connection is None:
                return self._new(target)
            if connection.is_connected:
                return connection
            connection.close()

    def _new(self, target: Target) -> HTTPConnection:
        seconds = self._limits.connect_seconds
        if target.scheme == "http":
            return HTTPConnection(target.address, target.port, timeout=seconds)
        return HTTPSConnection(
            target.address, target.port, timeout=seconds, server_hostname=target.host, ssl_context=self._tls
        )

    def _exchange(
        self, connection: HTTPConnection, url: Url, headers: Mapping[str, str], deadline: _Deadline
    ) -> Answer:
        if not connection.is_connected:
            connection.connect()
        deadline.sock = connection.sock
        connection.timeout = self._limits.read_seconds
        deadline.sock.settimeout(self._limits.read_seconds)
        named = {"Host": url.netloc or "", **headers}
        connection.request("GET", url.request_uri, headers=named, preload_content=False)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.headers.items()}
        try:
            return Answer(response.status, found, self._body(response) if response.status == 200 else b"")
        finally:
            response.close()

    def _body(self, response: HTTPResponse) -> bytes:
        """The body, unpacked, read piece by piece so that no more than the limit is ever held."""
        limit = self._limits.max_bytes
        if (response.length_remaining or 0) > limit:
            raise FetchError("too_large", f"{response.length_remaining} bytes; at most {limit}")
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE_BYTES, decode_content=True):
            size += len(piece)
            if size > limit:
                raise FetchError("too_large", f"more than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)


def _close_all(idle: dict[Target, list[HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _failure(error: Exception, host: str, *, is_late: bool) -> FetchError:
    """The error of an exchange by what its connection raised."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a kind of time-out to urllib3
        return FetchError("connection_failed", f"{host} cannot be reached", is_transient=True)
    causes = {type(found) for found in (error, error.__cause__, *error.args)}
    if is_late or any(issubclass(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in causes):
        return FetchError("timeout", f"{host} did not answer in full in time", is_transient=True)
    if any(issubclass(cause, ssl.SSLError | urllib3.exceptions.SSLError) for cause in causes):
        return FetchError("bad_certificate", f"{host} has no certificate that can be checked")
    if any(issubclass(cause, IncompleteRead | http.client.IncompleteRead) for cause in causes):
        return FetchError("truncated", f"{host} sent less than it declared", is_transient=True)
    if isinstance(error, DecodeError):
        return FetchError("http_error", f"{host} sent a content encoding that does not unpack")
    return FetchError("connection_failed", f"{host}: {type(error).__name__}", is_transient=True)
