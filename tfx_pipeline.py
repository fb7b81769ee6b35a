"""The main job: a shop in, a published bundle out; steps whose input and code did not change come from the cache.

    python tfx_pipeline.py --shop DIR --output DIR            the demo shop without --shop
    python tfx_pipeline.py --shop DIR --output DIR --refresh  the catalogue alone, without training
    python tfx_pipeline.py --compile kubeflow --shop gs://... --project P --region R --image I --root gs://...
    python tfx_pipeline.py --help

Beam's own flags (`--runner`, `--direct_num_workers`, ...) are passed on to every Beam step.
"""

import argparse
import dataclasses
import datetime
import functools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TFX loads TensorFlow
from beam_preprocess.flags import beam_flags
from trainer.job.cloud import Cloud
from trainer.job.job import Job
from trainer.job.runs import BusyError, Progress, run_log, wait_for_database, writer_lock
from trainer.job.summary import Outcome, summarize, summarize_refresh
from trainer.source_hash import source_hash
from trainer.spec import config as configs
from trainer.spec.presets import PRESETS, preset

NAME = "vitrine"
KINDS = ("shop", "grocery", "chorus", "online_retail", "clothing_reviews", "spoken_digits")
DATABASE_SECONDS = 60.0
ATTEMPTS = 4
MAX_EVALUATED_REQUESTS = 1000


def validation_components(job: Job, side: str, examples: Any, *, features: Sequence[Any]) -> dict[str, Any]:
    """Statistics, schema and comparison of the two for one side, `Items` or `Events`: {id: component}.

    The days of items, which lie beside the events, are derived from what is looked at here.
    """
    import tfx  # noqa: F401  before TFDV, which imports only then

    # isort: split
    import tensorflow_data_validation as tfdv
    from tfx.v1.components import ExampleValidator, ImportSchemaGen, StatisticsGen

    from beam_preprocess import schema
    from beam_preprocess.events.splits import DAYS

    path = schema.write_schema(features, wire=job.config.wire, directory=job.output / "schema", name=side.lower())
    declared = ImportSchemaGen(schema_file=job.located(path))
    options = tfdv.StatsOptions(feature_allowlist=[feature.name for feature in features])
    statistics = StatisticsGen(examples=examples, stats_options=options, exclude_splits=[DAYS])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=declared.outputs["schema"], exclude_splits=[DAYS]
    )
    return {f"{side}Schema": declared, f"{side}Statistics": statistics, f"{side}Validator": validator}


def ingestion(job: Job, name: str) -> Any:
    """The component `ItemsGen` or `EventsGen`; the code of the encoders counts only where it runs."""
    import beam_preprocess.component as beam_components

    runs_encoders = name == "ItemsGen" and job.config.embedded
    code = source_hash(
        ["beam_preprocess.pipeline"],
        alone=["beam_preprocess.component"],
        without=["serving.client.client", *([] if runs_encoders else ["trainer.model.pretrained"])],
    )
    return getattr(beam_components, name)(shop=job.shop, kind=job.kind, config=job.config_of("wire", "data"), code=code)


def data_components(job: Job) -> dict[str, Any]:
    """From the shop to checked Examples and the Transform graph: {id: component}."""
    import tfx  # noqa: F401  before TFDV, which imports only then

    # isort: split
    from tfx.proto import transform_pb2
    from tfx.v1.components import ImportSchemaGen, Transform

    import beam_preprocess.component as beam_components
    from beam_preprocess import schema

    nodes: dict[str, Any] = {"ItemsGen": ingestion(job, "ItemsGen"), "EventsGen": ingestion(job, "EventsGen")}
    for side, features in (("Items", schema.VALIDATED_ITEMS), ("Events", schema.VALIDATED_EVENTS)):
        nodes |= validation_components(job, side, nodes[f"{side}Gen"].outputs["examples"], features=features)
    nodes["Gate"] = beam_components.SchemaGate(
        items_anomalies=nodes["ItemsValidator"].outputs["anomalies"],
        events_anomalies=nodes["EventsValidator"].outputs["anomalies"],
        code=source_hash([], alone=["beam_preprocess.component"]),
    )
    path = schema.write_schema(
        schema.TRANSFORMED_ITEMS, wire=job.config.wire, directory=job.output / "schema", name="transform"
    )
    nodes["TransformSchema"] = ImportSchemaGen(schema_file=job.located(path))
    nodes["Transform"] = Transform(
        examples=nodes["ItemsGen"].outputs["examples"],
        schema=nodes["TransformSchema"].outputs["schema"],
        preprocessing_fn="beam_preprocess.transform.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["all"], transform=["all"]),
        materialize=False,
        disable_analyzer_cache=True,
        disable_statistics=True,
        custom_config={
            "config": job.config_of("wire", "tower"),
            "code": source_hash(["beam_preprocess.transform"]),
        },
    )
    nodes["Transform"].add_upstream_node(nodes["Gate"])
    return nodes


def model_components(job: Job, data: Mapping[str, Any]) -> dict[str, Any]:
    """From Examples to a published bundle: {id: component}."""
    import serving.component as serving_components
    import trainer.component as training
    from beam_preprocess.component import ground_truth_of

    items, events = data["ItemsGen"].outputs["examples"], data["EventsGen"].outputs["examples"]
    nodes: dict[str, Any] = {}
    channels = {
        "examples": events,
        "items": items,
        "transform_graph": data["Transform"].outputs["transform_graph"],
    }
    custom: dict[str, Any] = {
        "config": configs.to_dict(job.config),
        "work_dir": str(job.output / "work") if job.cloud is None else "",
        "code": source_hash(["trainer.task"], alone=["trainer.component"]),
    }
    if job.trials:
        from trainer.tuning.component import Tuner

        code = source_hash(["trainer.tuning.hyperparameter_search"], alone=["trainer.tuning.component"])
        nodes["Tuner"] = Tuner(channels=dict(channels), custom={**custom, "trials": job.trials, "code": code})
        channels["hyperparameters"] = nodes["Tuner"].outputs["best_hyperparameters"]
    custom |= {
        "truth": ground_truth_of(job.shop, kind=job.kind) if job.cloud is None else "",
        "warm_start": job.warm_start,
    }
    if job.cloud is None:
        nodes["Trainer"] = training.Trainer(channels=channels, custom=custom)
    else:
        from trainer.managed.component import ManagedTrainer, managed_arguments

        nodes["Trainer"] = ManagedTrainer(channels=channels, custom=custom | managed_arguments(job.cloud))
    nodes["Indexer"] = serving_components.Indexer(
        model=nodes["Trainer"].outputs["model"],
        items=items,
        events=events,
        code=source_hash(["serving.bundle.build"], alone=["serving.component", "serving.evaluation.eval_requests"]),
    )
    bundle = nodes["Indexer"].outputs["bundle"]
    nodes["Evaluator"] = serving_components.Evaluator(
        channels={"bundle": bundle, "items": items, "events": events},
        config=job.config_of("wire"),
        quality_gate=job.quality_gate,
        max_requests=MAX_EVALUATED_REQUESTS,
        code=source_hash(["serving.evaluation.gate"], alone=["serving.component"]),
    )
    nodes["InfraValidator"] = serving_components.InfraValidator(
        bundle=bundle,
        events=events,
        config=job.config_of("wire"),
        code=source_hash(["serving.bundle.smoke_test", "serving.server.__main__"], alone=["serving.component"]),
    )
    nodes["Pusher"] = serving_components.Pusher(
        channels={
            "bundle": bundle,
            "blessing": nodes["Evaluator"].outputs["blessing"],
            "infra_blessing": nodes["InfraValidator"].outputs["blessing"],
        },
        destination=job.located(job.published),
        code=source_hash(["serving.bundle.publish"], alone=["serving.component"]),
    )
    return nodes


def refresh_components(job: Job) -> dict[str, Any]:
    """From the catalogue to a new version with the model as it is: {id: component}."""
    import beam_preprocess.component as beam_components
    import serving.component as serving_components
    from beam_preprocess import schema

    nodes: dict[str, Any] = {"ItemsGen": ingestion(job, "ItemsGen")}
    items = nodes["ItemsGen"].outputs["examples"]
    nodes |= validation_components(job, "Items", items, features=schema.VALIDATED_ITEMS)
    nodes["ItemsGate"] = beam_components.ItemsSchemaGate(
        items_anomalies=nodes["ItemsValidator"].outputs["anomalies"],
        code=source_hash([], alone=["beam_preprocess.component"]),
    )
    nodes["Refresher"] = serving_components.Refresher(
        items=items,
        destination=str(job.published),
        published=json.dumps(serving_components.published_versions(job.published)),
        code=source_hash(["serving.bundle.refresh"], alone=["serving.component"]),
    )
    nodes["Refresher"].add_upstream_node(nodes["ItemsGate"])
    return nodes


def create_pipeline(job: Job) -> Any:
    """The TFX pipeline of a job, for any runner."""
    from tfx.orchestration import metadata, pipeline

    if job.refresh:
        nodes = refresh_components(job)
    else:
        data = data_components(job)
        nodes = {**data, **model_components(job, data)}
    local = metadata.sqlite_metadata_connection_config(str(job.metadata_path)) if job.cloud is None else None
    return pipeline.Pipeline(
        pipeline_name=NAME,
        pipeline_root=job.located(job.artifacts),
        components=[node.with_id(name) for name, node in nodes.items()],
        enable_cache=True,
        metadata_connection_config=local,  # a managed service keeps its own
        beam_pipeline_args=list(job.beam_args),
    )


def compile_pipeline(job: Job) -> Path:
    """Writes the KubeflowV2 specification of a job for the cloud to `pipeline.json` in its output; returns its path."""
    if job.cloud is None:
        raise ValueError("The job names no cloud to compile for; wanted one. Start with --compile kubeflow.")
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as kubeflow

    job.output.mkdir(parents=True, exist_ok=True)
    config = kubeflow.KubeflowV2DagRunnerConfig(default_image=job.cloud.image)
    runner = kubeflow.KubeflowV2DagRunner(config, output_dir=str(job.output), output_filename="pipeline.json")
    runner.run(create_pipeline(job))
    return job.output / "pipeline.json"


def run_components(pipeline: Any, *, progress: Progress, metadata_path: Path) -> None:
    """Lets the local runner run the components one by one, under one run id, so that each can be timed and named."""
    from tfx.dsl.compiler import compiler, constants
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.portable import runtime_parameter_utils

    from trainer.job.metadata import was_cached

    compiled = compiler.Compiler().compile(pipeline)
    run_id = {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now(datetime.UTC).isoformat()}
    runtime_parameter_utils.substitute_runtime_parameter(compiled, run_id)
    for chosen in compiled.nodes:
        for node in compiled.nodes:
            node.pipeline_node.execution_options.ClearField("skip")
            if node is not chosen:
                node.pipeline_node.execution_options.skip.SetInParent()
        with progress.step(chosen.pipeline_node.node_info.id, was_cached=lambda: was_cached(metadata_path)):
            LocalDagRunner().run_with_ir(compiled)


def run(job: Job, *, progress: Progress | None = None) -> Outcome:
    """Runs a job on this machine; what did not change since an earlier run, finished or killed, is not done again.

    Raises:
      BusyError: Another run writes to the same output, or the metadata store stays locked.
    """
    progress = progress or Progress()
    with writer_lock(job.output), run_log(job.log_path):
        from beam_preprocess.component import demo_shop
        from trainer.job.metadata import outputs_of_last_run, recover, was_locked

        if not job.shop:
            shop = demo_shop(job.output / "demo_shop", code=source_hash(["beam_preprocess.synthetic.shop"]))
            job = dataclasses.replace(job, shop=str(shop))
        for attempt in range(1, ATTEMPTS + 1):
            wait_for_database(job.metadata_path, seconds=DATABASE_SECONDS, say=progress.say)
            recovered = recover(job.metadata_path, artifacts=job.artifacts)
            if recovered:
                progress.say(f"Continuing after a run that was stopped ({recovered} unfinished steps cleared).")
            try:
                run_components(create_pipeline(job), progress=progress, metadata_path=job.metadata_path)
                break
            except Exception as error:
                if attempt == ATTEMPTS or not was_locked(error):
                    raise
                progress.say(f"The metadata store was locked by another program; trying again ({attempt}).")
                time.sleep(2.0**attempt)
        outputs = outputs_of_last_run(job.metadata_path)
    return Outcome(seconds=progress.seconds, cached=frozenset(progress.cached), outputs=outputs)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 published, 1 failed, 2 wrong arguments, 3 not good enough to publish."""
    options, rest = parser().parse_known_args(arguments)
    try:
        job = job_of(options, beam_args=rest)
    except ValueError as error:
        print(error)
        return 2
    if job.cloud is not None:
        path = compile_pipeline(job)
        print(f"{path}: copy {job.output / 'schema'} to {job.cloud.root}/schema, then submit it in {job.cloud.region}.")
        return 0
    progress = Progress(say=functools.partial(print, flush=True))
    progress.say(f"Vitrine: {job.shop or 'the demo shop'} -> {job.output}\nLoading TFX; its log is {job.log_path}")
    try:
        outcome = run(job, progress=progress)
    except BusyError as error:
        print(error)
        return 1
    except Exception as error:
        print(f"\n{progress.running or 'The run'} failed: {error}\nThe log is {job.log_path}; start again to continue.")
        return 1
    if job.refresh:
        print(summarize_refresh(outcome, published=job.published))
        return 0
    from beam_preprocess.component import published_results_of

    references = published_results_of(job.shop, kind=job.kind) if job.shop else ()
    print(summarize(outcome, published=job.published, references=references))
    return 0 if outcome.pushed["version"] else 3


def parser() -> argparse.ArgumentParser:
    """The command line's own flags; Beam's come beside them."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.allow_abbrev = False
    made.add_argument("--shop", default="", help="folder or address of the shop; the embedded one when left out")
    made.add_argument("--kind", default="shop", choices=KINDS, help="layout of the shop's files")
    made.add_argument("--preset", default="base", choices=sorted(PRESETS), help="configuration to start from")
    made.add_argument("--config", type=Path, help="JSON file with what differs from the preset")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for example train.epochs=3")
    made.add_argument("--output", type=Path, default=Path("runs/demo"), help="everything is written below it")
    made.add_argument(
        "--refresh", action="store_true", help="only the catalogue, with the model of the newest published version"
    )
    made.add_argument("--min_recall", type=float, default=0.0, help="publish only at or above this recall@10")
    made.add_argument(
        "--min_lift_over_popularity", type=float, default=0.0, help="... and more than this above popularity's"
    )
    made.add_argument("--max_regression", type=float, default=0.03, help="allowed loss against the last blessed bundle")
    made.add_argument("--warm_start", default="", help="published version to go on from, on new days of events")
    made.add_argument("--trials", type=int, default=0, help="points of the search space to try before training")
    cloud = made.add_argument_group("compiling", "writes OUTPUT/pipeline.json for a managed service; runs nothing")
    cloud.add_argument("--compile", choices=["kubeflow"], help="the specification to write")
    for name, text in (
        ("project", "project that pays"),
        ("region", "region of jobs and data"),
        ("image", "container image with the project and its `pipeline` extra"),
        ("machine", "machine type of the training job"),
        ("root", "remote folder for everything the pipeline writes"),
    ):
        cloud.add_argument(f"--{name}", default="n2-standard-16" if name == "machine" else "", help=text)
    return made


def job_of(options: argparse.Namespace, *, beam_args: Sequence[str]) -> Job:
    """The job that the command line asks for.

    Raises:
      ValueError: A flag that neither we nor Beam know, or a wrong configuration.
    """
    cloud = None
    if options.compile:
        cloud = Cloud(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Cloud)})
        if "://" not in options.shop:
            raise ValueError(f"--shop is {options.shop!r}; Dataflow needs a remote one, such as gs://bucket/shop.")
    flags = beam_flags([*cloud.beam_args(), *beam_args] if cloud else beam_args, beside=parser())
    config = preset(options.preset)
    if options.config:
        config = configs.from_json(options.config.read_text(encoding="utf-8"), config)
    config = configs.override(config, options.set)
    local = options.shop and "://" not in options.shop
    return Job(
        shop=str(Path(options.shop).resolve()) if local else options.shop,
        kind=options.kind,
        config=config,
        output=options.output.resolve(),
        refresh=options.refresh,
        min_recall=options.min_recall,
        min_lift_over_popularity=options.min_lift_over_popularity,
        max_regression=options.max_regression,
        beam_args=flags,
        warm_start=str(Path(options.warm_start).resolve()) if options.warm_start and not cloud else options.warm_start,
        trials=options.trials,
        cloud=cloud,
    )


if __name__ == "__main__":
    sys.exit(main())
