"""Training task: trains, evaluates and exports, as TFX `run_fn` and as the command line of a managed job.

Needs neither TFX nor Beam nor TFX Transform.
"""

import argparse
import dataclasses
import json
import logging
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from serving.bundle.build import FLAVOURS, build_bundle, export_towers
from serving.remote_files import is_remote, local_output
from trainer.evaluation.baselines import item_counts
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.report import Report
from trainer.job.environment import ServiceEnvironment, read_service_environment, use_cluster_spec
from trainer.job.flags import add_config_flags, config_from_flags
from trainer.job.logs import log_to_stdout
from trainer.job.run_report import run_report
from trainer.job.study import report_metric
from trainer.spec.config import Config, from_json, override, to_json
from trainer.spec.training import Strategy
from trainer.tables.open import DatasetPaths, open_events
from trainer.training.checkpoint_evaluator import evaluate_checkpoints
from trainer.training.distributed.preemption import EXIT_CODE, Preempted, Preemption
from trainer.training.fit import RunPaths, TrainedModel, fit
from trainer.training.loop import WorkerLostError
from trainer.training.warm_start import PublishedModel, load_published_model, warm_start_files

_LOG = logging.getLogger("trainer.task")  # by name: as a command line this module is `__main__`
_REQUIRED_KEYS = ("config", "items", "items_transform_graph")
_HEADLINE = ("held_out", "all", "recall@10")


def run_fn(fn_args: Any) -> None:
    """Entry point of TFX's Trainer: trains on the event splits and exports the towers to `fn_args.serving_model_dir`.

    `metrics.json`, `metrics.txt` and `curves.json` are written beside that folder. All folders may be remote.

    Args:
      fn_args: Read are `train_files` and `eval_files` (patterns of event Examples), `serving_model_dir`,
        `model_run_dir` (TensorBoard logs), `hyperparameters` (the best of a search, if there was one) and
        `custom_config`, a mapping or its JSON text, with the keys
          `config`                the configuration as JSON text or as a mapping,
          `items`                 pattern (or list of patterns) of the item Examples,
          `items_transform_graph` folder that Transform wrote for the items,
          `truth`                 optional, path of the planted truth of a synthetic shop,
          `warm_start`            optional, a published version to start from,
          `work_dir`              optional, local folder that outlives this execution, for tables and checkpoints, so
                                  that a run that was killed resumes. Default: in `model_run_dir`.
        Other keys are ignored.

    Raises:
      ValueError: A required key is missing.
    """
    custom = _custom_config(fn_args)
    run_dir = str(fn_args.model_run_dir).rstrip("/")
    work_dir = str(custom.get("work_dir") or f"{run_dir}/work")
    model_dir, _, name = str(fn_args.serving_model_dir).rstrip("/").rpartition("/")
    config = _resolved_config(custom["config"], getattr(fn_args, "hyperparameters", None) or {})
    published = load_published_model(custom["warm_start"]) if custom.get("warm_start") else None
    preemption = Preemption(config.run.grace_seconds)
    with local_output(model_dir) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        train_and_export(
            config,
            _dataset_paths(fn_args, custom),
            towers_dir=folder / name,
            work_dir=_local_folder(work_dir),
            log_dir=run_dir,
            truth_path=custom.get("truth") or None,
            paths=RunPaths(checkpoints=work_dir, preemption=preemption, published=published),
        )


def _custom_config(fn_args: Any) -> Mapping[str, Any]:
    given = fn_args.custom_config or {}
    custom: Mapping[str, Any] = json.loads(given) if isinstance(given, str) else given
    missing = [key for key in _REQUIRED_KEYS if not custom.get(key)]
    if missing:
        raise ValueError(
            f"custom_config of the Trainer lacks {missing}; got {sorted(custom)}. Pass them in the pipeline."
        )
    return custom


def _dataset_paths(fn_args: Any, custom: Mapping[str, Any]) -> DatasetPaths:
    return DatasetPaths(
        items=_patterns(custom["items"]),
        train=_patterns(fn_args.train_files),
        evaluation=_patterns(fn_args.eval_files),
        transform_graph=str(custom["items_transform_graph"]),
        days=_patterns(custom.get("days", ())),
    )


def _resolved_config(config: str | Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> Config:
    """The configuration, with the best values of a search."""
    parsed = from_json(config if isinstance(config, str) else json.dumps(config))
    return override(parsed, [f"{path}={value}" for path, value in hyperparameters.get("values", {}).items()])


class TrainingResult(NamedTuple):
    """A trained model and its evaluation."""

    trained: TrainedModel
    report: Report


def train_and_export(
    config: Config,
    inputs: DatasetPaths,
    *,
    towers_dir: pathlib.Path,
    work_dir: pathlib.Path,
    log_dir: str,
    truth_path: str | None = None,
    test: tuple[str, ...] = (),
    paths: RunPaths | None = None,
) -> TrainingResult | None:
    """Fits, evaluates and exports to `towers_dir`; writes the reports beside it and logs them.

    Reports: `metrics.json` and `curves.json`, which go with the towers too, `metrics.txt`, `config.json` and `run.md`.

    Args:
      config: The configuration.
      inputs: Patterns of the Examples.
      towers_dir: Local folder for the towers.
      work_dir: Local folder for tables, which can be built again.
      log_dir: Folder for TensorBoard.
      truth_path: Planted truth of a synthetic shop.
      test: Patterns of the events of the evaluation, where they are not `inputs.evaluation`.
      paths: Checkpoints and warm start.

    Returns:
      None on the workers that do not write the model.
    """
    start = time.monotonic()
    trained = fit(config, inputs, work_dir=work_dir, log_dir=log_dir, paths=paths)
    if not trained.is_chief:
        return None
    fitted = time.monotonic()
    trained = _with_test_events(trained, test, work_dir=work_dir)
    report = evaluate(trained, truth_path=truth_path)
    evaluated = time.monotonic()
    _export(trained, report, towers_dir, published=paths.published if paths else None)
    seconds = {"fit": fitted - start, "evaluate": evaluated - fitted, "export": time.monotonic() - evaluated}
    _write_reports(towers_dir.parent, trained, report, seconds=seconds)
    return TrainingResult(trained, report)


def _with_test_events(trained: TrainedModel, test: tuple[str, ...], *, work_dir: pathlib.Path) -> TrainedModel:
    if not test:
        return trained
    evaluation = open_events(test, trained.tables, work_dir=work_dir)
    return dataclasses.replace(trained, tables=dataclasses.replace(trained.tables, evaluation=evaluation))


def _export(
    trained: TrainedModel, report: Report, towers_dir: pathlib.Path, *, published: PublishedModel | None
) -> None:
    """Exports the towers with the files of a later warm start, and their evaluation, which goes with the bundle."""
    model, config, model_id = trained.model, trained.config, trained.model_id
    extra = warm_start_files(model, config, model_id=model_id, tables=trained.tables, published=published)
    extra |= {name: text.encode() for name, text in report.files(model_id=model_id).items()}
    export_towers(model, trained.tables.ops, towers_dir, model_id=model_id, extra=extra)


def _write_reports(
    folder: pathlib.Path, trained: TrainedModel, report: Report, *, seconds: Mapping[str, float]
) -> None:
    config, model_id, table = trained.config, trained.model_id, report.table()
    facts = {"model_id": model_id, "seconds": {name: round(value, 1) for name, value in seconds.items()}}
    texts = {
        **report.files(**facts),
        "metrics.txt": table,
        "config.json": to_json(config) + "\n",
        "run.md": run_report(config, facts=facts, history=trained.history, table=table),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    timing = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    _LOG.info("%s\nmodel %s: %s", table, model_id[:16], timing)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 when done, 1 failed, 143 when it was asked to stop and can resume."""
    options = parser().parse_args(arguments)
    log_to_stdout()
    try:
        use_cluster_spec(os.environ)
        service = read_service_environment(os.environ)
        config = config_from_flags(options, _strategy(service))
        job = _Job.from_options(options, service)
        if service.task == "evaluator":
            evaluate_checkpoints(
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
    except (ValueError, FloatingPointError, OSError, WorkerLostError, tf.errors.UnimplementedError) as error:
        print(f"trainer.task: {error}", file=sys.stderr)
        return 1
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError) as error:
        first = str(error).split("\n")[0]
        print(f"trainer.task: the other workers do not answer ({first}). Start all of them again.", file=sys.stderr)
        return 1
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Job:
    """Paths of one training job: from flags, else the service's environment, else relative to each other."""

    inputs: DatasetPaths
    test: tuple[str, ...]
    output: str
    work_dir: pathlib.Path
    checkpoints: str
    log_dir: str
    truth: str | None
    published: PublishedModel | None
    flavours: tuple[str, ...]

    @classmethod
    def from_options(cls, options: argparse.Namespace, service: ServiceEnvironment) -> "_Job":
        """Returns the job of parsed flags.

        Raises:
          ValueError: The location of the data or the output is missing.
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
                raise ValueError(f"The location of {name} is missing; wanted {flags}. Set one of them.")
        work_dir = pathlib.Path(options.work_dir) if options.work_dir else _local_folder(f"{output}/work")
        return cls(
            inputs=DatasetPaths(
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
            published=load_published_model(options.warm_start) if options.warm_start else None,
            flavours=tuple(flavour for flavour in options.flavours.split(",") if flavour),
        )


def _run(config: Config, job: _Job, *, preemption: Preemption) -> None:
    """Trains, exports towers and bundles, and reports to a study."""
    with local_output(job.output) as local:
        local.mkdir(parents=True, exist_ok=True)
        result = train_and_export(
            config,
            job.inputs,
            towers_dir=local / "towers",
            work_dir=job.work_dir,
            log_dir=job.log_dir,
            truth_path=job.truth,
            test=job.test,
            paths=RunPaths(checkpoints=job.checkpoints, preemption=preemption, published=job.published),
        )
        if result is None:
            return
        if job.flavours:
            _build_bundles(job, result.trained, folder=local)
        history = result.trained.history
        report_metric(result.report.value(*_HEADLINE), step=history[-1]["step"] if history else 0)


def _build_bundles(job: _Job, trained: TrainedModel, *, folder: pathlib.Path) -> None:
    counts = item_counts(trained.tables.train, num_items=trained.tables.items.num_items)
    build_bundle(
        folder / "towers",
        job.inputs.items[0],
        folder / "bundle",
        version=1,
        flavours=job.flavours,
        popularity=dict(zip(trained.tables.items.ids, counts.tolist(), strict=True)),
        events_pattern=job.inputs.train[0],
        days_pattern=job.inputs.days[0] if job.inputs.days else None,
    )


def _local_folder(path: str) -> pathlib.Path:
    """`path`, or a temporary folder that outlives this process where it is remote."""
    return pathlib.Path(tempfile.gettempdir()) / "vitrine-work" if is_remote(path) else pathlib.Path(path)


def _strategy(service: ServiceEnvironment) -> dict[str, Any]:
    """The part of the configuration that the environment determines."""
    return {"run": {"strategy": Strategy.MULTI_WORKER.value}} if service.num_workers > 1 else {}


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m trainer.task",
        description=f"{(__doc__ or '').split(chr(10))[0]} Paths may be local or remote (gs://, s3://).",
        allow_abbrev=False,
    )
    paths = made.add_argument_group("paths", "each wins over the service's environment")
    paths.add_argument("--data", help="folder with items/, events/train, events/eval and transform_graph/")
    paths.add_argument("--items", help="folder or pattern of the item Examples; default: DATA/items")
    paths.add_argument("--events", help="folder with the event Examples in train/, eval/, days/; default: DATA/events")
    paths.add_argument("--days", help="folder or pattern of the item days; default: EVENTS/days")
    paths.add_argument("--transform_graph", help="folder that TFX Transform wrote; default: DATA/transform_graph")
    paths.add_argument("--output", help="gets towers/, bundle/, metrics, config.json, run.md; default: AIP_MODEL_DIR")
    paths.add_argument("--checkpoint_dir", help="default: AIP_CHECKPOINT_DIR, else WORK_DIR")
    paths.add_argument("--log_dir", help="for TensorBoard; default: AIP_TENSORBOARD_LOG_DIR, else OUTPUT/logs")
    paths.add_argument("--work_dir", help="local, keeps the item store; default: OUTPUT/work, or a temporary folder")
    paths.add_argument("--warm_start", help="published version (or towers) to start from, on new days of events")
    paths.add_argument("--truth", help="planted truth of a synthetic shop (truth.jsonl)")
    paths.add_argument("--flavours", default=",".join(FLAVOURS), help="bundles to build; empty = towers only")
    add_config_flags(made)
    return made


def _patterns(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


if __name__ == "__main__":
    sys.exit(main())
