"""Flags of every command line that reads media: what may be fetched by http(s) address."""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple


class FetchFlag(NamedTuple):
    """One flag; it takes text unless it is a switch."""

    name: str
    help: str
    metavar: str = ""
    is_switch: bool = False
    is_shown: bool = True


FETCH_FLAGS = (
    FetchFlag(
        "fetch_media",
        "fetch media by https:// from these hosts; `all`: from those that the catalogue names",
        metavar="HOST[,HOST...]",
    ),
    FetchFlag("media_cache", "folder that keeps fetched media between runs (default: the user's cache)", metavar="DIR"),
    FetchFlag("allow_http", "fetch by http://, too", is_switch=True),
    FetchFlag("fetch_contact", "page or address for the operators of the hosts, in the user agent", metavar="TEXT"),
    FetchFlag("allow_loopback", "fetch from this machine, too; for tests", is_switch=True, is_shown=False),
)


def add_fetch_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags to a command line."""
    group = parser.add_argument_group("media of the web", "nothing is fetched unless a host is named")
    for flag in FETCH_FLAGS:
        text = flag.help if flag.is_shown else argparse.SUPPRESS
        if flag.is_switch:
            group.add_argument(f"--{flag.name}", action="store_true", help=text)
        else:
            group.add_argument(f"--{flag.name}", default="", metavar=flag.metavar, help=text)


def fetch_options(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the values of the flags by name."""
    return {flag.name: getattr(options, flag.name) for flag in FETCH_FLAGS}


def fetch_json(options: argparse.Namespace) -> str:
    """Returns the flags that are given as JSON, "" when none is."""
    given = {name: value for name, value in fetch_options(options).items() if value}
    if "://" not in given.get("media_cache", "://"):
        given["media_cache"] = str(Path(given["media_cache"]).resolve())  # components may run elsewhere
    return json.dumps(given, sort_keys=True) if given else ""
