"""Feeds of a shop by what a person names: a directory as a whole, or its catalogue and its events each."""

import pathlib
from collections.abc import Sequence
from typing import Any

from beam_preprocess.feeds.feed import AUTO, Feed, KindFile, Part, feed_of_records, open_feed, recognized, split_name
from beam_preprocess.feeds.files.feed_file import FeedFile, open_feed_file
from beam_preprocess.feeds.files.locations import STDIN, InputFile, input_files, open_binary
from beam_preprocess.feeds.frames import records_of
from beam_preprocess.feeds.importer import ShopFeeds
from beam_preprocess.feeds.kinds import KINDS

_STEMS = ("catalog", "events", "signals")
_BLANK_BYTES = 4096
_GROUND_TRUTH = "truth.jsonl"


def named_feeds(catalog: Sequence[Any], events: Sequence[Any], *, temporary_dir: str | None = None) -> ShopFeeds:
    """Returns the feeds that a person names one by one.

    Args:
      catalog: Catalogue feeds: `KIND:PATH`, `PATH`, or a program's own records.
      events: Events feeds; where there is no catalogue and their kind has items, they are its items too.
      temporary_dir: Directory for a copy of standard input.

    Raises:
      ValueError: One of them cannot be read.
    """
    items = [_opened(name, "catalog", temporary_dir) for name in catalog]
    logs = [_opened(name, "events", temporary_dir) for name in events]
    if not items:
        items = [
            Feed("catalog", log.location, log.files)
            for log in logs
            if all(file.kind.items is not None for file in log.files) and log.kind in _EVENTS_NAME_ITEMS
        ]
    first = next((split_name(name).location for name in catalog if isinstance(name, str)), "")
    return ShopFeeds(catalog=items, events=logs, media_dir=_directory_of(first))


def _opened(name: Any, part: Part, temporary_dir: str | None) -> Feed:
    if isinstance(name, str | pathlib.Path):
        return open_feed(str(name), part, temporary_dir=temporary_dir)
    return feed_of_records(part, records_of(name, subject=part), part)


_EVENTS_NAME_ITEMS = ("clicks", "ratings")  # their items are known by their ids alone


def directory_feeds(directory: str, *, kind: str = AUTO) -> ShopFeeds:
    """Returns the feeds of a directory: files named `catalog`, `events` and `signals`, else each file by its content.

    Args:
      directory: A local directory, or an address that Beam can read.
      kind: Kind of all its files; `auto` to recognize each.

    Raises:
      ValueError: No file of it is a catalogue.
    """
    files = input_files(directory)
    by_stem = {stem: [file for file in files if _stem(file.name) == stem] for stem in _STEMS}
    if not by_stem["catalog"]:
        return _by_content(directory, [file for file in files if file.name != _GROUND_TRUTH], kind)
    for stem in ("events", "signals"):  # a shop may have none yet
        by_stem[stem] = [file for file in by_stem[stem] if not _is_blank(file)]
    truth = [file.path for file in files if file.name == _GROUND_TRUTH]
    return ShopFeeds(
        catalog=[_feed(directory, "catalog", by_stem["catalog"], kind)],
        events=[_feed(directory, "events", by_stem["events"], kind)] if by_stem["events"] else [],
        signals=[_feed(directory, "catalog", by_stem["signals"], "shop")] if by_stem["signals"] else [],
        media_dir=directory if "://" in directory else str(pathlib.Path(directory).expanduser().resolve()),
        ground_truth_path=truth[0] if truth else "",
    )


def _is_blank(file: InputFile) -> bool:
    with open_binary(file) as stream:
        return not stream.read(_BLANK_BYTES).strip(b"\xef\xbb\xbf \t\r\n")


def _stem(name: str) -> str:
    return name.partition(".")[0].partition("-")[0]


def _feed(directory: str, part: Part, files: Sequence[InputFile], kind: str) -> Feed:
    opened = [open_feed_file(file) for file in files]
    known = [KINDS[kind] if kind != AUTO else recognized(file, part) or KINDS["shop"] for file in opened]
    return Feed(part, directory, tuple(map(KindFile, known, opened)))


def _by_content(directory: str, files: Sequence[InputFile], kind: str) -> ShopFeeds:
    """Each file as a catalogue or events, whichever it is recognized as more surely."""
    items: list[KindFile] = []
    events: list[KindFile] = []
    for file in files:
        try:
            opened = open_feed_file(file)
        except ValueError:
            continue
        for is_log, target in ((False, items), (True, events)):
            found = _best(opened, events=is_log, kind=kind)
            if found is not None:
                target.append(found)
    if not items:
        raise ValueError(
            f"{directory} holds no catalogue that is known; wanted catalog.csv, .jsonl, .parquet, or an export of one "
            f"of {', '.join(KINDS)}. Name it with --catalog KIND:PATH."
        )
    media_dir = directory if "://" in directory else str(pathlib.Path(directory).expanduser().resolve())
    logs = [Feed("events", directory, tuple(events))] if events else []
    return ShopFeeds(catalog=[Feed("catalog", directory, tuple(items))], events=logs, media_dir=media_dir)


def _best(file: FeedFile, *, events: bool, kind: str) -> KindFile | None:
    """The file with its kind, where it is rather of this part than of the other one."""
    head = file.head()
    known = [found for found in KINDS.values() if kind in (AUTO, found.name)]
    scores = [(found.recognize(head), found) for found in known]
    score, best = max(scores, key=lambda pair: pair[0])
    wanted = best.events if events else best.items
    if score < 0.25 or wanted is None:
        return None
    looks_like_events = bool({"timestamp", "type"} <= set(head.columns)) if best.items and best.events else events
    return KindFile(best, file) if looks_like_events == events else None


def _directory_of(location: str) -> str:
    """Directory that relative media URIs of a feed start from."""
    if not location or location == STDIN:
        return str(pathlib.Path.cwd())
    if "://" in location:
        return location.rpartition("/")[0]
    path = pathlib.Path(location).expanduser().resolve()
    return str(path if path.is_dir() else path.parent)
