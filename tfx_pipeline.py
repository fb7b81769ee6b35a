"""TFX pipeline from a shop to a published bundle; steps whose input and code did not change come from the cache.

    python tfx_pipeline.py --shop DIR --output DIR            the demo shop without --shop
    python tfx_pipeline.py --shop DIR --output DIR --refresh  the catalogue alone, without training
    python tfx_pipeline.py --compile kubeflow --shop gs://... --project P --region R --image I --root gs://...
    python tfx_pipeline.py --help

Beam's own flags (`--runner`, `--direct_num_workers`, ...) are passed to every Beam step.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TFX loads TensorFlow
from beam_preprocess.flags import beam_flags
from trainer.job.job import Job
from trainer.job.local_runner import run_with_retries
from trainer.job.logs import log_to_stdout
from trainer.job.pipeline_flags import job_from_flags, make_parser
from trainer.job.runs import BusyError, ComponentProgress, run_log, writer_lock
from trainer.job.summary import RunOutcome, summarize, summarize_refresh
from trainer.source_hash import source_hash
from trainer.spec import config as configs

NAME = "vitrine"
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
    declared = ImportSchemaGen(schema_file=job.uri_of(path))
    options = tfdv.StatsOptions(feature_allowlist=[feature.name for feature in features])
    statistics = StatisticsGen(examples=examples, stats_options=options, exclude_splits=[DAYS])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=declared.outputs["schema"], exclude_splits=[DAYS]
    )
    return {f"{side}Schema": declared, f"{side}Statistics": statistics, f"{side}Validator": validator}


def ingestion(job: Job, name: str) -> Any:
    """Returns the component `ItemsGen` or `EventsGen`; the code of the encoders counts only where it runs."""
    import beam_preprocess.component as components

    runs_encoders = name == "ItemsGen" and job.config.embedded
    code = source_hash(
        ["beam_preprocess.pipeline"],
        without_imports=["beam_preprocess.component"],
        excluded=["serving.client.client", *([] if runs_encoders else ["trainer.model.pretrained"])],
    )
    return getattr(components, name)(
        shop=job.shop, kind=job.kind, config=job.config_sections("wire", "data"), code=code, fetch=job.fetch
    )


def data_components(job: Job) -> dict[str, Any]:
    """From the shop to validated Examples and the Transform graph: {id: component}."""
    import tfx  # noqa: F401  before TFDV, which imports only then

    # isort: split
    from tfx.proto import transform_pb2
    from tfx.v1.components import ImportSchemaGen, Transform

    import beam_preprocess.component as components
    from beam_preprocess import schema

    nodes: dict[str, Any] = {"ItemsGen": ingestion(job, "ItemsGen"), "EventsGen": ingestion(job, "EventsGen")}
    for side, features in (("Items", schema.VALIDATED_ITEMS), ("Events", schema.VALIDATED_EVENTS)):
        nodes |= validation_components(job, side, nodes[f"{side}Gen"].outputs["examples"], features=features)
    nodes["Gate"] = components.SchemaGate(
        items_anomalies=nodes["ItemsValidator"].outputs["anomalies"],
        events_anomalies=nodes["EventsValidator"].outputs["anomalies"],
        code=source_hash([], without_imports=["beam_preprocess.component"]),
    )
    path = schema.write_schema(
        schema.TRANSFORMED_ITEMS, wire=job.config.wire, directory=job.output / "schema", name="transform"
    )
    nodes["TransformSchema"] = ImportSchemaGen(schema_file=job.uri_of(path))
    nodes["Transform"] = Transform(
        examples=nodes["ItemsGen"].outputs["examples"],
        schema=nodes["TransformSchema"].outputs["schema"],
        preprocessing_fn="beam_preprocess.transform.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["all"], transform=["all"]),
        materialize=False,
        disable_analyzer_cache=True,
        disable_statistics=True,
        custom_config={
            "config": job.config_sections("wire", "tower"),
            "code": source_hash(["beam_preprocess.transform"]),
        },
    )
    nodes["Transform"].add_upstream_node(nodes["Gate"])
    return nodes


def training_components(job: Job, data: Mapping[str, Any]) -> dict[str, Any]:
    """Trainer, after a Tuner where the job has trials: {id: component}."""
    import trainer.component as components
    from beam_preprocess.component import ground_truth_of

    nodes: dict[str, Any] = {}
    channels = {
        "examples": data["EventsGen"].outputs["examples"],
        "items": data["ItemsGen"].outputs["examples"],
        "transform_graph": data["Transform"].outputs["transform_graph"],
    }
    custom: dict[str, Any] = {
        "config": configs.to_dict(job.config),
        "work_dir": str(job.output / "work") if job.cloud is None else "",
        "code": source_hash(["trainer.task"], without_imports=["trainer.component"]),
    }
    if job.trials:
        from trainer.tuning.component import Tuner

        code = source_hash(["trainer.tuning.hyperparameter_search"], without_imports=["trainer.tuning.component"])
        nodes["Tuner"] = Tuner(channels=dict(channels), custom={**custom, "trials": job.trials, "code": code})
        channels["hyperparameters"] = nodes["Tuner"].outputs["best_hyperparameters"]
    truth = ground_truth_of(job.shop, kind=job.kind) if job.cloud is None else ""
    custom |= {"truth": truth, "warm_start": job.warm_start}
    if job.cloud is None:
        nodes["Trainer"] = components.Trainer(channels=channels, custom=custom)
    else:
        from trainer.managed.component import ManagedTrainer, managed_arguments

        nodes["Trainer"] = ManagedTrainer(channels=channels, custom=custom | managed_arguments(job.cloud))
    return nodes


def serving_components(job: Job, data: Mapping[str, Any], *, model: Any) -> dict[str, Any]:
    """Indexer, Evaluator, InfraValidator and Pusher: {id: component}."""
    import serving.component as components

    items, events = data["ItemsGen"].outputs["examples"], data["EventsGen"].outputs["examples"]
    nodes: dict[str, Any] = {}
    nodes["Indexer"] = components.Indexer(
        model=model,
        items=items,
        events=events,
        code=source_hash(
            ["serving.bundle.build"], without_imports=["serving.component", "serving.evaluation.eval_requests"]
        ),
    )
    bundle = nodes["Indexer"].outputs["bundle"]
    nodes["Evaluator"] = components.Evaluator(
        channels={"bundle": bundle, "items": items, "events": events},
        config=job.config_sections("wire"),
        quality_gate=job.quality_gate,
        max_requests=MAX_EVALUATED_REQUESTS,
        code=source_hash(["serving.evaluation.gate"], without_imports=["serving.component"]),
    )
    nodes["InfraValidator"] = components.InfraValidator(
        bundle=bundle,
        events=events,
        config=job.config_sections("wire"),
        code=source_hash(
            ["serving.bundle.smoke_test", "serving.server.__main__"], without_imports=["serving.component"]
        ),
    )
    nodes["Pusher"] = components.Pusher(
        channels={
            "bundle": bundle,
            "blessing": nodes["Evaluator"].outputs["blessing"],
            "infra_blessing": nodes["InfraValidator"].outputs["blessing"],
        },
        destination=job.uri_of(job.published),
        code=source_hash(["serving.bundle.publish"], without_imports=["serving.component"]),
    )
    return nodes


def refresh_components(job: Job) -> dict[str, Any]:
    """From the catalogue to a new version with the published model: {id: component}."""
    import beam_preprocess.component as components
    import serving.component as refresh
    from beam_preprocess import schema

    nodes: dict[str, Any] = {"ItemsGen": ingestion(job, "ItemsGen")}
    items = nodes["ItemsGen"].outputs["examples"]
    nodes |= validation_components(job, "Items", items, features=schema.VALIDATED_ITEMS)
    nodes["ItemsGate"] = components.ItemsSchemaGate(
        items_anomalies=nodes["ItemsValidator"].outputs["anomalies"],
        code=source_hash([], without_imports=["beam_preprocess.component"]),
    )
    nodes["Refresher"] = refresh.Refresher(
        items=items,
        destination=str(job.published),
        published=json.dumps(refresh.published_versions(job.published)),
        code=source_hash(["serving.bundle.refresh"], without_imports=["serving.component"]),
    )
    nodes["Refresher"].add_upstream_node(nodes["ItemsGate"])
    return nodes


def create_pipeline(job: Job) -> Any:
    """Returns the TFX pipeline of a job, for any runner."""
    from tfx.orchestration import metadata, pipeline

    if job.refresh:
        nodes = refresh_components(job)
    else:
        data = data_components(job)
        training = training_components(job, data)
        serving = serving_components(job, data, model=training["Trainer"].outputs["model"])
        nodes = {**data, **training, **serving}
    local = metadata.sqlite_metadata_connection_config(str(job.metadata_path)) if job.cloud is None else None
    return pipeline.Pipeline(
        pipeline_name=NAME,
        pipeline_root=job.uri_of(job.artifacts),
        components=[node.with_id(name) for name, node in nodes.items()],
        enable_cache=True,
        metadata_connection_config=local,  # a managed service keeps its own
        beam_pipeline_args=list(job.beam_args),
    )


def compile_pipeline(job: Job) -> Path:
    """Writes the KubeflowV2 specification of a job for the cloud to `pipeline.json` in its output; returns its path."""
    if job.cloud is None:
        raise ValueError("The job has no cloud to compile for; wanted one. Start with --compile kubeflow.")
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as kubeflow

    job.output.mkdir(parents=True, exist_ok=True)
    config = kubeflow.KubeflowV2DagRunnerConfig(default_image=job.cloud.image)
    runner = kubeflow.KubeflowV2DagRunner(config, output_dir=str(job.output), output_filename="pipeline.json")
    runner.run(create_pipeline(job))
    return job.output / "pipeline.json"


def run(job: Job, *, progress: ComponentProgress | None = None) -> RunOutcome:
    """Runs a job on this machine; steps that did not change since an earlier run come from the cache.

    Raises:
      BusyError: Another run writes to the same output, or the metadata store stays locked.
    """
    progress = progress or ComponentProgress()
    with writer_lock(job.output), run_log(job.log_path):
        from beam_preprocess.component import demo_shop

        if not job.shop and not job.import_args:
            shop = demo_shop(job.output / "demo_shop", code=source_hash(["beam_preprocess.synthetic.shop"]))
            job = dataclasses.replace(job, shop=str(shop), kind="records")
        job = _imported(job)
        outputs = run_with_retries(job, create_pipeline, progress=progress)
        report = None if job.refresh else write_report(job, outputs, progress=progress)
    return RunOutcome(seconds=progress.seconds, cached=frozenset(progress.cached), outputs=outputs, report=report)


def write_report(job: Job, outputs: Mapping[str, Mapping[str, Path]], *, progress: ComponentProgress) -> Path | None:
    """Writes the page about a run, unless the one that is there is about the same; None where it could not be made."""
    from serving.report import write
    from serving.report.inputs import ReportInputs

    imported = job.output / "imported" if job.kind == "imported" else None
    inputs = ReportInputs.of_run(outputs, published=job.published, imported=imported, seconds=dict(progress.seconds))
    path, key = job.report_path, inputs.key(source_hash(["serving.report.run_report"]))
    known = write.is_current(path, key=key)
    with progress.step("Report", was_cached=lambda: known):
        is_written = known or write.write_report(inputs, path, key=key)
    return path if is_written else None


def _imported(job: Job) -> Job:
    """The job on what an import of its exports wrote; the same job where its kind is read as it is."""
    from beam_preprocess.feeds.request import ImportRequest, import_parser

    options = import_parser().parse_args(job.import_args)
    request = ImportRequest.of(options, source=job.shop, kind=job.kind, fetch=json.loads(job.fetch or "{}"))
    if not request.imports:
        return job
    directory = job.output / "imported"
    request.run(directory, data=job.config.data)
    return dataclasses.replace(job, shop=str(directory), kind="imported")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 published, 1 failed, 2 wrong arguments, 3 not good enough to publish."""
    log_to_stdout()
    try:
        job = parse_job(arguments)
    except ValueError as error:
        print(error)
        return 2
    if job.cloud is not None:
        path = compile_pipeline(job)
        print(f"{path}: copy {job.output / 'schema'} to {job.cloud.root}/schema, then submit it in {job.cloud.region}.")
        return 0
    progress = ComponentProgress()
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

    references = published_results_of(job.shop, kind=job.kind)
    print(summarize(outcome, published=job.published, references=references))
    return 0 if outcome.pushed["version"] else 3


def parse_job(arguments: Sequence[str] | None = None) -> Job:
    """Returns the job of a command line.

    Raises:
      ValueError: A flag that neither this command nor Beam has, or a wrong configuration.
    """
    from beam_preprocess.feeds.request import split_import_args
    from beam_preprocess.media.web.rules import rules_from_options

    options, rest = make_parser(__doc__).parse_known_args(arguments)
    import_args, beam_args = split_import_args(rest)
    job = job_from_flags(options, beam_args=beam_args, import_args=import_args)
    rules_from_options(json.loads(job.fetch or "{}"), fetches_feeds=bool(import_args) or "://" in job.shop)
    return dataclasses.replace(job, beam_args=beam_flags(job.beam_args, beside=parser()))


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, without Beam's flags."""
    from beam_preprocess.feeds.request import add_import_flags

    made = make_parser(__doc__)
    add_import_flags(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
