"""Trains, evaluates and exports the towers: as TFX `run_fn` and as the command line of a managed job.

Needs neither TFX nor Beam nor TFX Transform.
"""

import argparse
import json
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from serving.export import export_towers
from trainer.data import Inputs
from trainer.evaluate import evaluate
from trainer.report import Report
from trainer.spec import presets
from trainer.spec.config import Config, from_json, override, to_json
from trainer.train import fit

_KEYS = ("config", "items", "items_transform_graph", "truth", "work_dir")


def run_fn(fn_args: Any) -> None:
    """TFX Trainer's entry: trains on the event splits and exports the towers to `fn_args.serving_model_dir`.

    `metrics.json` and `metrics.txt` are written beside that folder.

    Args:
      fn_args: Read are `train_files` and `eval_files` (patterns of event Examples), `serving_model_dir`,
        `model_run_dir` (TensorBoard logs) and `custom_config`, a mapping or its JSON text, with the keys
          `config`                the configuration as JSON text or as a mapping,
          `items`                 pattern (or list of patterns) of the item Examples,
          `items_transform_graph` folder that Transform wrote for the items,
          `truth`                 optional, path of the planted truth of a synthetic shop,
          `work_dir`              optional, local folder that outlives this execution: item store and checkpoints are
                                  kept there, so that a run that was killed continues. Default: in `model_run_dir`.
        Other keys are left alone.

    Raises:
      ValueError: A key that is needed is not there.
    """
    given = fn_args.custom_config or {}
    custom: Mapping[str, Any] = json.loads(given) if isinstance(given, str) else given
    missing = [key for key in _KEYS[:3] if not custom.get(key)]
    if missing:
        raise ValueError(
            f"custom_config of the Trainer lacks {missing}; got {sorted(custom)}. Pass them in the pipeline."
        )
    config = custom["config"]
    inputs = Inputs(
        items=_patterns(custom["items"]),
        train=_patterns(fn_args.train_files),
        evaluation=_patterns(fn_args.eval_files),
        transform_graph=str(custom["items_transform_graph"]),
    )
    run_dir = pathlib.Path(fn_args.model_run_dir)
    train_and_export(
        from_json(config if isinstance(config, str) else json.dumps(config)),
        inputs,
        towers_dir=pathlib.Path(fn_args.serving_model_dir),
        work_dir=pathlib.Path(custom.get("work_dir") or run_dir / "work"),
        log_dir=run_dir,
        truth_path=custom.get("truth") or None,
    )


def train_and_export(
    config: Config,
    inputs: Inputs,
    *,
    towers_dir: pathlib.Path,
    work_dir: pathlib.Path,
    log_dir: pathlib.Path,
    truth_path: str | None = None,
) -> Report:
    """Fits, evaluates and exports to `towers_dir`; writes `metrics.json` and `metrics.txt` beside it, prints them."""
    start = time.monotonic()
    trained = fit(config, inputs, work_dir=work_dir, log_dir=log_dir)
    fitted = time.monotonic()
    report = evaluate(trained, truth_path=truth_path)
    measured = time.monotonic()
    export_towers(trained.model, trained.tables.ops, towers_dir, model_id=trained.model_id)
    seconds = {"fit": fitted - start, "evaluate": measured - fitted, "export": time.monotonic() - measured}
    facts = {"model_id": trained.model_id, "seconds": {name: round(value, 1) for name, value in seconds.items()}}
    beside = towers_dir.parent
    (beside / "metrics.json").write_text(json.dumps({**facts, **report.to_dict()}, indent=1) + "\n", encoding="utf-8")
    (beside / "metrics.txt").write_text(report.table(), encoding="utf-8")
    timing = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    print(f"{report.table()}\nmodel {trained.model_id[:16]}: {timing}", flush=True)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    output = pathlib.Path(options.output)
    try:
        config = _config(options)
        output.mkdir(parents=True, exist_ok=True)
        (output / "config.json").write_text(to_json(config) + "\n", encoding="utf-8")
        train_and_export(
            config,
            Inputs(
                items=(options.items,),
                train=(f"{options.events}/train",),
                evaluation=(f"{options.events}/eval",),
                transform_graph=options.transform_graph,
            ),
            towers_dir=output / "towers",
            work_dir=pathlib.Path(options.work_dir or output / "work"),
            log_dir=output / "logs",
            truth_path=options.truth,
        )
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"trainer.task: {error}", file=sys.stderr)
        return 1
    return 0


def _config(options: argparse.Namespace) -> Config:
    config = presets.preset(options.preset)
    if options.config:
        config = from_json(pathlib.Path(options.config).read_text(encoding="utf-8"), config)
    return override(config, options.set)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.task", description=__doc__.split("\n")[0])
    parser.add_argument("--items", required=True, help="folder or pattern of the item Examples")
    parser.add_argument("--events", required=True, help="folder with the event Examples in train/ and eval/")
    parser.add_argument("--transform_graph", required=True, help="folder that TFX Transform wrote")
    parser.add_argument("--output", required=True, help="gets towers/, metrics.json, metrics.txt, config.json, logs/")
    parser.add_argument("--work_dir", help="keeps item store and checkpoints; default: OUTPUT/work")
    parser.add_argument("--truth", help="planted truth of a synthetic shop (truth.jsonl)")
    parser.add_argument("--preset", default="base", help=f"one of {', '.join(presets.PRESETS)}")
    parser.add_argument("--config", help="JSON file of configuration keys that differ from the preset")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for example train.epochs=3")
    return parser


def _patterns(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


if __name__ == "__main__":
    sys.exit(main())
