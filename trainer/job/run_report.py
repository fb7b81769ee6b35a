"""Run report: one page of Markdown about a training run, with configuration, losses, speed and evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.job.flags import config_fields
from trainer.spec.config import Config

_MAX_EPOCHS = 12


def run_report(config: Config, *, facts: Mapping[str, Any], history: Sequence[Mapping[str, Any]], table: str) -> str:
    """Returns the page, in Markdown.

    Args:
      config: The configuration; its differences from the default are shown.
      facts: Lines of the head, such as the model's id and the seconds of each part.
      history: Epochs as `trainer.training.progress.Progress` keeps them.
      table: The evaluation, as text.
    """
    defaults = {field.path: field.default for field in config_fields()}
    changed: dict[str, list[str]] = {}  # a line for each part of the configuration
    for field in config_fields(config):
        if field.default != defaults[field.path]:
            changed.setdefault(field.path.rpartition(".")[0], []).append(f"`{field.path}` = {field.default}")
    parts = [
        "# Training run",
        "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()),
        "## Configuration that differs from the default",
        "\n".join(f"- {', '.join(part)}" for part in changed.values()) or "Nothing.",
        "## Epochs",
        _epochs(history),
        "## Evaluation",
        f"```\n{table.rstrip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _epochs(history: Sequence[Mapping[str, Any]]) -> str:
    """A table of at most a dozen epochs, the first and the last among them."""
    if not history:
        return "None."
    stride = -(-len(history) // _MAX_EPOCHS)
    shown = [entry for i, entry in enumerate(history) if i % stride == 0 or i == len(history) - 1]
    tasks = list(history[0]["losses"])
    recall = any("recall@10" in entry for entry in history)
    head = ["epoch", "step", *(f"loss {task}" for task in tasks), *(["recall@10"] if recall else []), "examples/s"]
    rows = [head, ["---"] * len(head)]
    for entry in shown:
        recalls = [f"{entry['recall@10']:.3f}" if "recall@10" in entry else ""] if recall else []
        losses = [f"{entry['losses'][task]:.4f}" for task in tasks]
        rows.append([str(entry["epoch"]), str(entry["step"]), *losses, *recalls, f"{entry['examples_per_second']:.0f}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
