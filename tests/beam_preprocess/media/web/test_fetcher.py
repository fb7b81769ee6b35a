"""Fetching against a server on loopback with every fault: content or a class of error, in bounded time."""

import contextlib
import random
import socketserver
import ssl
import threading
import time

import pytest
import trustme

from beam_preprocess.media.web import fetcher as fetching
from beam_preprocess.media.web.fetcher import Fetcher, Validators, retry_after_seconds
from beam_preprocess.media.web.rules import FetchError, FetchLimits, FetchRules
from tests.support.fault_server import ETAG, PHOTO, fault_server

QUICK = {"read_seconds": 0.5, "fetch_seconds": 0.5, "max_bytes": 1_000_000, "retries": 2, "retry_seconds": 0.01}


def make(*hosts: str, resolve=None, allow_http=True, allow_loopback=True, ca_file="", **limits) -> Fetcher:
    rules = FetchRules(
        hosts=frozenset(hosts or ("127.0.0.1",)),
        cache_dir="unused",
        allow_http=allow_http,
        allow_loopback=allow_loopback,
        ca_file=ca_file,
        limits=FetchLimits(**{**QUICK, **limits}),
    )
    return Fetcher(rules, **({"resolve": resolve} if resolve else {}))


def error_of(fetcher: Fetcher, address: str) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(address)
    return caught.value


@pytest.fixture(scope="module")
def server():
    with fault_server() as running:
        yield running


def test_content_comes_with_its_validators_and_is_not_sent_again(server):
    fetcher = make()
    found = fetcher.fetch(server.url("etag"))
    assert (found.body, found.validators) == (PHOTO, Validators(etag=ETAG))
    assert fetcher.fetch(server.url("etag"), found.validators).body is None
    agent = server.requests[-1][1]["user-agent"]
    assert agent.startswith("vitrine-media/")


def test_the_contact_is_in_the_user_agent():
    assert fetching.user_agent("shop@example.com").endswith(" (+shop@example.com)")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("none", "not_found"),
        ("status/410", "not_found"),
        ("status/403", "http_error"),
        ("status/500", "server_error"),
        ("loris", "timeout"),
        ("loris_header", "timeout"),
        ("silent", "timeout"),
        ("endless", "too_large"),
        ("large", "too_large"),
        ("bomb", "too_large"),
        ("short", "truncated"),
        ("loop", "redirect_refused"),
        ("redirect?file:///etc/passwd", "redirect_refused"),
        ("redirect?http://169.254.169.254/latest/meta-data", "redirect_refused"),
        ("redirect?http://localhost/", "redirect_refused"),
        ("redirect?http://example.com/a.jpg", "redirect_refused"),
        ("redirect?http://user:word@127.0.0.1/", "redirect_refused"),
        ("redirect?", "redirect_refused"),
    ],
)
def test_a_fault_is_an_error_of_its_class_in_bounded_time(server, path, kind):
    began = time.monotonic()
    error = error_of(make(retries=1), server.url(path))
    assert error.kind == kind, error.detail
    assert time.monotonic() - began < 10  # of a busy machine


def test_a_host_that_recovers_is_asked_again(server):
    assert make(retries=2).fetch(server.url("flaky/2")).body == PHOTO
    assert server.asked("flaky/2") == 3
    assert error_of(make(retries=2), server.url("flaky/9")).kind == "server_error"
    assert server.asked("flaky/9") == 3


def test_a_host_that_asks_to_wait_is_waited_for(server):
    began = time.monotonic()
    assert make().fetch(server.url("busy/1")).body == PHOTO
    assert time.monotonic() - began >= 1
    error = error_of(make(max_wait_seconds=60), server.url("busy/3600"))
    assert (error.kind, server.asked("busy/3600")) == ("circuit_open", 1)


def test_a_redirect_to_an_allowed_host_is_followed(server):
    assert make().fetch(server.url("redirect?/good")).body == PHOTO
    assert make().fetch(server.url("redirect?" + server.url("redirect?/good"))).body == PHOTO


def test_packed_content_is_unpacked(server):
    assert make().fetch(server.url("packed")).body == PHOTO


def test_a_redirect_is_resolved_and_checked_like_the_first_address(server):
    # The name is allowed, and leads to the metadata service.
    resolve = {"127.0.0.1": ["127.0.0.1"], "cdn.example.com": ["169.254.169.254"]}.__getitem__
    fetcher = make("127.0.0.1", "cdn.example.com", resolve=lambda host, port: resolve(host))
    error = error_of(fetcher, server.url("redirect?http://cdn.example.com/a.jpg"))
    assert (error.kind, error.detail) == (
        "refused_address",
        "cdn.example.com is 169.254.169.254, which is not a public address",
    )


def test_the_connection_is_made_to_the_address_that_was_checked(server):
    # A name that is harmless when it is checked and another address a moment later: only the first answer counts.
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    fetcher = make("cdn.example.com", resolve=lambda host, port: next(answers))
    address = f"http://cdn.example.com:{server.server_port}/good"
    assert fetcher.fetch(address).body == PHOTO
    assert fetcher.fetch(address).body == PHOTO
    assert server.requests[-1][1]["host"] == f"cdn.example.com:{server.server_port}"
    assert next(answers) == ["169.254.169.254"]


def test_the_next_address_of_a_host_is_asked_when_the_first_does_not_answer(server):
    fetcher = make("cdn.example.com", resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
    assert fetcher.fetch(f"http://cdn.example.com:{server.server_port}/good").body == PHOTO


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
    ],
)
def test_this_machine_is_refused_in_every_spelling(address):
    host = address.removeprefix("http://").strip("/[]")
    error = error_of(make(host, allow_loopback=False), address)
    assert error.kind == "refused_address", error.detail


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://other.example.com/a.jpg", "host_not_allowed"),
        ("http://127.0.0.1/a.jpg", "unsupported_scheme"),
        ("ftp://127.0.0.1/a.jpg", "unsupported_scheme"),
        ("https:///a.jpg", "malformed_address"),
        ("https://127.0.0.1@other.example.com/a.jpg", "malformed_address"),
    ],
)
def test_what_was_not_allowed_is_not_asked(address, kind):
    error = error_of(make(allow_http=False, resolve=lambda host, port: pytest.fail("resolved")), address)
    assert error.kind == kind
    assert "--fetch_media" in error.detail or kind != "host_not_allowed"


def test_a_host_that_stays_away_is_left_alone(server):
    fetcher = make(retries=0, failures_to_open=3, retry_seconds=0.01, max_wait_seconds=0.05)
    kinds = [error_of(fetcher, server.url(f"status/500/{number}")).kind for number in range(8)]
    # Waits of 0.01, 0.02 and 0.04 s after the 3rd, 4th and 5th failure are more than 0.05 s.
    assert kinds == ["server_error"] * 5 + ["circuit_open"] * 3


def test_the_number_of_fetches_and_of_bytes_is_limited(server):
    fetcher = make(max_media=2)
    assert [fetcher.fetch(server.url("good")).body, fetcher.fetch(server.url("good")).body] == [PHOTO, PHOTO]
    assert error_of(fetcher, server.url("good")).kind == "over_limit"
    fetcher = make(max_total_bytes=len(PHOTO) - 1)
    assert fetcher.fetch(server.url("good")).body == PHOTO
    assert error_of(fetcher, server.url("good")).kind == "over_limit"


def test_a_certificate_must_be_of_the_name_and_of_a_known_authority(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cdn.example.com").configure_cert(context)

    def resolve(host, port):
        return ["127.0.0.1"]

    with fault_server(tls=context) as server:
        hosts = ("cdn.example.com", "other.example.com")
        trusting = make(*hosts, resolve=resolve, ca_file=str(tmp_path / "ca.pem"), allow_http=False)
        address = f"https://cdn.example.com:{server.server_port}/good"
        assert trusting.fetch(address).body == PHOTO
        assert error_of(trusting, address.replace("cdn.", "other.")).kind == "bad_certificate"
        assert error_of(make(*hosts, resolve=resolve, allow_http=False), address).kind == "bad_certificate"
        assert (
            error_of(trusting, address.replace("good", "redirect?http://cdn.example.com/")).kind == "redirect_refused"
        )


def test_retry_after_is_a_number_or_a_date():
    assert retry_after_seconds("120") == 120
    assert retry_after_seconds("Mon, 01 Jan 2001 00:00:00 GMT") == 0
    assert retry_after_seconds("soon") is None


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\nConnection: close\r\n\r\nphoto"


def test_any_bytes_of_a_host_give_content_or_an_error():
    rng = random.Random(5)
    answers = [WHOLE]
    for _ in range(60):
        data = bytearray(WHOLE)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        answers.append(bytes(data[: rng.randrange(len(data)) if rng.random() < 0.4 else len(data)]))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(4096)
            self.request.sendall(answers[self.server.number])

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        fetcher = make(retries=0, max_wait_seconds=1e9, failures_to_open=1000)
        found = []
        for number in range(len(answers)):
            server.number = number
            with contextlib.suppress(FetchError):
                found.append(fetcher.fetch(f"http://127.0.0.1:{server.server_address[1]}/").body)
        server.shutdown()
        thread.join()
    assert found[0] == b"photo"
    assert all(isinstance(body, bytes) for body in found)
