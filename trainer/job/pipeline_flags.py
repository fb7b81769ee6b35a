"""Flags of the pipeline's command line, and the job that they describe."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from trainer.job.cloud import Cloud
from trainer.job.fetch_flags import add_fetch_flags, fetch_json
from trainer.job.job import Job
from trainer.spec import config as configs
from trainer.spec.config import Config
from trainer.spec.presets import PRESETS, preset


def make_parser(description: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser of the command line's own flags, without Beam's."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--shop", default="", help="folder, export or address; the embedded shop when left out")
    parser.add_argument("--kind", default="auto", help="kind of its files: of export, or of a public data set")
    parser.add_argument("--preset", default="base", choices=sorted(PRESETS), help="configuration to start from")
    parser.add_argument("--config", type=Path, help="JSON file with what differs from the preset")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for example train.epochs=3")
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="everything is written below it")
    parser.add_argument(
        "--refresh", action="store_true", help="only the catalogue, with the model of the newest published version"
    )
    parser.add_argument("--min_recall", type=float, default=0.0, help="publish only at or above this recall@10")
    parser.add_argument(
        "--min_lift_over_popularity",
        type=float,
        default=0.0,
        help="... and more than this above popularity's; -1 requires nothing",
    )
    parser.add_argument("--max_regression", type=float, default=0.03, help="allowed loss against the last blessed one")
    parser.add_argument("--warm_start", default="", help="published version to start from, on new days of events")
    parser.add_argument("--trials", type=int, default=0, help="trials of the hyper-parameter search before training")
    add_fetch_flags(parser)
    _add_cloud_flags(parser)
    return parser


def _add_cloud_flags(parser: argparse.ArgumentParser) -> None:
    cloud = parser.add_argument_group("compiling", "writes OUTPUT/pipeline.json for a managed service; runs nothing")
    cloud.add_argument("--compile", choices=["kubeflow"], help="the specification to write")
    for name, text in (
        ("project", "project that pays"),
        ("region", "region of jobs and data"),
        ("image", "container image with the project and its `pipeline` extra"),
        ("machine", "machine type of the training job"),
        ("root", "remote folder for everything the pipeline writes"),
    ):
        cloud.add_argument(f"--{name}", default="n2-standard-16" if name == "machine" else "", help=text)


def job_from_flags(
    options: argparse.Namespace, *, beam_args: Sequence[str] = (), import_args: Sequence[str] = ()
) -> Job:
    """Returns the job of parsed flags, with the Beam flags of its cloud before `beam_args`.

    Raises:
      ValueError: A wrong configuration, or flags that a compiled pipeline needs are missing.
    """
    cloud = None
    if options.compile:
        cloud = Cloud(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Cloud)})
        if options.fetch_media and "://" not in options.media_cache:
            raise ValueError(
                f"--media_cache is {options.media_cache!r}; Dataflow's workers share a remote one, such as gs://bucket/media."
            )
        if "://" not in options.shop:
            raise ValueError(f"--shop is {options.shop!r}; Dataflow needs a remote one, such as gs://bucket/shop.")
    return Job(
        shop=options.shop if "://" in options.shop else _absolute(options.shop),
        kind=options.kind,
        config=_config_from_flags(options),
        output=options.output.resolve(),
        refresh=options.refresh,
        min_recall=options.min_recall,
        min_lift_over_popularity=options.min_lift_over_popularity,
        max_regression=options.max_regression,
        beam_args=(*(cloud.beam_args() if cloud else ()), *beam_args),
        warm_start=options.warm_start if cloud or "://" in options.warm_start else _absolute(options.warm_start),
        fetch=fetch_json(options),
        trials=options.trials,
        import_args=tuple(import_args),
        cloud=cloud,
    )


def _config_from_flags(options: argparse.Namespace) -> Config:
    config = preset(options.preset)
    if options.config:
        config = configs.from_json(options.config.read_text(encoding="utf-8"), config)
    return configs.override(config, options.set)


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if path else ""
