"""Inputs of the report: the places of a run's data and bundle, and the JSON files that its steps left."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving import remote_files
from serving.bundle_layout import BUILD_NUMBER
from serving.manifest import MANIFEST_PATH

FLAVOUR = "stock"  # the one that is measured, which any machine can load
METRICS, CURVES = "assets.extra/metrics.json", "assets.extra/curves.json"


TEMPLATE = "report.html"
_SPLITS = ("train", "eval")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Inputs of a report; everything but the bundle may be absent. Places are local folders or URIs.

    Attributes:
      bundle: Folder of one version.
      items: Folder of the item Examples.
      events: {split: folder of event Examples}.
      counts: {record type: {counter: amount}} of preprocessing.
      imported: The mapping report of an import (`import.json`).
      quality: What the quality gate measured (`serving.evaluation.gate.Quality`), with `summary_line` and `problems`.
      previous: Folder of the version to compare with, "" without one.
      seconds: {step: seconds it took}.
    """

    bundle: str
    items: str
    events: Mapping[str, str]
    counts: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    imported: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    quality: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    previous: str = ""
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_run(
        cls,
        outputs: Mapping[str, Mapping[str, Path]],
        *,
        published: Path,
        imported: Path | None,
        seconds: Mapping[str, float],
    ) -> "ReportInputs":
        """Returns the inputs of a run of the pipeline.

        Args:
          outputs: {component: {output: folder}}.
          published: Base folder of the published versions.
          imported: Folder of the import, None without one.
          seconds: {component: seconds it took}.
        """
        bundle = outputs["Indexer"]["bundle"] / FLAVOUR / str(BUILD_NUMBER)
        items, events = outputs["ItemsGen"], outputs["EventsGen"]
        counts = [read_counts(f"{part['report']}/summary.json") for part in (items, events)]
        return cls(
            bundle=str(bundle),
            items=str(items["examples"] / "Split-all"),
            events={split: str(events["examples"] / f"Split-{split}") for split in _SPLITS},
            counts={**counts[0], **counts[1]},
            imported=read_imported(str(imported)) if imported else {},
            quality=read_json(f"{outputs['Evaluator']['evaluation']}/quality.json"),
            previous=version_before(str(published / FLAVOUR), other_than=str(bundle)),
            seconds=seconds,
        )

    @classmethod
    def of_data(cls, bundle: str, data_dir: str, previous: str, *, quality: Mapping[str, Any]) -> "ReportInputs":
        """Returns the inputs of a bundle, the folder that preprocessing wrote, and the bundle to compare with."""
        return cls(
            bundle=bundle,
            items=f"{data_dir}/items",
            events={split: f"{data_dir}/events/{split}" for split in _SPLITS},
            counts=read_counts(f"{data_dir}/summary.json"),
            imported=read_imported(f"{data_dir}/imported"),
            quality=quality,
            previous=previous,
        )

    def key(self, code: str) -> str:
        """Returns the hash of the places and what was measured, but for times, and of the code that makes the page."""
        imported = {name: value for name, value in self.imported.items() if name != "as_of"}
        parts = dataclasses.asdict(dataclasses.replace(self, seconds={}, imported=imported))
        template = Path(__file__).with_name(TEMPLATE).read_text(encoding="utf-8")
        return hashlib.sha256(json.dumps([parts, code, template], sort_keys=True).encode()).hexdigest()

    def of_bundle(self, name: str) -> dict[str, Any]:
        """Returns a JSON file of the bundle, such as `METRICS`; {} without it."""
        return read_json(f"{self.bundle}/{name}")


def version_before(folder: str, *, other_than: str) -> str:
    """Returns the newest version in a folder with other content than the bundle at `other_than`; "" without one."""
    own = read_json(f"{other_than}/{MANIFEST_PATH}").get("bundle_version")
    numbers = sorted((int(name) for name in remote_files.list_names(folder) if name.isdecimal()), reverse=True)
    places = (f"{folder}/{number}" for number in numbers)
    return next((place for place in places if read_json(f"{place}/{MANIFEST_PATH}").get("bundle_version") != own), "")


def read_json(path: str) -> dict[str, Any]:
    """Returns the object in a JSON file, local or remote; {} where there is none that can be read."""
    try:
        found = json.loads(remote_files.read_bytes(path))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_counts(path: str) -> dict[str, dict[str, int]]:
    """Returns the counts of preprocessing in a `summary.json`: {record type: {counter: amount}}."""
    return {
        record: {name: amount for name, amount in counts.items() if isinstance(amount, int)}
        for record, counts in read_json(path).items()
        if record != "config" and isinstance(counts, dict)
    }


def read_imported(folder: str) -> dict[str, Any]:
    """Returns the mapping report in the folder of an import; {} without one."""
    report = read_json(f"{folder}/import.json").get("report")
    return report if isinstance(report, dict) else {}
