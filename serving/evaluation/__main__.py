"""`python -m serving.evaluation`: recall@10 of a bundle on recorded events, beside popularity and chance.

    python -m serving.evaluation --bundle runs/model/bundle/stock/1 --data runs/data

The quality gate of the pipeline measures the same and has the same limits; judged queries have a command of their own,
`python -m serving.evaluation.judgments`.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.evaluation.gate import Quality, Requirement, Trial, measure
from serving.manifest import MANIFEST_PATH
from trainer.spec.config import Config, from_dict

MAX_REQUESTS = 1000
BELOW_REQUIREMENT = 3


def recorded_data(bundle: str | Path, data_dir: str | Path, *, max_requests: int = MAX_REQUESTS) -> Trial:
    """Returns the recorded events of a directory that `python -m beam_preprocess` wrote, in the bundle's wire form.

    Raises:
      ValueError: The folder is no bundle.
    """
    path, root = Path(bundle) / MANIFEST_PATH, Path(data_dir)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{bundle} has no readable {MANIFEST_PATH}; wanted the folder of one version.") from error
    return Trial(
        items=root / "items",
        train=root / "events" / "train",
        evaluation=root / "events" / "eval",
        wire=from_dict(manifest["config"], Config()).wire,
        max_requests=max_requests,
    )


def evaluate_bundle(bundle: str | Path, data: Trial, *, baseline: str | Path | None = None) -> Quality:
    """Measures a bundle on recorded events, and another one, `baseline`, on the same requests."""
    remark = "" if baseline else "no other bundle was given"
    return measure(Path(bundle), trial=data, baseline=Path(baseline) if baseline else None, remark=remark)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; returns 0 when the bundle reaches what is required, 3 when not, 1 when it failed."""
    options = parser().parse_args(arguments)
    try:
        data = recorded_data(options.bundle, options.data, max_requests=options.max_requests)
        quality = evaluate_bundle(options.bundle, data, baseline=options.baseline)
    except (ValueError, OSError) as error:
        print(f"python -m serving.evaluation: {error}", file=sys.stderr)
        return 1
    faults = quality.faults(
        Requirement(
            min_recall=options.min_recall,
            min_lift_over_popularity=options.min_lift_over_popularity,
            max_regression=options.max_regression,
        )
    )
    print(json.dumps({**dataclasses.asdict(quality), "faults": faults}) if options.json else quality.sentence())
    for fault in faults:
        print(fault, file=sys.stderr)
    return BELOW_REQUIREMENT if faults else 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m serving.evaluation", description=(__doc__ or "").split("\n")[0], allow_abbrev=False
    )
    made.add_argument("--bundle", type=Path, required=True, help="folder of one version, such as bundle/stock/1")
    made.add_argument("--data", type=Path, required=True, help="folder with items/, events/train/ and events/eval/")
    made.add_argument("--baseline", type=Path, help="folder of the version to compare with")
    made.add_argument("--max_requests", type=int, default=MAX_REQUESTS, help="a fixed sample (default: %(default)s)")
    made.add_argument("--min_recall", type=float, default=0.0, help="required recall@10 (default: %(default)s)")
    made.add_argument(
        "--min_lift_over_popularity",
        type=float,
        default=-1.0,
        help="required above popularity's; -1 requires nothing (default: %(default)s)",
    )
    made.add_argument("--max_regression", type=float, default=0.03, help="allowed loss (default: %(default)s)")
    made.add_argument("--json", action="store_true", help="print every figure as one line of JSON")
    return made


if __name__ == "__main__":
    sys.exit(main())
