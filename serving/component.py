"""TFX components of serving: Indexer, Evaluator, InfraValidator, Pusher, Refresher, and their Bundle artifact.

The Evaluator is our own and measures the bundle through its `search` signature, as a shopper meets it: with index,
groups and pages. It is keyed on the last blessed bundle that differs from the one it judges, so that an unchanged run
is answered from the cache. URIs of artifacts may be remote (`serving.remote_files`).
"""

import dataclasses
import json
import os
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TFX loads TensorFlow

# isort: split
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_component, base_driver, base_executor, executor_spec
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import path_utils

from serving import remote_files
from serving.bundle_layout import BUILD_NUMBER, FLAVOURS
from trainer.spec.config import from_json

EVALUATED_FLAVOUR, SERVED_FLAVOUR = "stock", "scann"
NUM_SMOKE_TEST_QUERIES = 8
BUNDLE_VERSION, IS_BLESSED = "bundle_version", "blessed"


class Bundle(types.Artifact):
    """`stock/1` and `scann/1`: one bundle in its flavours; custom property `bundle_version` is its content id."""

    TYPE_NAME = "vitrine.Bundle"


class InfraValidationError(RuntimeError):
    """A bundle that does not serve as it should."""


@component
def Indexer(
    model: InputArtifact[standard_artifacts.Model],
    items: InputArtifact[standard_artifacts.Examples],
    events: InputArtifact[standard_artifacts.Examples],
    bundle: OutputArtifact[Bundle],
    code: Parameter[str],
) -> None:
    """Builds the bundle: towers and an index of the catalogue; the popularity of items comes from the train events."""
    del code  # part of the cache key
    from serving.bundle.build import build_bundle
    from serving.evaluation.eval_requests import count_positives

    train = _split_uri(events, "train")
    model_uri = path_utils.serving_model_path(model.uri)
    with remote_files.local_copy(model_uri) as towers_dir, remote_files.local_output(bundle.uri) as output_dir:
        report = build_bundle(
            towers_dir,
            f"{_split_uri(items, 'all')}/*",
            output_dir,
            version=BUILD_NUMBER,
            popularity=count_positives(train),
            events_pattern=f"{train}/*",
            days_pattern=f"{_split_uri(events, 'days')}/*",
        )
    bundle.set_string_custom_property(BUNDLE_VERSION, report.bundle_version)


class EvaluatorSpec(ComponentSpec):
    """Parameters, inputs and outputs of the Evaluator."""

    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "quality_gate": ExecutionParameter(type=str),
        "max_requests": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "bundle": ChannelParameter(type=Bundle),
        "items": ChannelParameter(type=standard_artifacts.Examples),
        "events": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class _KeyedDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """A driver that adds execution properties, and with them parts of the cache key."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """The execution properties to add."""
        result = driver_output_pb2.DriverOutput()
        for name, value in self.extra_properties(execution_info).items():
            result.exec_properties[name].string_value = value
        return result

    def extra_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, str]:
        """{name: value} of the properties to add."""
        raise TypeError(f"{type(self).__name__} gives no properties; wanted a `extra_properties` method of its own.")


class EvaluatorDriver(_KeyedDriver):
    """Driver of the Evaluator: finds the bundle to compare with."""

    def extra_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, str]:
        """The URI of the last blessed bundle of other content."""
        (bundle,) = execution_info.input_dict["bundle"]
        with self._metadata_handle as metadata:
            blessings = metadata.store.get_artifacts_by_type(standard_artifacts.ModelBlessing.TYPE_NAME)
        return {"baseline": _last_blessed(blessings, other_than=bundle.get_string_custom_property(BUNDLE_VERSION))}


def _last_blessed(blessings: list[metadata_store_pb2.Artifact], *, other_than: str) -> str:
    """The URI of the bundle that was blessed last and still exists, or an empty string."""
    for blessing in sorted(blessings, key=lambda artifact: artifact.id, reverse=True):
        properties = blessing.custom_properties
        uri = properties["bundle_uri"].string_value
        if (
            blessing.state == metadata_store_pb2.Artifact.LIVE
            and properties[IS_BLESSED].int_value == 1
            and properties[BUNDLE_VERSION].string_value != other_than
            and str(BUILD_NUMBER) in remote_files.list_names(f"{uri}/{EVALUATED_FLAVOUR}")
        ):
            return uri
    return ""


class EvaluatorExecutor(base_executor.BaseExecutor):
    """Executor of the Evaluator: measures the bundle and blesses it or not."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Writes `quality.json` and the blessing."""
        from serving.evaluation.gate import EvalData, QualityGate, evaluate_bundle

        bundle = artifact_utils.get_single_instance(input_dict["bundle"])
        items = artifact_utils.get_single_instance(input_dict["items"])
        events = artifact_utils.get_single_instance(input_dict["events"])
        data = EvalData(
            items=_split_uri(items, "all"),
            train=_split_uri(events, "train"),
            evaluation=_split_uri(events, "eval"),
            wire=from_json(exec_properties["config"]).wire,
            max_requests=exec_properties["max_requests"],
        )
        baseline = exec_properties["baseline"]
        quality = evaluate_bundle(
            _version_uri(bundle.uri),
            data=data,
            baseline=_version_uri(baseline) if baseline else None,
            remark="" if baseline else "no other bundle was blessed before",
        )
        problems = quality.problems(QualityGate(**json.loads(exec_properties["quality_gate"])))
        _write_json(
            f"{artifact_utils.get_single_uri(output_dict['evaluation'])}/quality.json",
            {**dataclasses.asdict(quality), "summary_line": quality.summary_line(), "problems": problems},
        )
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        _bless(blessing, "NOT_BLESSED" if problems else "BLESSED", blessed=not problems)
        blessing.set_string_custom_property("bundle_uri", bundle.uri)
        blessing.set_string_custom_property(BUNDLE_VERSION, bundle.get_string_custom_property(BUNDLE_VERSION))


class Evaluator(base_component.BaseComponent):
    """Blesses a bundle that passes the quality gate: minimum recall, popularity, and the last blessed bundle."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(EvaluatorExecutor)
    DRIVER_CLASS = EvaluatorDriver

    def __init__(self, *, channels: dict[str, types.BaseChannel], **parameters: Any) -> None:
        """`channels` are the inputs by name, `parameters` those of `EvaluatorSpec`."""
        super().__init__(spec=EvaluatorSpec(**channels, **parameters, **_outputs(EvaluatorSpec)))


@component
def InfraValidator(
    bundle: InputArtifact[Bundle],
    events: InputArtifact[standard_artifacts.Examples],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    config: Parameter[str],
    code: Parameter[str],
) -> None:
    """Smoke test: serves the bundle in a process of its own and queries it over both protocols.

    A failure raises, so that it is not kept in the cache: the next run validates again.
    """
    del code  # part of the cache key
    from serving.bundle.smoke_test import run_smoke_test
    from serving.evaluation.eval_requests import read_eval_requests

    requests = read_eval_requests(_split_uri(events, "eval"), wire=from_json(config).wire, limit=NUM_SMOKE_TEST_QUERIES)
    with remote_files.local_copy(f"{bundle.uri}/{SERVED_FLAVOUR}") as base_path:
        result = run_smoke_test(base_path, queries=[request.query for request in requests])
    if result.problems:
        raise InfraValidationError(
            "The bundle does not serve as it should; nothing was published.\n"
            + "\n".join(f"  {problem}" for problem in result.problems)
            + "\nThe end of the server's log stands above; fix it, then start the run again."
        )
    _bless(blessing, "INFRA_BLESSED", blessed=True)


class PusherSpec(ComponentSpec):
    """Parameters, inputs and outputs of the Pusher."""

    PARAMETERS = {"destination": ExecutionParameter(type=str), "code": ExecutionParameter(type=str)}
    INPUTS = {
        "bundle": ChannelParameter(type=Bundle),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS = {"pushed": ChannelParameter(type=standard_artifacts.PushedModel)}


class PusherDriver(_KeyedDriver):
    """Driver of the Pusher: keys on what is published, so that a version that was removed is published again."""

    def extra_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, str]:
        """The versions at the destination now."""
        return {"published": json.dumps(published_versions(execution_info.exec_properties["destination"]))}


def published_versions(destination: str | os.PathLike[str]) -> list[str]:
    """Returns `flavour/number content` of the newest version of each flavour."""
    from serving.bundle.publish import newest_version, read_manifest

    found = []
    for flavour in FLAVOURS:
        newest = newest_version(f"{destination}/{flavour}")
        if newest:
            content = read_manifest(f"{destination}/{flavour}/{newest}").get(BUNDLE_VERSION, "unknown")
            found.append(f"{flavour}/{newest} {content}")
    return found


class PusherExecutor(base_executor.BaseExecutor):
    """Executor of the Pusher: publishes a blessed bundle."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Publishes unless it is the newest already; writes `pushed.json`."""
        from serving.bundle.publish import publish

        blessings = [artifact_utils.get_single_instance(input_dict[key]) for key in ("blessing", "infra_blessing")]
        pushed = artifact_utils.get_single_instance(output_dict["pushed"])
        destination = exec_properties["destination"]
        version, is_new = 0, False
        if all(blessing.get_int_custom_property(IS_BLESSED) == 1 for blessing in blessings):
            before = published_versions(destination)
            with remote_files.local_copy(artifact_utils.get_single_uri(input_dict["bundle"])) as bundle_dir:
                version = publish(bundle_dir, destination)
            is_new = published_versions(destination) != before
        pushed.set_int_custom_property("pushed", int(is_new))
        _write_json(f"{pushed.uri}/pushed.json", {"version": version, "new": is_new})


class Pusher(base_component.BaseComponent):
    """Publishes a bundle by rename, only when it is blessed twice; the newest version is not published again."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PusherExecutor)
    DRIVER_CLASS = PusherDriver

    def __init__(self, *, channels: dict[str, types.BaseChannel], destination: str, code: str) -> None:
        """`channels` are the inputs by name."""
        spec = PusherSpec(**channels, destination=destination, code=code, **_outputs(PusherSpec))
        super().__init__(spec=spec)


@component
def Refresher(
    items: InputArtifact[standard_artifacts.Examples],
    bundle: OutputArtifact[Bundle],
    pushed: OutputArtifact[standard_artifacts.PushedModel],
    destination: Parameter[str],
    published: Parameter[str],
    code: Parameter[str],
) -> None:
    """Publishes the newest bundle of `destination` again with the catalogue of today, once it serves; no training."""
    del published, code  # parts of the cache key
    from serving.bundle.publish import local_newest, publish
    from serving.bundle.refresh import refresh_bundle
    from serving.bundle.smoke_test import run_smoke_test

    version = 0
    with local_newest(destination) as bundle_dir, remote_files.local_output(bundle.uri) as output_dir:
        report = refresh_bundle(bundle_dir, f"{_split_uri(items, 'all')}/*", output_dir)
        if report.changed:
            result = run_smoke_test(output_dir / SERVED_FLAVOUR, queries=[])
            if result.problems:
                raise InfraValidationError(
                    "The refreshed bundle does not serve as it should; nothing was published.\n"
                    + "\n".join(f"  {problem}" for problem in result.problems)
                )
            version = publish(output_dir, destination)
    bundle.set_string_custom_property(BUNDLE_VERSION, report.bundle_version)
    counts = {key: value for key, value in dataclasses.asdict(report).items() if key != "paths"}
    pushed.set_int_custom_property("pushed", int(report.changed))
    _write_json(f"{pushed.uri}/pushed.json", {**counts, "version": version, "new": report.changed})


def _outputs(spec: type[ComponentSpec]) -> dict[str, types.BaseChannel]:
    return {key: types.Channel(type=output.type) for key, output in spec.OUTPUTS.items()}


def _split_uri(examples: types.Artifact, name: str) -> str:
    return str(artifact_utils.get_split_uri([examples], name))


def _version_uri(bundle_uri: str) -> str:
    return f"{bundle_uri}/{EVALUATED_FLAVOUR}/{BUILD_NUMBER}"


def _bless(blessing: types.Artifact, name: str, *, blessed: bool) -> None:
    """Leaves the file and the property that TFX's own components look for."""
    blessing.set_int_custom_property(IS_BLESSED, int(blessed))
    remote_files.write_text(f"{blessing.uri}/{name}", "")


def _write_json(path: str, value: Any) -> None:
    remote_files.write_text(path, json.dumps(value, indent=1))
