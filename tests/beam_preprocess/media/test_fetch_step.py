"""A catalogue whose photos are on the web, served by a host on loopback with faults."""

import dataclasses
import logging

import pytest

from beam_preprocess import __main__ as command
from beam_preprocess import pipeline
from beam_preprocess.media.fetch_step import WantedMedia, fetch_wanted
from beam_preprocess.media.web.rules import FetchLimits, FetchRules
from beam_preprocess.media.wire import wire_form
from beam_preprocess.sources import open_source
from serving.client import image_wire
from tests.beam_preprocess.little_shop import read_examples, read_letters, write_shop
from tests.support.fault_server import PHOTO, fault_server
from trainer.spec.config import override
from trainer.spec.presets import tiny

LIMITS = FetchLimits(read_seconds=0.5, fetch_seconds=0.5, retries=1, retry_seconds=0.01, max_bytes=100_000)
CONFIG = override(tiny(), ["data.media_missing_limit=1"])


@pytest.fixture(scope="module")
def server():
    with fault_server() as running:
        yield running


def catalog(server) -> list[dict]:
    """Items by the path of their photo, and one whose first photo is gone."""
    paths = ("good", "etag", "html", "status/404", "loris", "endless", "redirect?http://169.254.169.254/", "flaky/1")
    items = [{"item_id": path, "title": path, "images": [server.url(path)]} for path in paths]
    return [*items, {"item_id": "second", "title": "second", "images": [server.url("gone"), server.url("good")]}]


def source_of(tmp_path, records: list[dict], **rules):
    shop = write_shop(tmp_path / "shop", catalog=records)
    options = {"allow_http": True, "allow_loopback": True, "cache_dir": str(tmp_path / "cache"), "limits": LIMITS}
    return open_source(shop, fetch=FetchRules(**{**options, **rules}))


def ingest(tmp_path, source):
    letters = tmp_path / "letters.jsonl"
    summary = pipeline.ingest_items(source, config=CONFIG, output_dir=tmp_path / "items", dead_letter_path=letters)
    reasons = {letter["key"]: letter["reason"] for letter in read_letters(letters)}
    return summary.counts, reasons, {row["item_id"][0].decode(): row for row in read_examples(tmp_path / "items")}


def test_photos_of_the_web_become_examples_or_counted_dead_letters(server, tmp_path):
    counts, reasons, rows = ingest(tmp_path, source_of(tmp_path, catalog(server)))
    assert reasons == {
        "html": "not_media",
        "status/404": "not_found",
        "loris": "timeout",
        "endless": "too_large",
        "redirect?http://169.254.169.254/": "redirect_refused",
        "second": "not_found",
    }
    wire = image_wire(PHOTO, px=CONFIG.wire.image_px)
    assert {name for name, row in rows.items() if row["images"][0] == wire} == {"good", "etag", "flaky/1", "second"}
    assert (counts["items_naming_media"], counts["items_with_unusable_media"], counts["written"]) == (9, 6, 9)
    assert (counts["fetch/fetched"], counts["fetch/timeout"], counts["fetch/not_found"]) == (4, 1, 2)


def test_the_fingerprint_counts_the_content_and_fetches_nothing_twice(server, tmp_path):
    records = [{"item_id": "a", "title": "a", "images": [server.url("etag/fingerprint")]}]
    first = pipeline.input_fingerprint(source_of(tmp_path, records), "items", CONFIG)
    _, reasons, rows = ingest(tmp_path, source_of(tmp_path, records))
    assert not reasons
    assert pipeline.input_fingerprint(source_of(tmp_path, records), "items", CONFIG) == first
    assert server.asked("etag/fingerprint") == 1
    stale = source_of(tmp_path, records, limits=dataclasses.replace(LIMITS, fresh_seconds=0))
    assert pipeline.input_fingerprint(stale, "items", CONFIG) == first
    assert server.asked("etag/fingerprint") == 2  # 304


def test_media_in_place_of_those_that_cannot_be_had_are_fetched_too(server, tmp_path):
    source = source_of(tmp_path, catalog(server))
    uris = [server.url(path) for path in ("status/404/x", "status/410/x", "good/1", "good/2")]
    fetch_wanted([WantedMedia(uris, 1), WantedMedia(["local.jpg"], 1)], source.media_root.fetch)
    assert (server.asked("good/1"), server.asked("good/2")) == (1, 0)


def test_without_permission_nothing_is_fetched_and_the_flag_is_named(server, tmp_path):
    shop = open_source(write_shop(tmp_path / "shop", catalog=[{"item_id": "a"}]))
    for uri in (server.url("never"), "https://127.0.0.1/never", "//cdn.example.com/never.jpg"):
        problem = wire_form(uri, modality=None, media_root=shop.media_root, wire=CONFIG.wire)
        assert problem.error.reason == "unsupported_scheme"
        assert "--fetch_media" in problem.error.detail
    assert server.asked("never") == 0


def test_all_hosts_are_those_that_the_catalogue_names(server, tmp_path, caplog):
    records = [
        {"item_id": "a", "title": "a", "images": [server.url("good"), "https://cdn.example.com/1.jpg", "a.jpg"]},
        {"item_id": "b", "title": "b", "images": ["//CDN.example.com/2.jpg"], "video": "https://u:p@x.example/"},
    ]
    with caplog.at_level(logging.INFO, logger="vitrine.preprocess"):
        found = source_of(tmp_path, records).media_root.fetch.hosts
    assert found == {"127.0.0.1", "cdn.example.com"}
    assert "cdn.example.com (2 addresses), 127.0.0.1 (1 addresses)" in caplog.text


def test_the_limit_of_missing_media_names_the_flags(server, tmp_path):
    source = open_source(write_shop(tmp_path / "shop", catalog=catalog(server)))
    letters = tmp_path / "letters.jsonl"
    with pytest.raises(
        pipeline.MediaLimitError, match="10 addresses are not fetched: see --fetch_media and --allow_http"
    ):
        pipeline.ingest_items(source, config=tiny(), output_dir=tmp_path / "items", dead_letter_path=letters)


def test_the_command_reads_its_flags_and_shows_the_hosts(server, tmp_path, capsys, monkeypatch):
    shop = write_shop(tmp_path / "shop", catalog=catalog(server))
    opened = []
    monkeypatch.setattr(command, "run", lambda source, *_, **__: opened.append(source))
    flags = ["--source", str(shop), "--output", str(tmp_path / "out"), "--preset", "tiny"]
    flags += ["--kind", "records"]
    allowed = ["--fetch_media", "all", "--allow_http", "--allow_loopback", "--media_cache", str(tmp_path / "cache")]
    assert command.main([*flags, *allowed]) == 0
    assert "media are fetched from the hosts of the catalogue: 127.0.0.1 (9 addresses)" in capsys.readouterr().out
    assert opened[0].media_root.read(server.url("good")) == PHOTO
    assert command.main([*flags, "--allow_http"]) == 1
    assert "name their hosts with --fetch_media" in capsys.readouterr().err
