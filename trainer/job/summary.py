"""Summary of a run for people: input, dropped records, accuracy, and how to serve and query the model."""

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.spec.tasks import PAIR_TASKS

MODEL_NAME = "vitrine"
SERVED_FLAVOUR = "scann"
SHOWN_SLICES = ("all", *(task.name for task in PAIR_TASKS))
_REFRESH_COUNTS = {
    "items": "items",
    "encoded": "new or changed and encoded",
    "removed": "gone",
    "delta": "in the delta",
    "tombstones": "tombstones",
}
SHOWN_METRICS = ("recall@10", "auc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a run.

    Attributes:
      seconds: {component: seconds it took}, in the order of the run.
      cached: Components answered from the cache.
      outputs: {component: {output: folder}}.
    """

    seconds: Mapping[str, float]
    cached: frozenset[str]
    outputs: Mapping[str, Mapping[str, Path]]

    def read_json(self, component: str, *, output: str, name: str) -> Any:
        """A JSON file of one output."""
        return json.loads((self.outputs[component][output] / name).read_text(encoding="utf-8"))

    @property
    def quality(self) -> Any:
        """What the Evaluator measured (`serving.evaluation.gate.Quality`, with `summary_line` and `problems`)."""
        return self.read_json("Evaluator", output="evaluation", name="quality.json")

    @property
    def pushed(self) -> Any:
        """What the Pusher did: `version` (0 = nothing published) and whether it is `new`."""
        return self.read_json("Pusher", output="pushed", name="pushed.json")


def summarize(outcome: Outcome, *, published: Path, references: Sequence[str] = ()) -> str:
    """The summary of a run whose bundles go to `published`; `references` are figures of others on the same data."""
    went_in = [line for side in ("Items", "Events") for line in _ingested(outcome, f"{side}Gen")]
    sections: list[tuple[str, Sequence[str]]] = [
        ("What went in", went_in),
        ("Accuracy of the model beside baselines", _accuracy(outcome)),
        *([("Reference figures for this data (plain methods)", references)] if references else []),
        ("Accuracy of the bundle, asked as shoppers asked", [outcome.quality["summary_line"]]),
        ("Published", _published(outcome, published)),
        ("Time", _times(outcome)),
    ]
    return "\n".join("\n".join([f"\n{title}", *(f"  {line}" for line in lines)]) for title, lines in sections)


def summarize_refresh(outcome: Outcome, *, published: Path) -> str:
    """The summary of a run that refreshed the catalogue of the bundle in `published`."""
    report = outcome.read_json("Refresher", output="pushed", name="pushed.json")
    state = f"version {report['version']} in {published}" if report["new"] else "nothing changed, nothing published"
    counts = ", ".join(f"{report[key]} {words}" for key, words in _REFRESH_COUNTS.items())
    sections: list[tuple[str, Sequence[str]]] = [
        ("What went in", _ingested(outcome, "ItemsGen")),
        ("Catalogue", [counts + (", base index built again" if report["rebuilt"] else "")]),
        ("Published", [state]),
        ("Time", _times(outcome)),
    ]
    return "\n".join("\n".join([f"\n{title}", *(f"  {line}" for line in lines)]) for title, lines in sections)


def serve_command(published: Path) -> str:
    """What starts a server on the published bundles."""
    base = shlex.quote(str(published / SERVED_FLAVOUR))
    flags = f"--port=8500 --rest_api_port=8501 --model_name={MODEL_NAME}"
    return f"python -m serving.server {flags} --model_base_path={base}"


def query_command(text: str, *, item: str) -> str:
    """A search to paste into a shell; in a shop without searches, what is like `item`."""
    if text:
        body = {"signature_name": "search_text", "instances": [{"query_text": text, "page_size": 5}]}
    else:
        body = {"signature_name": "similar_items", "instances": [{"item_id": item, "page_size": 5}]}
    url = f"http://localhost:8501/v1/models/{MODEL_NAME}:predict"
    return f"curl -s -d {shlex.quote(json.dumps(body, ensure_ascii=False))} {url}"


def _ingested(outcome: Outcome, component: str) -> list[str]:
    """The counts of one ingestion, and where its dead letters are."""
    report = outcome.outputs[component]["report"]
    lines = (report / "summary.txt").read_text(encoding="utf-8").splitlines()
    letters = [path for path in sorted(report.glob("*.jsonl")) if path.stat().st_size]
    lines += [f"  each dropped {path.stem.removesuffix('s')} with its reason: {path}" for path in letters]
    return lines


def _accuracy(outcome: Outcome) -> list[str]:
    """The overall rows of the report that training wrote, and where all of it is."""
    metrics = outcome.read_json("Trainer", output="model", name="metrics.json")
    lines = []
    for section in metrics["sections"].values():
        for row in section["rows"]:
            if row["slice"] in SHOWN_SLICES and row["metric"] in SHOWN_METRICS:
                values = [f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float)]
                lines.append(f"{section['title']}, {row['slice']}: {row['metric']} of {', '.join(values)}")
    return [*lines, f"by slice: {outcome.outputs['Trainer']['model'] / 'metrics.txt'}"]


def _published(outcome: Outcome, published: Path) -> list[str]:
    pushed, quality = outcome.pushed, outcome.quality
    if not pushed["version"]:
        return ["NOTHING: the bundle is not good enough.", *(f"- {fault}" for fault in quality["problems"])]
    state = "new" if pushed["new"] else "the same as before, not published again"
    return [
        f"version {pushed['version']} ({state}) in {published}",
        f"serve it:  {serve_command(published)}",
        f"ask it:    {query_command(quality['example'], item=quality['example_item'])}",
    ]


def _times(outcome: Outcome) -> list[str]:
    slow = [f"{name} {seconds:.1f} s" for name, seconds in outcome.seconds.items() if seconds >= 0.1]
    total = sum(outcome.seconds.values())
    unchanged = f"; {len(outcome.cached)} of {len(outcome.seconds)} unchanged" if outcome.cached else ""
    return [f"{total:.1f} s in the components{unchanged}", ", ".join(slow)]
