"""Content of the web between runs: fetched once, asked for again with its validators, and never half-written."""

import dataclasses
import multiprocessing
import os
import pathlib
import signal
import time

import pytest

from beam_preprocess.media.web.fetcher import Fetcher
from beam_preprocess.media.web.media_cache import MediaCache
from beam_preprocess.media.web.prefetch import Progress, fetch_all
from beam_preprocess.media.web.rules import (
    FetchError,
    FetchLimits,
    FetchRules,
    hosts_from_text,
    rules_from_options,
    rules_of,
)
from beam_preprocess.media.web.web_media import WebMedia
from tests.support.fault_server import PHOTO, fault_server

LIMITS = FetchLimits(read_seconds=0.5, fetch_seconds=0.5, retries=0, retry_seconds=0.01)


@pytest.fixture
def server():
    with fault_server(**{"a.jpg": b"first"}) as running:
        yield running


def rules(cache: pathlib.Path, *, fresh_seconds: float = 0.0, **more) -> FetchRules:
    limits = dataclasses.replace(LIMITS, fresh_seconds=fresh_seconds)
    options = {"allow_http": True, "allow_loopback": True, "hosts": frozenset(["127.0.0.1"]), **more}
    return FetchRules(cache_dir=str(cache), limits=limits, **options)


def run(cache: pathlib.Path, **more) -> WebMedia:
    """A run of its own: what it finds in the cache is of earlier ones."""
    made = rules(cache, **more)
    return WebMedia(Fetcher(made), MediaCache(made.cache_dir))


def test_a_second_run_asks_with_the_validators_and_keeps_what_is_unchanged(server, tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert first.read(server.url("etag")) == (PHOTO, "fetched")
    assert first.read(server.url("etag")) == (PHOTO, "cached")
    time.sleep(0.01)
    second = run(tmp_path)
    assert second.read(server.url("etag")) == (PHOTO, "unchanged")
    assert second.read(server.url("etag")) == (PHOTO, "cached")
    assert server.asked("etag") == 2


def test_a_second_run_takes_what_has_changed(server, tmp_path):
    assert run(tmp_path).read(server.url("a.jpg")).data == b"first"
    server.content["/a.jpg"] = b"second"
    assert run(tmp_path, fresh_seconds=60).read(server.url("a.jpg")) == (b"first", "cached")
    assert run(tmp_path).read(server.url("a.jpg")) == (b"second", "fetched")


def test_a_host_that_is_away_leaves_the_cached_content_in_use(server, tmp_path):
    assert run(tmp_path).read(server.url("flaky/0")).data == PHOTO
    server.content["/flaky/0"] = b""
    with fault_server() as other:
        pass  # a port at which nothing listens
    cache = MediaCache(str(tmp_path))
    known = cache.entry(server.url("flaky/0"))
    cache.put(dataclasses.replace(known, address=other.url("a.jpg")))
    assert run(tmp_path).read(other.url("a.jpg")) == (PHOTO, "stale")


def test_a_medium_that_is_gone_is_gone_although_it_is_cached(server, tmp_path):
    run(tmp_path).read(server.url("a.jpg"))
    del server.content["/a.jpg"]
    with pytest.raises(FetchError, match="not_found"):
        run(tmp_path).read(server.url("a.jpg"))


def test_a_failure_is_remembered_for_the_run_and_tried_again_in_the_next(server, tmp_path):
    first = run(tmp_path)
    for _ in range(2):
        with pytest.raises(FetchError, match="not_found"):
            first.read(server.url("b.jpg"))
    assert server.asked("b.jpg") == 1
    server.content["/b.jpg"] = b"there"
    time.sleep(0.01)
    assert run(tmp_path).read(server.url("b.jpg")) == (b"there", "fetched")


def test_permission_is_asked_before_the_cache(server, tmp_path):
    run(tmp_path).read(server.url("a.jpg"))
    with pytest.raises(FetchError, match="host_not_allowed"):
        run(tmp_path, hosts=frozenset(["cdn.example.com"])).read(server.url("a.jpg"))


@pytest.mark.parametrize("damage", [b"", b"fir", b"{"])
def test_damaged_files_of_the_cache_are_fetched_again(server, tmp_path, damage):
    run(tmp_path, fresh_seconds=60).read(server.url("a.jpg"))
    for kind in ("content", "index"):
        [path] = [path for path in (tmp_path / kind).rglob("*") if path.is_file()]
        path.write_bytes(damage)
        assert run(tmp_path, fresh_seconds=60).read(server.url("a.jpg")) == (b"first", "fetched")


def _fetch_many(cache: str, addresses: list[str]) -> None:
    fetch_all(addresses, run(pathlib.Path(cache), fresh_seconds=60), per_host=2)


def test_a_run_that_was_killed_is_resumed(server, tmp_path):
    addresses = [server.url(f"slow/{number}") for number in range(40)]
    process = multiprocessing.get_context("fork").Process(target=_fetch_many, args=(str(tmp_path), addresses))
    process.start()
    while len(server.requests) < 10:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    before = len(server.requests)
    outcomes = fetch_all(addresses, run(tmp_path, fresh_seconds=60), per_host=4)
    cached = list(outcomes.values()).count("cached")
    # Two at a time were under way; all that were done are there.
    assert cached >= before - 4
    assert set(outcomes.values()) == {"cached", "fetched"}
    assert len(server.requests) - before == 40 - cached


def test_a_host_is_asked_by_some_threads_at_a_time(server, tmp_path):
    addresses = [server.url(f"slow/{number}") for number in range(24)]
    outcomes = fetch_all([*addresses, *addresses, "https:///"], run(tmp_path), per_host=3)
    assert (len(outcomes), outcomes.pop("https:///")) == (25, "malformed_address")
    assert set(outcomes.values()) == {"fetched"}
    assert 2 <= server.most_open <= 3
    assert len(server.requests) == 24


def test_progress_names_counts_and_the_time_left():
    times = iter([0.0, 4.0, 8.0, 8.0])
    progress = Progress(3, clock=lambda: next(times))
    progress.add("fetched", 2**20)
    # One in 8 s, so two more take 16 s.
    assert progress.line() == "media: 1 of 3 (1 fetched), 1.0 MiB; about 16 s left"


def test_hosts_are_read_from_the_flag():
    assert hosts_from_text("all") is None
    assert hosts_from_text("CDN.example.com., bücher.example,https://img.example.com/x") == frozenset(
        ["cdn.example.com", "xn--bcher-kva.example", "img.example.com"]
    )
    for text in (" , ", "ftp://x", "a b"):
        with pytest.raises(ValueError, match="host"):
            hosts_from_text(text)


def test_the_flags_make_the_rules(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert rules_from_options({"fetch_media": "", "allow_http": False}) is None
    with pytest.raises(ValueError, match="--allow_http is about fetching media; name their hosts with --fetch_media"):
        rules_from_options({"fetch_media": "", "allow_http": True})
    assert rules_of("") is None
    assert rules_of("a.example").hosts == frozenset(["a.example"])
    made = rules_from_options({"fetch_media": "a.example", "fetch_contact": "me"})
    assert (made.hosts, made.cache_dir, made.contact) == (frozenset(["a.example"]), f"{tmp_path}/vitrine/media", "me")
    assert not made.allow_http
    assert not made.allow_loopback
