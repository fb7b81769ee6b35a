"""Trains, evaluates and exports: as TFX `run_fn` and as the command line of a managed job.

Needs neither TFX nor Beam nor TFX Transform.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from serving.bundle.build import FLAVOURS, build_bundle, export_towers
from serving.remote_files import copy_folder
from trainer.evaluation.baselines import item_counts
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.report import Report
from trainer.job.environment import Service, read_service, use_cluster_spec
from trainer.job.flags import add_config_flags, config_of
from trainer.job.run_report import run_report
from trainer.job.study import report_metric
from trainer.spec.config import Config, from_json, override, to_json
from trainer.spec.training import Strategy
from trainer.tables.tables import Inputs, files_pattern, open_events
from trainer.training.checkpoint_evaluator import watch
from trainer.training.distributed.preemption import EXIT_CODE, Preempted, Preemption
from trainer.training.fit import Places, TrainedModel, fit
from trainer.training.loop import WorkerGone
from trainer.training.warm_start import Published, load_published, state_files

_KEYS = ("config", "items", "items_transform_graph", "truth", "work_dir")
_HEADLINE = ("held_out", "all", "recall@10")


def run_fn(fn_args: Any) -> None:
    """TFX Trainer's entry: trains on the event splits and exports the towers to `fn_args.serving_model_dir`.

    `metrics.json` and `metrics.txt` are written beside that folder.

    Args:
      fn_args: Read are `train_files` and `eval_files` (patterns of event Examples), `serving_model_dir`,
        `model_run_dir` (TensorBoard logs), `hyperparameters` (what a search found best, if there was one) and
        `custom_config`, a mapping or its JSON text, with the keys
          `config`                the configuration as JSON text or as a mapping,
          `items`                 pattern (or list of patterns) of the item Examples,
          `items_transform_graph` folder that Transform wrote for the items,
          `truth`                 optional, path of the planted truth of a synthetic shop,
          `warm_start`            optional, a published version to go on from,
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
        days=_patterns(custom.get("days", ())),
    )
    run_dir = pathlib.Path(fn_args.model_run_dir)
    config = from_json(config if isinstance(config, str) else json.dumps(config))
    found = getattr(fn_args, "hyperparameters", None) or {}
    config = override(config, [f"{path}={value}" for path, value in found.get("values", {}).items()])
    work_dir = pathlib.Path(custom.get("work_dir") or run_dir / "work")
    train_and_export(
        config,
        inputs,
        towers_dir=pathlib.Path(fn_args.serving_model_dir),
        work_dir=work_dir,
        log_dir=str(run_dir),
        truth_path=custom.get("truth") or None,
        places=Places(
            checkpoints=str(work_dir),
            preemption=Preemption(config.run.grace_seconds),
            published=load_published(custom["warm_start"]) if custom.get("warm_start") else None,
        ),
    )


def train_and_export(
    config: Config,
    inputs: Inputs,
    *,
    towers_dir: pathlib.Path,
    work_dir: pathlib.Path,
    log_dir: str,
    truth_path: str | None = None,
    test: tuple[str, ...] = (),
    places: Places | None = None,
) -> tuple[TrainedModel, Report] | None:
    """Fits, evaluates and exports to `towers_dir`; writes beside it what it found, and prints it.

    Beside it are written `metrics.json`, `metrics.txt`, `config.json` (the configuration as it was resolved) and
    `run.md` (one page for a person).

    Args:
      config: The configuration.
      inputs: Where the Examples are.
      towers_dir: Where the towers go.
      work_dir: Local folder for what can be made again.
      log_dir: Folder for TensorBoard.
      truth_path: Planted truth of a synthetic shop.
      test: Patterns of events for the evaluation, when it is not to be on `inputs.evaluation`.
      places: Where checkpoints go.

    Returns:
      None on the workers that do not write the model.
    """
    start = time.monotonic()
    trained = fit(config, inputs, work_dir=work_dir, log_dir=log_dir, places=places)
    if not trained.is_chief:
        return None
    fitted = time.monotonic()
    if test:
        tables = dataclasses.replace(trained.tables, evaluation=open_events(test, trained.tables, work_dir=work_dir))
        trained = dataclasses.replace(trained, tables=tables)
    report = evaluate(trained, truth_path=truth_path)
    measured = time.monotonic()
    published = places.published if places else None
    extra = state_files(trained.model, config, model_id=trained.model_id, tables=trained.tables, published=published)
    export_towers(trained.model, trained.tables.ops, towers_dir, model_id=trained.model_id, extra=extra)
    seconds = {"fit": fitted - start, "evaluate": measured - fitted, "export": time.monotonic() - measured}
    facts = {"model_id": trained.model_id, "seconds": {name: round(value, 1) for name, value in seconds.items()}}
    table = report.table()
    texts = {
        "metrics.json": json.dumps({**facts, **report.to_dict()}, indent=1) + "\n",
        "metrics.txt": table,
        "config.json": to_json(config) + "\n",
        "run.md": run_report(config, facts=facts, history=trained.history, table=table),
    }
    for name, text in texts.items():
        (towers_dir.parent / name).write_text(text, encoding="utf-8")
    timing = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    print(f"{table}\nmodel {trained.model_id[:16]}: {timing}", flush=True)
    return trained, report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 when done, 1 failed, 143 when it was asked to stop and can continue."""
    options = parser().parse_args(arguments)
    try:
        use_cluster_spec(os.environ)
        service = read_service(os.environ)
        config = config_of(options, _strategy(service))
        job = _Job.of(options, service)
        if service.task == "evaluator":
            watch(
                config,
                job.inputs,
                work_dir=job.work_dir,
                log_dir=job.log_dir,
                checkpoints=job.checkpoints,
                published=job.published,
            )
            return 0
        with Preemption(config.run.grace_seconds).listening() as preemption:
            _run(config, job, preemption=preemption)
    except Preempted as stop:
        print(f"trainer.task: {stop}", file=sys.stderr)
        return EXIT_CODE
    except (ValueError, FloatingPointError, OSError, WorkerGone, tf.errors.UnimplementedError) as error:
        print(f"trainer.task: {error}", file=sys.stderr)
        return 1
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError) as error:
        first = str(error).split("\n")[0]
        print(f"trainer.task: the other workers do not answer ({first}). Start all of them again.", file=sys.stderr)
        return 1
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Job:
    """Where everything of one job is: flags first, then the service's environment, then beside each other."""

    inputs: Inputs
    test: tuple[str, ...]
    output: str
    work_dir: pathlib.Path
    checkpoints: str
    log_dir: str
    truth: str | None
    published: Published | None
    flavours: tuple[str, ...]

    @classmethod
    def of(cls, options: argparse.Namespace, service: Service) -> "_Job":
        """The places of a command line.

        Raises:
          ValueError: Nothing says where the data or the output is.
        """
        events = options.events or (f"{options.data}/events" if options.data else "")
        training = f"{events}/train" if events else service.training
        validation = f"{events}/eval" if events else service.validation
        root = options.data or training.partition("/events/")[0]
        days = options.days or (f"{events}/days" if events else "")
        output = (options.output or service.model_dir).rstrip("/")
        for name, value, flags in (
            ("the training events", training, "--data, --events or AIP_TRAINING_DATA_URI"),
            ("the output", output, "--output or AIP_MODEL_DIR"),
        ):
            if not value:
                raise ValueError(f"Nothing says where {name} is; wanted {flags}. Set one of them.")
        remote = "://" in output
        scratch = pathlib.Path(tempfile.gettempdir()) / "vitrine-work" if remote else pathlib.Path(output) / "work"
        work_dir = pathlib.Path(options.work_dir) if options.work_dir else scratch
        return cls(
            inputs=Inputs(
                items=(options.items or f"{root}/items",),
                train=(training,),
                evaluation=(validation,) if validation else (),
                transform_graph=options.transform_graph or f"{root}/transform_graph",
                days=(days,) if days else (),
            ),
            test=(service.test,) if service.test and not events else (),
            output=output,
            work_dir=work_dir,
            checkpoints=options.checkpoint_dir or service.checkpoint_dir or str(work_dir),
            log_dir=options.log_dir or service.log_dir or f"{output}/logs",
            truth=options.truth,
            published=load_published(options.warm_start) if options.warm_start else None,
            flavours=tuple(flavour for flavour in options.flavours.split(",") if flavour),
        )


def _run(config: Config, job: _Job, *, preemption: Preemption) -> None:
    """Trains, exports towers and bundle, and reports to a study; a remote output is made locally and copied."""
    with tempfile.TemporaryDirectory() as scratch:
        local = pathlib.Path(scratch if "://" in job.output else job.output)
        local.mkdir(parents=True, exist_ok=True)
        done = train_and_export(
            config,
            job.inputs,
            towers_dir=local / "towers",
            work_dir=job.work_dir,
            log_dir=job.log_dir,
            truth_path=job.truth,
            test=job.test,
            places=Places(checkpoints=job.checkpoints, preemption=preemption, published=job.published),
        )
        if done is None:
            return
        trained, report = done
        if job.flavours:
            counts = item_counts(trained.tables.train, num_items=trained.tables.items.num_items)
            popularity = dict(zip(trained.tables.items.ids, counts.tolist(), strict=True))
            build_bundle(
                local / "towers",
                files_pattern(job.inputs.items[0]),
                local / "bundle",
                version=1,
                flavours=job.flavours,
                popularity=popularity,
                events_pattern=files_pattern(job.inputs.train[0]),
                days_pattern=files_pattern(job.inputs.days[0]) if job.inputs.days else None,
            )
        report_metric(report.value(*_HEADLINE), step=trained.history[-1]["step"] if trained.history else 0)
        if "://" in job.output:
            copy_folder(local, job.output)


def _strategy(service: Service) -> dict[str, Any]:
    """What the environment decides of the configuration."""
    return {"run": {"strategy": Strategy.MULTI_WORKER.value}} if service.num_workers > 1 else {}


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m trainer.task",
        description=f"{(__doc__ or '').split(chr(10))[0]} Places may be local or remote (gs://, s3://).",
        allow_abbrev=False,
    )
    places = made.add_argument_group("places", "each wins over the service's environment")
    places.add_argument("--data", help="folder with items/, events/train, events/eval and transform_graph/")
    places.add_argument("--items", help="folder or pattern of the item Examples; default: DATA/items")
    places.add_argument("--events", help="folder with the event Examples in train/, eval/, days/; default: DATA/events")
    places.add_argument("--days", help="folder or pattern of what was known of items on days; default: EVENTS/days")
    places.add_argument("--transform_graph", help="folder that TFX Transform wrote; default: DATA/transform_graph")
    places.add_argument("--output", help="gets towers/, bundle/, metrics, config.json, run.md; default: AIP_MODEL_DIR")
    places.add_argument("--checkpoint_dir", help="default: AIP_CHECKPOINT_DIR, else WORK_DIR")
    places.add_argument("--log_dir", help="for TensorBoard; default: AIP_TENSORBOARD_LOG_DIR, else OUTPUT/logs")
    places.add_argument("--work_dir", help="local, keeps the item store; default: OUTPUT/work, or a temporary folder")
    places.add_argument("--warm_start", help="published version (or towers) to go on from, on new days of events")
    places.add_argument("--truth", help="planted truth of a synthetic shop (truth.jsonl)")
    places.add_argument("--flavours", default=",".join(FLAVOURS), help="bundles to build; empty = towers only")
    add_config_flags(made)
    return made


def _patterns(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


if __name__ == "__main__":
    sys.exit(main())
