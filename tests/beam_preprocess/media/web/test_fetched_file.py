"""An export that a person names by its address, and the photos that it names by theirs."""

import pytest

from beam_preprocess import pipeline
from beam_preprocess.feeds.request import ImportRequest
from beam_preprocess.media.web.fetched_file import fetched_file
from beam_preprocess.media.web.rules import FetchRules, rules_from_options
from beam_preprocess.sources import open_source
from serving.client import image_wire
from tests.beam_preprocess.little_shop import read_examples
from tests.support.fault_server import PHOTO, fault_server
from trainer.spec.config import override
from trainer.spec.presets import tiny

ROWS = ("id\ttitle\tprice\timage_link", "1\tRed mug\t7.50 EUR\t{good}", "2\tBlue mug\t8.00 EUR\t{etag}")
FEED = "\n".join((*ROWS, "3\tPlate\t9.00 EUR\t{gone}\n"))


@pytest.fixture
def server():
    with fault_server() as running:
        text = FEED.format(good=running.url("good"), etag=running.url("etag"), gone=running.url("gone"))
        running.content["/feed.tsv"] = text.encode()
        yield running


@pytest.fixture
def options(tmp_path):
    return {"allow_http": True, "allow_loopback": True, "media_cache": str(tmp_path / "cache")}


def test_a_file_is_fetched_to_a_path_of_its_own_name(server, options, tmp_path):
    path = fetched_file(server.url("feed.tsv?key=1"), options)
    assert path.startswith(str(tmp_path / "cache" / "files"))
    assert path.endswith("/feed.tsv")
    with open(path, "rb") as file:
        assert file.read() == server.content["/feed.tsv"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("gone", "not_found"), ("redirect?http://localhost/feed.tsv", "redirect_refused"), ("status/403", "http_error")],
)
def test_a_file_that_cannot_be_had_is_named_with_the_reason(server, options, path, reason):
    with pytest.raises(ValueError, match=f"cannot be fetched \\({reason}: .*download the file"):
        fetched_file(server.url(path), options)


def test_a_feed_on_this_machine_or_by_http_needs_its_flag(server, options):
    with pytest.raises(ValueError, match="refused_address"):
        fetched_file(server.url("feed.tsv"), {**options, "allow_loopback": False})
    with pytest.raises(ValueError, match="--allow_http"):
        fetched_file(server.url("feed.tsv"), {**options, "allow_http": False})
    assert not server.requests


def test_flags_of_fetching_may_be_for_a_feed_alone(server, options):
    request = ImportRequest(catalog=(f"google:{server.url('feed.tsv')}",), fetch=options)
    assert request.fetches
    assert not ImportRequest(catalog=("google:feed.tsv",)).fetches
    assert rules_from_options(options, fetches_feeds=True) is None


def test_a_merchant_feed_by_its_address_becomes_items_with_their_photos(server, options, tmp_path):
    config = override(tiny(), ["data.media_missing_limit=0.1"])
    request = ImportRequest(catalog=(f"google:{server.url('feed.tsv')}",), fetch=options)
    request.run(tmp_path / "imported", data=config.data)
    rules = rules_from_options({**options, "fetch_media": "all"})
    assert isinstance(rules, FetchRules)
    source = open_source(tmp_path / "imported", "imported", fetch=rules)
    assert source.media_root.fetch.hosts == {"127.0.0.1"}
    letters = tmp_path / "letters.jsonl"
    with pytest.raises(pipeline.MediaLimitError, match="1 of 3 items that name media"):
        pipeline.ingest_items(source, config=config, output_dir=tmp_path / "items", dead_letter_path=letters)
    server.content["/gone"] = PHOTO
    source = open_source(tmp_path / "imported", "imported", fetch=rules_from_options({**options, "fetch_media": "all"}))
    pipeline.ingest_items(source, config=config, output_dir=tmp_path / "items", dead_letter_path=letters)
    rows = read_examples(tmp_path / "items")
    assert [row["images"][0] for row in rows] == [image_wire(PHOTO, px=config.wire.image_px)] * 3
    assert (server.asked("good"), server.asked("gone")) == (1, 2)
