"""Imports of whole exports for tests: files or records to what is written, and the report."""

import json
from typing import NamedTuple

import pytest

from beam_preprocess.feeds.feed import ImportOptions, feed_of_records, open_feed
from beam_preprocess.feeds.importer import ShopFeeds, import_shop
from beam_preprocess.feeds.report import MappingReport
from trainer.pseudonyms import UserKeys
from trainer.spec.config import DataConfig

NOW = 1_710_010_112.0  # 2024-03-09T18:48:32Z
DAY = 86_400


class Imported(NamedTuple):
    report: MappingReport
    items: list[dict]
    events: list[dict]
    text: str

    def item(self, item_id):
        return next(item for item in self.items if item["item_id"] == item_id)


@pytest.fixture
def run(tmp_path):
    def run(catalog=(), events=(), *, data=None, **options):
        """Imports feeds; each is the content of a file, records, or the name of a feed."""
        settings = {"now": NOW, "as_of": NOW, "user_keys": UserKeys(b"key")} | options
        feeds = {
            part: [_opened(tmp_path, number, part, content) for number, content in enumerate(found)]
            for part, found in (("catalog", catalog), ("events", events))
        }
        output = tmp_path / "out"
        report = import_shop(ShopFeeds(**feeds), output, options=ImportOptions(**settings), data=data or DataConfig())
        lines = {path.name: path.read_text(encoding="utf-8") for path in output.iterdir()}
        read = {
            name: [json.loads(line) for line in lines.get(name, "").splitlines()]
            for name in ("catalog.jsonl", "events.jsonl")
        }
        return Imported(report, *read.values(), "\n".join([*lines.values(), report.text()]))

    return run


def _opened(folder, number, part, content):
    if isinstance(content, list):
        return feed_of_records("records", lambda: iter(content), part, kind="shop")
    path = folder / f"{part}-{number}.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_feed(str(path), part)
