"""Synthetic shop with known ground truth: the relevant items of every judged query, and the modality it needs.

    python -m beam_preprocess.synthetic.shop --output DIR --items 600 --users 200 --events 42000 --seed 7

The same arguments give the same bytes. Beside the shop's own files (`catalog.jsonl`, `events.jsonl`, `signals.jsonl`
and `media/`, in the public input format) it writes the ground truth, for tests only: `truth.jsonl`, the
relevant items of every judged query, and `items_truth.jsonl`, the attributes of every item.
"""

import argparse
import collections
import dataclasses
import json
import math
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from beam_preprocess.synthetic import events as synthetic_events
from beam_preprocess.synthetic import media
from beam_preprocess.synthetic.items import FULL_SIZE, Item, make_items
from beam_preprocess.synthetic.queries import ABANDONED_FORM, NUM_HISTORY_QUERIES, QUERY_FORMS, Query, QueryGenerator
from trainer.spec.units import SECONDS_PER_DAY

MIN_ITEMS = 8
_HISTORY_CLICKS = 2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ShopSummary:
    """Summary of a written shop.

    Attributes:
      directory: Its directory.
      items: Catalogue lines.
      users: Users that may appear in events.
      events: Event lines, judgments not counted.
      searches: Search requests.
      judgments: Judgment lines.
      judged: Judged queries by "needs/form".
      media_files: Photos, clips and sounds.
      media_bytes: Their size in all.
    """

    directory: Path
    items: int
    users: int
    events: int
    searches: int
    judgments: int
    judged: dict[str, int]
    media_files: int
    media_bytes: int


def write_shop(directory: str | Path, *, items: int, users: int, events: int, seed: int) -> ShopSummary:
    """Writes a shop into `directory`, which is created when missing; files of the same names are replaced.

    Args:
      directory: Directory of the shop.
      items: Number of catalogue lines, at least 8. Up to about 600, a judged query has at most 10 relevant items.
      users: Number of known users.
      events: Number of event lines, judgments not counted; the last request may add a few.
      seed: Same arguments, same bytes.

    Raises:
      ValueError: Fewer than 8 items, or a negative number of users or events.
    """
    _check_sizes(items=items, users=users, events=events)
    catalogue = make_items(items, seed=seed)
    people = synthetic_events.make_users(catalogue, num_users=users, seed=seed)
    queries = QueryGenerator(catalogue, seed=seed)
    returning = queries.judged_queries(ABANDONED_FORM, random.Random(f"{seed}/returning"), unseen=False)[:events]
    simulator = synthetic_events.ShopperSimulator(catalogue, people, queries, seed=seed)
    log = [*simulator.events(events - len(returning)), *_abandoned_searches(returning)]
    log.sort(key=lambda event: str(event["timestamp"]))
    judged = _judge(catalogue, people, queries, log, returning=returning, seed=seed)
    files = [*queries.media, *_item_media(catalogue, seed=seed)]
    root = Path(directory)
    media_bytes = sum(_write(root / entry.uri, media.render(entry)) for entry in files)
    _write_lines(root / "catalog.jsonl", [item.record for item in catalogue])
    _write_lines(root / "events.jsonl", [*log, *judged.events])
    _write_lines(root / "signals.jsonl", synthetic_events.make_signals(log, catalogue, seed=seed))
    _write_lines(root / "truth.jsonl", judged.ground_truth)
    _write_lines(root / "items_truth.jsonl", [item.ground_truth() for item in catalogue])
    return ShopSummary(
        directory=root,
        items=len(catalogue),
        users=len(people),
        events=len(log),
        searches=sum(event["type"] == "search" for event in log),
        judgments=len(judged.events),
        judged=judged.counts(),
        media_files=len(files),
        media_bytes=media_bytes,
    )


def _check_sizes(*, items: int, users: int, events: int) -> None:
    if items < MIN_ITEMS or users < 0 or events < 0:
        raise ValueError(
            f"A shop needs at least {MIN_ITEMS} items and no negative numbers; "
            f"got items={items}, users={users}, events={events}. Ask for more."
        )


class _Judgments(NamedTuple):
    """Judgment events, and the lines of `truth.jsonl`."""

    events: list[dict[str, Any]]
    ground_truth: list[dict[str, Any]]

    def counts(self) -> dict[str, int]:
        """Number of judged queries by "needs/form"."""
        return dict(
            sorted(collections.Counter(f"{line['needs']}/{line['form']}" for line in self.ground_truth).items())
        )


def _judge(
    items: Sequence[Item],
    users: Sequence[synthetic_events.User],
    queries: QueryGenerator,
    log: Sequence[dict[str, Any]],
    *,
    returning: Sequence[Query],
    seed: int,
) -> _Judgments:
    """Judgments after the last ordinary event."""
    rng = random.Random(f"{seed}/judged")
    cases = [_JudgedRequest.of_query(query) for form in QUERY_FORMS for query in queries.judged_queries(form, rng)]
    cases += [_JudgedRequest.of_returning(number, query) for number, query in enumerate(returning)]
    with_history = _users_with_history(users, log, limit=_num_history_queries(len(items)))
    cases += [_JudgedRequest.of_user(user) for user in with_history]
    timestamp = synthetic_events.timestamp_of(synthetic_events.LOG_DAYS * SECONDS_PER_DAY)
    judgments = _Judgments([], [])
    for number, case in enumerate(cases):
        request_id = f"judged-{number:06d}"
        for item_id in case.relevant:
            event = {"timestamp": timestamp, "event_id": f"{request_id}-{item_id}", "type": "judgment"}
            judgments.events.append(event | {"request_id": request_id, **case.fields, "item_id": item_id, "grade": 3})
        line = {"request_id": request_id, "needs": case.needs, "form": case.form}
        judgments.ground_truth.append(line | {"relevant": list(case.relevant), "wants": case.wants})
    return judgments


def _abandoned_searches(returning: Sequence[Query]) -> list[dict[str, Any]]:
    """Searches that were abandoned on the last day, by shoppers who come back after the end of the log."""
    timestamp = synthetic_events.timestamp_of((synthetic_events.LOG_DAYS - 1) * SECONDS_PER_DAY)
    return [
        {
            "timestamp": timestamp,
            "event_id": f"left-{number:06d}",
            "type": "search",
            "request_id": f"left-{number:06d}",
            "user_id": _returning_id(number),
            "query": query.record,
        }
        for number, query in enumerate(returning)
    ]


def _returning_id(number: int) -> str:
    return f"returning-{number:06d}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _JudgedRequest:
    """Judged request: `fields` are the shopper and the query of its judgment events."""

    needs: str
    form: str
    fields: dict[str, Any]
    relevant: tuple[str, ...]
    wants: dict[str, str]

    @staticmethod
    def of_query(query: Query) -> "_JudgedRequest":
        form = query.form
        fields = {"query": query.record, **({"profile": query.profile} if query.profile else {})}
        return _JudgedRequest(
            needs=form.needs, form=form.name, fields=fields, relevant=query.relevant, wants=query.wants
        )

    @staticmethod
    def of_returning(number: int, query: Query) -> "_JudgedRequest":
        fields = {"user_id": _returning_id(number)}
        return _JudgedRequest(
            needs="searches", form="searches", fields=fields, relevant=query.relevant, wants=query.wants
        )

    @staticmethod
    def of_user(user: synthetic_events.User) -> "_JudgedRequest":
        fields = {"user_id": user.user_id}
        return _JudgedRequest(needs="history", form="history", fields=fields, relevant=user.likes, wants=user.taste)


def _num_history_queries(num_items: int) -> int:
    return max(2, round(NUM_HISTORY_QUERIES * math.sqrt(min(1.0, num_items / FULL_SIZE))))


def _users_with_history(
    users: Sequence[synthetic_events.User], log: Sequence[dict[str, Any]], *, limit: int
) -> list[synthetic_events.User]:
    """The first users with at least two clicks on items of their taste."""
    likes = {user.user_id: set(user.likes) for user in users}
    clicks = collections.Counter(
        event["user_id"]
        for event in log
        if event["type"] == "click" and event["item_id"] in likes.get(event.get("user_id", ""), ())
    )
    return [user for user in users if clicks[user.user_id] >= _HISTORY_CLICKS][:limit]


def _item_media(items: Iterable[Item], *, seed: int) -> list[media.MediaSpec]:
    """The media files that the catalogue names."""
    files = []
    for item in items:
        record = item.record
        uris = [*record.get("images", []), record.get("video"), record.get("audio")]
        files += [media.media_spec(uri, values=item.latents, seed=seed) for uri in uris if uri is not None]
    return files


def _write(path: Path, data: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    _write(path, text.encode())


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(argv)
    begin = time.monotonic()
    summary = write_shop(
        options.output, items=options.items, users=options.users, events=options.events, seed=options.seed
    )
    print(
        f"{summary.directory}: {summary.items} items, {summary.users} users, {summary.events} events "
        f"({summary.searches} searches), {summary.judgments} judgments, {summary.media_files} media files "
        f"({summary.media_bytes / 1e6:.1f} MB) in {time.monotonic() - begin:.1f} s"
    )
    for name, count in summary.judged.items():
        print(f"  judged {name}: {count}")


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(description="Write a synthetic shop with known ground truth.")
    made.add_argument("--output", required=True, type=Path, help="directory to write into")
    made.add_argument("--items", type=int, default=600, help="catalogue lines")
    made.add_argument("--users", type=int, default=200, help="known users")
    made.add_argument("--events", type=int, default=42_000, help="event lines, judgments not counted")
    made.add_argument("--seed", type=int, default=7, help="same arguments, same bytes")
    return made


if __name__ == "__main__":
    main()
