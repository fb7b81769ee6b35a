"""Flags of fetching: nothing by default, JSON for components, and a cache that all workers share."""

import argparse
import json
from pathlib import Path

import pytest

from trainer.job.fetch_flags import add_fetch_flags, fetch_json, fetch_options
from trainer.job.pipeline_flags import job_from_flags, make_parser


def parsed(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_fetch_flags(parser)
    return parser.parse_args(flags)


def test_nothing_is_fetched_by_default():
    assert fetch_json(parsed()) == ""
    assert not any(fetch_options(parsed()).values())


def test_components_get_the_flags_that_are_given():
    found = json.loads(fetch_json(parsed("--fetch_media", "a.example,b.example", "--allow_http", "--media_cache", "c")))
    assert found == {"fetch_media": "a.example,b.example", "allow_http": True, "media_cache": str(Path("c").resolve())}
    remote = parsed("--fetch_media", "all", "--media_cache", "gs://bucket/media")
    assert json.loads(fetch_json(remote))["media_cache"] == "gs://bucket/media"


def test_the_help_is_silent_about_the_flag_of_tests(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    assert "--fetch_media HOST[,HOST...]" in text
    assert "loopback" not in text


def test_a_compiled_pipeline_needs_a_cache_that_its_workers_share():
    flags = ["--compile", "kubeflow", "--shop", "gs://bucket/shop", "--fetch_media", "all"]
    flags += ["--project=p", "--region=r", "--image=i", "--root=gs://bucket/root"]
    with pytest.raises(ValueError, match="--media_cache is ''; Dataflow's workers share a remote one"):
        job_from_flags(make_parser().parse_args(flags))
    job = job_from_flags(make_parser().parse_args([*flags, "--media_cache=gs://bucket/media"]))
    assert json.loads(job.fetch) == {"fetch_media": "all", "media_cache": "gs://bucket/media"}
