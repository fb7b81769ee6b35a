"""Summary of a run: input counts, dropped records, accuracy, and commands to serve and query the bundle."""

import dataclasses
import json
import os
import shlex
import sys
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
# Shown metrics, and the reason where one has no value.
SHOWN_METRICS = {
    "recall@10": "no held-out request has a relevant item",
    "auc": "the held-out labels are all of one class",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """Outcome of a run.

    Attributes:
      seconds: {component: seconds}, in the order of the run.
      cached: Components whose outputs came from the cache.
      outputs: {component: {output: folder}}.
      report: The page about the run; None where it could not be written, and of a refresh.
    """

    seconds: Mapping[str, float]
    cached: frozenset[str]
    outputs: Mapping[str, Mapping[str, Path]]
    report: Path | None = None

    def read_json(self, component: str, *, output: str, name: str) -> Any:
        """Reads a JSON file of one output."""
        return json.loads((self.outputs[component][output] / name).read_text(encoding="utf-8"))

    @property
    def quality(self) -> Any:
        """What the Evaluator measured (`serving.evaluation.gate.Quality`, with `summary_line` and `problems`)."""
        return self.read_json("Evaluator", output="evaluation", name="quality.json")

    @property
    def pushed(self) -> Any:
        """Result of the Pusher: `version` (0 = nothing published) and whether it is `new`."""
        return self.read_json("Pusher", output="pushed", name="pushed.json")


def summarize(outcome: RunOutcome, *, published: Path, references: Sequence[str] = ()) -> str:
    """Returns the summary of a run whose bundles go to `published`.

    Args:
      outcome: The outcome of the run.
      published: Base folder of the published versions.
      references: Published results on the same data.
    """
    counts = [line for side in ("Items", "Events") for line in _ingested(outcome, f"{side}Gen")]
    sections: list[tuple[str, Sequence[str]]] = [
        ("Input", counts),
        ("Accuracy of the model and of baselines", _accuracy(outcome)),
        *([("Reference figures for this data (plain methods)", references)] if references else []),
        ("Accuracy of the bundle on recorded requests", [outcome.quality["summary_line"]]),
        ("Published", _published(outcome, published)),
        ("Report", [str(outcome.report or "none: the log has the reason")]),
        ("Time", _times(outcome)),
    ]
    return "\n".join("\n".join([f"\n{title}", *(f"  {line}" for line in lines)]) for title, lines in sections)


def summarize_refresh(outcome: RunOutcome, *, published: Path) -> str:
    """Returns the summary of a run that refreshed the catalogue of the bundle in `published`."""
    pushed = outcome.read_json("Refresher", output="pushed", name="pushed.json")
    state = f"version {pushed['version']} in {published}" if pushed["new"] else "nothing changed, nothing published"
    counts = ", ".join(f"{pushed[key]} {words}" for key, words in _REFRESH_COUNTS.items())
    sections: list[tuple[str, Sequence[str]]] = [
        ("Input", _ingested(outcome, "ItemsGen")),
        ("Catalogue", [counts + (", base index built again" if pushed["rebuilt"] else "")]),
        ("Published", [state]),
        ("Time", _times(outcome)),
    ]
    return "\n".join("\n".join([f"\n{title}", *(f"  {line}" for line in lines)]) for title, lines in sections)


def serve_command(published: Path) -> str:
    """Returns the command that starts a server on the published bundles, with the interpreter of this environment."""
    base = shlex.quote(str(published / SERVED_FLAVOUR))
    flags = f"--port=8500 --rest_api_port=8501 --model_name={MODEL_NAME}"
    return f"{shlex.quote(interpreter())} -m serving.server {flags} --model_base_path={base}"


def interpreter() -> str:
    """Returns the path of the running interpreter, relative where it is below the working directory."""
    path = sys.executable or "python"
    relative = os.path.relpath(path)  # not resolved: the link in an environment selects the environment
    return path if relative.startswith(os.pardir) else relative


def query_command(text: str, *, item: str) -> str:
    """Returns a shell command that searches for `text`; items similar to `item` where it is empty."""
    if text:
        body = {"signature_name": "search_text", "instances": [{"query_text": text, "page_size": 5}]}
    else:
        body = {"signature_name": "similar_items", "instances": [{"item_id": item, "page_size": 5}]}
    url = f"http://localhost:8501/v1/models/{MODEL_NAME}:predict"
    return f"curl -s -d {shlex.quote(json.dumps(body, ensure_ascii=False))} {url}"


def _ingested(outcome: RunOutcome, component: str) -> list[str]:
    """Counts of one ingestion, and the paths of its dead letters."""
    report = outcome.outputs[component]["report"]
    lines = (report / "summary.txt").read_text(encoding="utf-8").splitlines()
    letters = [path for path in sorted(report.glob("*.jsonl")) if path.stat().st_size]
    lines += [f"  each dropped {path.stem.removesuffix('s')} with its reason: {path}" for path in letters]
    return lines


def _accuracy(outcome: RunOutcome) -> list[str]:
    """Overall rows of the evaluation report, and the path of the whole."""
    metrics = outcome.read_json("Trainer", output="model", name="metrics.json")
    lines = []
    for section in metrics["sections"].values():
        for row in section["rows"]:
            if row["slice"] in SHOWN_SLICES and row["metric"] in SHOWN_METRICS:
                lines.append(f"{section['title']}, {row['slice']}: {_metric_text(row)}")
    return [*lines, f"by slice: {outcome.outputs['Trainer']['model'] / 'metrics.txt'}"]


def _metric_text(row: Mapping[str, Any]) -> str:
    """The values of one row, such as `auc of model 0.700, mean 0.500`; the reason where the model has none."""
    metric = row["metric"]
    if not isinstance(row.get("model"), float):
        return f"{metric} - ({SHOWN_METRICS[metric]})"
    values = [f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float)]
    return f"{metric} of {', '.join(values)}"


def _published(outcome: RunOutcome, published: Path) -> list[str]:
    pushed, quality = outcome.pushed, outcome.quality
    if not pushed["version"]:
        return ["NOTHING: the bundle is not good enough.", *(f"- {fault}" for fault in quality["problems"])]
    state = "new" if pushed["new"] else "the same as before, not published again"
    return [
        f"version {pushed['version']} ({state}) in {published}",
        f"serve it:  {serve_command(published)}",
        f"ask it:    {query_command(quality['example'], item=quality['example_item'])}",
    ]


def _times(outcome: RunOutcome) -> list[str]:
    slow = [f"{name} {seconds:.1f} s" for name, seconds in outcome.seconds.items() if seconds >= 0.1]
    total = sum(outcome.seconds.values())
    unchanged = f"; {len(outcome.cached)} of {len(outcome.seconds)} unchanged" if outcome.cached else ""
    return [f"{total:.1f} s in the components{unchanged}", ", ".join(slow)]
