"""The doors of serving into TFX: Indexer, Evaluator, serving check, Pusher, Refresher, and the Bundle between them.

The Evaluator is our own and measures the bundle through its `search` signature, as a shopper meets it: with index,
groups and pages. It is keyed on the last blessed bundle that differs from the one it judges, so that an unchanged run
is answered from the cache.
"""

import dataclasses
import json
from pathlib import Path
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

from trainer.spec.config import from_json

BUILD_NUMBER = 1  # The folder of a bundle before publishing gives it its version.
EVALUATED_FLAVOUR, SERVED_FLAVOUR = "stock", "scann"
NUM_SMOKE_TEST_QUERIES = 8
BUNDLE_VERSION, IS_BLESSED = "bundle_version", "blessed"


class Bundle(types.Artifact):
    """`stock/1` and `scann/1`: one bundle in its flavours; custom property `bundle_version` is its content id."""

    TYPE_NAME = "vitrine.Bundle"


class InfraValidationError(RuntimeError):
    """The bundle does not serve as it should."""


@component
def Indexer(
    model: InputArtifact[standard_artifacts.Model],
    items: InputArtifact[standard_artifacts.Examples],
    events: InputArtifact[standard_artifacts.Examples],
    bundle: OutputArtifact[Bundle],
    code: Parameter[str],
) -> None:
    """Wraps the towers with the index of the catalogue; the popularity of items comes from the train events."""
    del code  # Part of the cache key.
    from serving.bundle.build import build_bundle
    from serving.evaluation.eval_requests import count_positives

    report = build_bundle(
        path_utils.serving_model_path(model.uri),
        f"{_split(items, 'all')}/*",
        bundle.uri,
        version=BUILD_NUMBER,
        popularity=count_positives(_split(events, "train")),
        events_pattern=f"{_split(events, 'train')}/*",
        days_pattern=f"{_split(events, 'days')}/*",
    )
    bundle.set_string_custom_property(BUNDLE_VERSION, report.bundle_version)


class EvaluatorSpec(ComponentSpec):
    """What the Evaluator takes and gives."""

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
    """Finds the bundle to compare with."""

    def extra_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, str]:
        """Where the last blessed bundle of other content lies."""
        (bundle,) = execution_info.input_dict["bundle"]
        with self._metadata_handle as metadata:
            blessings = metadata.store.get_artifacts_by_type(standard_artifacts.ModelBlessing.TYPE_NAME)
        return {"baseline": _last_blessed(blessings, other_than=bundle.get_string_custom_property(BUNDLE_VERSION))}


def _last_blessed(blessings: list[metadata_store_pb2.Artifact], *, other_than: str) -> str:
    """The path of the bundle that was blessed last and still exists, or an empty string."""
    for blessing in sorted(blessings, key=lambda artifact: artifact.id, reverse=True):
        properties = blessing.custom_properties
        path = properties["bundle_uri"].string_value
        if (
            blessing.state == metadata_store_pb2.Artifact.LIVE
            and properties[IS_BLESSED].int_value == 1
            and properties[BUNDLE_VERSION].string_value != other_than
            and (Path(path) / EVALUATED_FLAVOUR / str(BUILD_NUMBER)).is_dir()
        ):
            return path
    return ""


class EvaluatorExecutor(base_executor.BaseExecutor):
    """Measures the bundle and blesses it or not."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Writes `quality.json` and the blessing."""
        from serving.evaluation.gate import EvalData, QualityGate, evaluate_bundle

        bundle = artifact_utils.get_single_instance(input_dict["bundle"])
        items = artifact_utils.get_single_instance(input_dict["items"])
        events = artifact_utils.get_single_instance(input_dict["events"])
        trial = EvalData(
            items=_split(items, "all"),
            train=_split(events, "train"),
            evaluation=_split(events, "eval"),
            wire=from_json(exec_properties["config"]).wire,
            max_requests=exec_properties["max_requests"],
        )
        baseline = exec_properties["baseline"]
        quality = evaluate_bundle(
            _version(bundle.uri, EVALUATED_FLAVOUR),
            trial=trial,
            baseline=_version(baseline, EVALUATED_FLAVOUR) if baseline else None,
            remark="" if baseline else "no other bundle was blessed before",
        )
        problems = quality.problems(QualityGate(**json.loads(exec_properties["quality_gate"])))
        evaluation = Path(artifact_utils.get_single_uri(output_dict["evaluation"]))
        _write_json(
            evaluation / "quality.json",
            {**dataclasses.asdict(quality), "summary_line": quality.summary_line(), "problems": problems},
        )
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        _bless(blessing, "NOT_BLESSED" if problems else "BLESSED", blessed=not problems)
        blessing.set_string_custom_property("bundle_uri", bundle.uri)
        blessing.set_string_custom_property(BUNDLE_VERSION, bundle.get_string_custom_property(BUNDLE_VERSION))


class Evaluator(base_component.BaseComponent):
    """Blesses a bundle that beats popularity, reaches the floor and is not worse than the last blessed one."""

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
    """Serves the bundle in a process of its own and asks it over both protocols.

    A failure raises, so that it is not kept in the cache: the next run checks again.
    """
    del code  # Part of the cache key.
    from serving.bundle.smoke_test import run_smoke_test
    from serving.evaluation.eval_requests import read_eval_requests

    requests = read_eval_requests(_split(events, "eval"), wire=from_json(config).wire, limit=NUM_SMOKE_TEST_QUERIES)
    result = run_smoke_test(Path(bundle.uri) / SERVED_FLAVOUR, queries=[request.query for request in requests])
    if result.problems:
        raise InfraValidationError(
            "The bundle does not serve as it should; nothing was published.\n"
            + "\n".join(f"  {problem}" for problem in result.problems)
            + "\nThe end of the server's log stands above; start the run again once it is mended."
        )
    _bless(blessing, "INFRA_BLESSED", blessed=True)


class PusherSpec(ComponentSpec):
    """What the Pusher takes and gives."""

    PARAMETERS = {"destination": ExecutionParameter(type=str), "code": ExecutionParameter(type=str)}
    INPUTS = {
        "bundle": ChannelParameter(type=Bundle),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS = {"pushed": ChannelParameter(type=standard_artifacts.PushedModel)}


class PusherDriver(_KeyedDriver):
    """Keys on what is published, so that a version that was removed by hand is published again."""

    def extra_properties(self, execution_info: data_types.ExecutionInfo) -> dict[str, str]:
        """What the destination holds now."""
        return {"published": json.dumps(published_versions(Path(execution_info.exec_properties["destination"])))}


def published_versions(destination: Path) -> list[str]:
    """`flavour/number content` of the newest version of each flavour."""
    from serving.bundle.publish import FLAVOURS, read_manifest

    found = []
    for flavour in FLAVOURS:
        folder = destination / flavour
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
        if numbers:
            newest = folder / str(max(numbers))
            found.append(f"{flavour}/{newest.name} {read_manifest(newest).get(BUNDLE_VERSION, 'unknown')}")
    return found


class PusherExecutor(base_executor.BaseExecutor):
    """Publishes a blessed bundle."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Publishes unless it is the newest already; writes `pushed.json`."""
        from serving.bundle.publish import publish

        blessings = [artifact_utils.get_single_instance(input_dict[key]) for key in ("blessing", "infra_blessing")]
        pushed = artifact_utils.get_single_instance(output_dict["pushed"])
        destination = Path(exec_properties["destination"])
        version, is_new = 0, False
        if all(blessing.get_int_custom_property(IS_BLESSED) == 1 for blessing in blessings):
            before = published_versions(destination)
            version = publish(artifact_utils.get_single_uri(input_dict["bundle"]), destination)
            is_new = published_versions(destination) != before
        pushed.set_int_custom_property("pushed", int(is_new))
        _write_json(Path(pushed.uri) / "pushed.json", {"version": version, "new": is_new})


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
    del published, code  # Parts of the cache key.
    from serving.bundle.publish import publish
    from serving.bundle.refresh import refresh_bundle
    from serving.bundle.smoke_test import run_smoke_test

    report = refresh_bundle(destination, f"{_split(items, 'all')}/*", bundle.uri)
    bundle.set_string_custom_property(BUNDLE_VERSION, report.bundle_version)
    version = 0
    if report.changed:
        result = run_smoke_test(Path(bundle.uri) / SERVED_FLAVOUR, queries=[])
        if result.problems:
            raise InfraValidationError(
                "The refreshed bundle does not serve as it should; nothing was published.\n"
                + "\n".join(f"  {problem}" for problem in result.problems)
            )
        version = publish(bundle.uri, destination)
    counts = {key: value for key, value in dataclasses.asdict(report).items() if key != "paths"}
    pushed.set_int_custom_property("pushed", int(report.changed))
    _write_json(Path(pushed.uri) / "pushed.json", {**counts, "version": version, "new": report.changed})


def _outputs(spec: type[ComponentSpec]) -> dict[str, types.BaseChannel]:
    return {key: types.Channel(type=output.type) for key, output in spec.OUTPUTS.items()}


def _split(examples: types.Artifact, name: str) -> Path:
    return Path(artifact_utils.get_split_uri([examples], name))


def _version(bundle_uri: str, flavour: str) -> Path:
    return Path(bundle_uri) / flavour / str(BUILD_NUMBER)


def _bless(blessing: types.Artifact, name: str, *, blessed: bool) -> None:
    """The file and the property that TFX's own components look for."""
    blessing.set_int_custom_property(IS_BLESSED, int(blessed))
    folder = Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
