"""TFX components of preprocessing: ingestion of items and of events, the schema gate, and the demo shop.

The two ingesting components are keyed on a fingerprint of their own input's content, so that new events do not redo
the catalogue. Transform is TFX's own, with `beam_preprocess.transform.preprocessing_fn`.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_beam_component, base_beam_executor, base_driver, executor_spec
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from beam_preprocess import sharded_writer
from beam_preprocess.events.splits import DAYS, SPLITS
from trainer.pseudonyms import user_keys
from trainer.spec.config import from_json

EXAMPLES, REPORT = "examples", "report"
DEMO_SHOP = {"items": 600, "users": 200, "events": 42_000, "seed": 7}


class IngestReport(types.Artifact):
    """Report of one ingestion: counts in `summary.json` and `summary.txt`, and the dead letters."""

    TYPE_NAME = "vitrine.IngestReport"


class GateVerdict(types.Artifact):
    """Verdict of the schema gate; `verdict.txt` is written only when no anomaly was found."""

    TYPE_NAME = "vitrine.GateVerdict"


class AnomalyError(RuntimeError):
    """Data that does not fit the declared features."""


class IngestSpec(ComponentSpec):
    """Parameters and outputs of both ingesting components."""

    PARAMETERS = {
        "shop": ExecutionParameter(type=str),
        "kind": ExecutionParameter(type=str),
        "config": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
        "fetch": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        EXAMPLES: ChannelParameter(type=standard_artifacts.Examples),
        REPORT: ChannelParameter(type=IngestReport),
    }


class _FingerprintDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Driver that adds the fingerprint of the component's own input to its cache key."""

    side = ""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns the execution properties to add."""
        from beam_preprocess import pipeline

        properties = execution_info.exec_properties
        source = _source(properties)
        found = pipeline.input_fingerprint(source, self.side, from_json(properties["config"]))
        if self.side == "events":
            found += hashlib.sha256(b"user key" + user_keys().key).hexdigest()[:16]
        result = driver_output_pb2.DriverOutput()
        result.exec_properties["fingerprint"].string_value = found
        return result


class ItemsDriver(_FingerprintDriver):
    """Cache key of items: the catalogue and its media."""

    side = "items"


class EventsDriver(_FingerprintDriver):
    """Cache key of events: the events, their media, and the key of the user hashes."""

    side = "events"


class ItemsExecutor(base_beam_executor.BaseBeamExecutor):
    """Executor that writes the item Examples, one split."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Runs the Beam pipeline of the items."""
        from beam_preprocess.pipeline import ingest_items

        (directory,) = _split_uris(output_dict, ("all",)).values()
        with _Report(output_dict) as report:
            report.summaries["items"] = ingest_items(
                _source(exec_properties),
                config=from_json(exec_properties["config"]),
                output_dir=directory,
                dead_letter_path=report.dead_letters("items"),
                beam_options=self._beam_pipeline_args,
            )


class EventsExecutor(base_beam_executor.BaseBeamExecutor):
    """Executor that writes event Examples by split and the records of item days, and checks the signals."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Runs the Beam pipelines of the events and of the signals, where there are any."""
        from beam_preprocess.pipeline import ingest_events, ingest_signals

        source, beam_args = _source(exec_properties), self._beam_pipeline_args
        directories = _split_uris(output_dict, (*SPLITS, DAYS))
        with _Report(output_dict) as report:
            report.summaries["events"] = ingest_events(
                source,
                config=from_json(exec_properties["config"]),
                output_dirs=directories,
                dead_letter_path=report.dead_letters("events"),
                beam_options=beam_args,
            )
            if source.shards("signals"):
                report.summaries["signals"] = ingest_signals(
                    source, dead_letter_path=report.dead_letters("signals"), beam_options=beam_args
                )


def _source(properties: Mapping[str, Any]) -> Any:
    from beam_preprocess.media.web.rules import rules_from_options
    from beam_preprocess.sources import open_source

    rules = rules_from_options(json.loads(properties.get("fetch") or "{}"), fetches_feeds=True)
    return open_source(properties["shop"], kind=properties["kind"], fetch=rules)


def _split_uris(output_dict: Mapping[str, Any], splits: tuple[str, ...]) -> dict[str, str]:
    """{split: URI}, local or remote; names and format of the splits are set on the artifact."""
    examples = artifact_utils.get_single_instance(output_dict[EXAMPLES])
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    return {split: artifact_utils.get_split_uri([examples], split) for split in splits}


class _Report:
    """Summaries and dead letters of one execution.

    TFX removes the outputs of an execution that fails, so dead letters lie beside the report until it succeeds: the
    message of a failure can then point to them.
    """

    def __init__(self, output_dict: Mapping[str, Any]) -> None:
        self._uri = artifact_utils.get_single_uri(output_dict[REPORT]).rstrip("/")
        self.summaries: dict[str, Any] = {}

    def dead_letters(self, record: str) -> str:
        """Returns the path or address for the dead letters of a record type."""
        return f"{self._uri}-{record}.jsonl"

    def __enter__(self) -> "_Report":
        """Starts an execution."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Writes the report of an execution that succeeded."""
        if kind is not None:
            return
        counts = {record: dict(summary.counts) for record, summary in self.summaries.items()}
        tables = "".join(f"{summary.table()}\n" for summary in self.summaries.values())
        sharded_writer.write_file(f"{self._uri}/summary.json", json.dumps(counts, indent=1, sort_keys=True).encode())
        sharded_writer.write_file(f"{self._uri}/summary.txt", tables.encode())
        for record in self.summaries:
            sharded_writer.move_file(self.dead_letters(record), f"{self._uri}/{record}.jsonl")


class _Ingest(base_beam_component.BaseBeamComponent):
    """Base of the ingesting components."""

    SPEC_CLASS = IngestSpec

    def __init__(self, *, shop: str, kind: str, config: str, code: str, fetch: str = "") -> None:
        """`config`: the JSON of what ingestion depends on; `code`: a hash of its source; `fetch`: flags of fetching."""
        channels = {key: types.Channel(type=output.type) for key, output in IngestSpec.OUTPUTS.items()}
        super().__init__(spec=IngestSpec(shop=shop, kind=kind, config=config, code=code, fetch=fetch, **channels))


class ItemsGen(_Ingest):
    """Component that writes the catalogue of a shop as Examples of one split, `all`."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ItemsExecutor)
    DRIVER_CLASS = ItemsDriver


class EventsGen(_Ingest):
    """Component that writes the events of a shop as Examples: `train`, `eval`, and `days`, the records of item days."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(EventsExecutor)
    DRIVER_CLASS = EventsDriver


def describe_anomalies(uri: str, *, subject: str) -> list[str]:
    """Returns one line for each anomaly of an ExampleAnomalies artifact."""
    lines = []
    for folder in sorted(name.rstrip("/") for name in tf.io.gfile.listdir(uri) if name.startswith("Split-")):
        split = folder.removeprefix("Split-")
        with tf.io.gfile.GFile(f"{uri}/{folder}/SchemaDiff.pb", "rb") as file:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read())
        if anomalies.HasField("dataset_anomaly_info"):
            lines.append(f"{subject}/{split}: {anomalies.dataset_anomaly_info.description}")
        for feature, info in sorted(anomalies.anomaly_info.items()):
            lines.append(f"{subject}/{split}, feature {feature!r}: {info.short_description}: {info.description}")
    return lines


@component
def SchemaGate(
    items_anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    events_anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    verdict: OutputArtifact[GateVerdict],
    code: Parameter[str],
) -> None:
    """Stops the run when items or events do not fit the declared features."""
    lines = describe_anomalies(items_anomalies.uri, subject="items")
    _pass_or_raise(lines + describe_anomalies(events_anomalies.uri, subject="events"), verdict.uri, code=code)


@component
def ItemsSchemaGate(
    items_anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    verdict: OutputArtifact[GateVerdict],
    code: Parameter[str],
) -> None:
    """Stops the run when the items do not fit the declared features; for runs that read the catalogue alone."""
    _pass_or_raise(describe_anomalies(items_anomalies.uri, subject="items"), verdict.uri, code=code)


def _pass_or_raise(lines: list[str], verdict_uri: str, *, code: str) -> None:
    """Writes the verdict, or raises with the anomalies."""
    if lines:
        raise AnomalyError(
            f"The data does not fit the declared features ({len(lines)} anomalies); nothing was trained or published.\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nFix the shop's data, or the declaration in trainer/spec/feature_list.py, and start the run again."
        )
    sharded_writer.write_file(f"{verdict_uri.rstrip('/')}/verdict.txt", f"No anomalies.\ncode {code}\n".encode())


def ground_truth_of(shop: str, *, kind: str) -> str:
    """Returns the path of a synthetic shop's ground truth, "" without one; the events' fingerprint covers it."""
    from beam_preprocess.sources import open_source

    return str(open_source(shop, kind=kind).ground_truth_path or "")


def published_results_of(shop: str, *, kind: str) -> tuple[str, ...]:
    """Returns figures that others reach on a public data set; none for a shop of one's own."""
    from beam_preprocess.sources import SOURCES, open_source

    return open_source(shop, kind=kind).published_results if shop and kind in SOURCES else ()


def demo_shop(directory: Path, *, code: str) -> Path:
    """Writes the demo shop to `directory` unless it is there already, whole and by the same generator."""
    from beam_preprocess.synthetic.shop import write_shop

    marker, wanted = directory / ".complete", json.dumps({**DEMO_SHOP, "code": code})
    if not (marker.exists() and marker.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(directory, ignore_errors=True)
        write_shop(directory, **DEMO_SHOP)
        marker.write_text(wanted, encoding="utf-8")
    return directory
