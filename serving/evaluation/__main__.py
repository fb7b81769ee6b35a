"""`python -m serving.evaluation`: recall@10 of a bundle on recorded events, beside popularity and chance.

    python -m serving.evaluation --bundle runs/model/bundle/stock/1 --data runs/data

Leaves `report.html`, one page about data, model and answers, in `--output`.
The quality gate of the pipeline measures the same and has the same limits; judged queries have a command of their own,
`python -m serving.evaluation.judgments`.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from serving import remote_files
from serving.evaluation.gate import EvalData, Quality, QualityGate, evaluate_bundle
from serving.manifest import MANIFEST_PATH
from serving.report.inputs import ReportInputs
from serving.report.write import REPORT_NAME, write_report
from trainer.spec.config import Config, WireConfig, from_dict

MAX_REQUESTS = 1000
BELOW_REQUIREMENT = 3
NO_GATE = QualityGate(min_recall=0.0, min_lift_over_popularity=-1.0, max_regression=1.0)


def evaluate(
    bundle: str | Path,
    data_dir: str | Path,
    *,
    baseline: str | Path | None = None,
    max_requests: int = MAX_REQUESTS,
    output_dir: str | Path | None = None,
    gate: QualityGate = NO_GATE,
) -> Quality:
    """Measures a bundle on the recorded eval events of a directory that `python -m beam_preprocess` wrote.

    Args:
      bundle: Folder of one version.
      data_dir: Holds items/, events/train/ and events/eval/.
      baseline: Folder of another version, measured on the same requests.
      max_requests: At most this many requests, a fixed sample.
      output_dir: Gets report.html; `data_dir` when None, no report when "".
      gate: Thresholds whose failures the report names.

    Raises:
      ValueError: The folder is no bundle.
    """
    data = EvalData(
        items=f"{data_dir}/items",
        train=f"{data_dir}/events/train",
        evaluation=f"{data_dir}/events/eval",
        wire=_wire_of(str(bundle)),
        max_requests=max_requests,
    )
    remark = "" if baseline else "no other bundle was given"
    quality = evaluate_bundle(str(bundle), data=data, baseline=str(baseline) if baseline else None, remark=remark)
    folder = str(data_dir if output_dir is None else output_dir).rstrip("/")
    if folder:
        figures = {**dataclasses.asdict(quality), "summary_line": quality.summary_line()}
        figures["problems"] = quality.problems(gate)
        places = [str(place or "").rstrip("/") for place in (bundle, data_dir, baseline)]
        write_report(ReportInputs.of_data(*places, quality=figures), f"{folder}/{REPORT_NAME}")
    return quality


def _wire_of(bundle: str) -> WireConfig:
    try:
        manifest = json.loads(remote_files.read_bytes(f"{bundle}/{MANIFEST_PATH}"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{bundle} has no readable {MANIFEST_PATH}; wanted the folder of one version.") from error
    return from_dict(manifest["config"], Config()).wire


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; returns 0 when the bundle reaches what is required, 3 when not, 1 when it failed."""
    options = parser().parse_args(arguments)
    gate = QualityGate(
        min_recall=options.min_recall,
        min_lift_over_popularity=options.min_lift_over_popularity,
        max_regression=options.max_regression,
    )
    try:
        quality = evaluate(
            options.bundle,
            options.data,
            baseline=options.baseline,
            max_requests=options.max_requests,
            output_dir=options.output,
            gate=gate,
        )
    except (ValueError, OSError) as error:
        print(f"python -m serving.evaluation: {error}", file=sys.stderr)
        return 1
    problems = quality.problems(gate)
    print(json.dumps({**dataclasses.asdict(quality), "problems": problems}) if options.json else quality.summary_line())
    for problem in problems:
        print(problem, file=sys.stderr)
    return BELOW_REQUIREMENT if problems else 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m serving.evaluation", description=(__doc__ or "").split("\n")[0], allow_abbrev=False
    )
    made.add_argument("--bundle", required=True, help="folder of one version, such as bundle/stock/1")
    made.add_argument("--data", required=True, help="folder with items/, events/train/ and events/eval/")
    made.add_argument("--baseline", help="folder of the version to compare with")
    made.add_argument("--output", help="folder that gets report.html; default: DATA; empty = no report")
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
