"""`python -m serving.bundle`: builds the bundles of exported towers and a catalogue of Examples.

python -m serving.bundle --towers runs/model/towers --data runs/data --output runs/model/bundle
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.bundle.build import FLAVOURS, BundleReport, build_bundle
from serving.evaluation.eval_requests import count_positives


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleData:
    """The folders of Examples that a bundle is built from; events and days may be absent.

    Attributes:
      items: Item Examples, the whole catalogue.
      events: Train events: popularity for empty queries, and reviews; "" leaves both out.
      days: Item-day Examples; "" leaves out what changes from day to day.
    """

    items: str
    events: str = ""
    days: str = ""


def data_of(data_dir: str | Path) -> BundleData:
    """Returns the folders of a directory that `python -m beam_preprocess` wrote."""
    root = str(data_dir).rstrip("/")
    return BundleData(items=f"{root}/items", events=f"{root}/events/train", days=f"{root}/events/days")


def build(
    towers_dir: str | Path,
    data: BundleData,
    output_dir: str | Path,
    *,
    version: int = 1,
    flavours: Sequence[str] = FLAVOURS,
) -> BundleReport:
    """Builds `<output_dir>/<flavour>/<version>` for each flavour from folders of Examples.

    Raises:
      ValueError: As `build_bundle`.
      RuntimeError: As `build_bundle`.
    """
    return build_bundle(
        towers_dir,
        f"{data.items}/*.tfrecord",
        output_dir,
        version=version,
        flavours=flavours,
        popularity=count_positives(data.events) if data.events else None,
        events_pattern=f"{data.events}/*.tfrecord" if data.events else None,
        days_pattern=f"{data.days}/*.tfrecord" if data.days else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds and prints the report as one line of JSON; returns 0 when built, 1 otherwise."""
    options = parser().parse_args(arguments)
    data = data_of(options.data) if options.data else BundleData(items="")
    given = {name: value for name in ("items", "events", "days") if (value := getattr(options, name)) is not None}
    data = dataclasses.replace(data, **given)
    if not data.items:
        print("python -m serving.bundle: no items are named; wanted --data or --items.", file=sys.stderr)
        return 1
    try:
        report = build(
            options.towers, data, options.output, version=options.version, flavours=options.flavours.split(",")
        )
    except (ValueError, RuntimeError, OSError) as error:
        print(f"python -m serving.bundle: {error}", file=sys.stderr)
        return 1
    print(json.dumps({**dataclasses.asdict(report), "paths": {key: str(path) for key, path in report.paths.items()}}))
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m serving.bundle", description=(__doc__ or "").split("\n")[0], allow_abbrev=False
    )
    made.add_argument("--towers", type=Path, required=True, help="folder of the exported towers")
    made.add_argument("--data", help="folder with items/, events/train/ and events/days/")
    made.add_argument("--items", help="folder of the item Examples; default: DATA/items")
    made.add_argument("--events", help="folder of the train events; default: DATA/events/train; empty = none")
    made.add_argument("--days", help="folder of the item-day Examples; default: DATA/events/days; empty = none")
    made.add_argument("--output", type=Path, required=True, help="gets FLAVOUR/VERSION")
    made.add_argument("--version", type=int, default=1, help="name of the folders (default: %(default)s)")
    made.add_argument("--flavours", default=",".join(FLAVOURS), help="bundles to build (default: %(default)s)")
    return made


if __name__ == "__main__":
    sys.exit(main())
