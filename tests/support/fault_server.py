"""HTTP server on loopback with the faults of real hosts, chosen by path; it counts what it is asked."""

import collections
import contextlib
import gzip
import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.support import fake_media

PHOTO = fake_media.jpeg()
ETAG = '"first"'
LONG = 10_000_000


class FaultServer(http.server.ThreadingHTTPServer):
    """The server; `requests` holds (path, headers) of every request."""

    daemon_threads = True

    def __init__(self, **content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = {f"/{name}": body for name, body in content.items()}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.failures: collections.Counter[str] = collections.Counter()
        self.lock = threading.Lock()
        self.num_open = self.most_open = 0
        self.stopped = threading.Event()

    def url(self, path: str) -> str:
        """Address of a path."""
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def asked(self, path: str) -> int:
        """Number of requests of a path."""
        return sum(found == f"/{path}" for found, _ in self.requests)

    def handle_error(self, *_: Any) -> None:
        """Clients hang up here on purpose."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            server.num_open += 1
            server.most_open = max(server.most_open, server.num_open)
        try:
            self._answer(self.path.partition("?")[0])
        finally:
            with server.lock:
                server.num_open -= 1

    def _answer(self, path: str) -> None:
        name, *rest = path.strip("/").split("/")
        if path in self.server.content:
            self._send(200, self.server.content[path])
        elif hasattr(self, f"_{name}"):
            getattr(self, f"_{name}")(*rest)
        else:
            self._send(404, b"none")

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _good(self, *_: str) -> None:
        self._send(200, PHOTO)

    def _etag(self, *_: str) -> None:
        if self.headers.get("If-None-Match") == ETAG:
            self._send(304, ETag=ETAG)
        else:
            self._send(200, PHOTO, ETag=ETAG)

    def _status(self, status: str, *_: str) -> None:
        self._send(int(status), b"an error page")

    def _flaky(self, failures: str, *_: str) -> None:
        """503 for the first `failures` requests, then a photo."""
        with self.server.lock:
            self.server.failures[self.path] += 1
            number = self.server.failures[self.path]
        if number <= int(failures):
            self._send(503)
        else:
            self._good()

    def _busy(self, seconds: str, *_: str) -> None:
        """429 with a time to wait at the first request, then a photo."""
        with self.server.lock:
            self.server.failures[self.path] += 1
            number = self.server.failures[self.path]
        if number == 1:
            self._send(429, Retry_After=seconds)
        else:
            self._good()

    def _slow(self, *_: str) -> None:
        """A photo, a quarter of a second for each request."""
        time.sleep(0.05)
        self._good()

    def _loris(self, *_: str) -> None:
        """A byte now and then."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self._trickle(b"x")

    def _loris_header(self, *_: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self._trickle(b"X-More: 1\r\n")

    def _trickle(self, piece: bytes) -> None:
        with contextlib.suppress(OSError):
            while not self.server.stopped.wait(0.05):
                self.wfile.write(piece)
                self.wfile.flush()

    def _silent(self, *_: str) -> None:
        self.server.stopped.wait(5)

    def _endless(self, *_: str) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.stopped.is_set():
                self.wfile.write(bytes(65_536))

    def _large(self, *_: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(LONG))
        self.end_headers()

    def _short(self, *_: str) -> None:
        """Fewer bytes than declared."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(PHOTO) + 100))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(PHOTO)
        self.close_connection = True

    def _bomb(self, *_: str) -> None:
        self._send(200, gzip.compress(bytes(LONG)), Content_Encoding="gzip")

    def _packed(self, *_: str) -> None:
        self._send(200, gzip.compress(PHOTO), Content_Encoding="gzip")

    def _html(self, *_: str) -> None:
        self._send(200, b"<!doctype html><html><body>Not here</body></html>", Content_Type="image/jpeg")

    def _redirect(self, *rest: str) -> None:
        """To the address in the query."""
        self._send(302, Location=self.path.partition("?")[2])

    def _loop(self, number: str = "0", *_: str) -> None:
        self._send(301, Location=f"/loop/{int(number) + 1}")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextlib.contextmanager
def fault_server(*, tls: ssl.SSLContext | None = None, **content: bytes) -> Iterator[FaultServer]:
    """Runs a server; `content` is {path: bytes}."""
    server = FaultServer(**content)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
