"""Ablation study: recall on the demo shop without each branch, and with other fusions, loss weightings and precision.

    python -m benchmarks.ablation --work runs/ablation

Writes `ablation.md` (a table) and `ablation.svg` (a chart) into the work folder. A variant that was trained already is
not trained again, so a run that was stopped continues; `--only` selects some. Figures are recall@10 of the planted
truth, over all judged queries and over those that need a modality.
"""

import argparse
import html
import pathlib
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.trainings import train_once
from trainer.spec.features import Modality

FULL = "full model"
BRANCHES = (
    *(Modality.TEXT, Modality.IMAGE, Modality.VIDEO, Modality.AUDIO, Modality.TABULAR),
    *(Modality.TREND, Modality.HISTORY, Modality.SEARCHES, Modality.PROFILE),
)
VARIANTS: dict[str, tuple[str, ...]] = {
    FULL: (),
    **{f"without {branch.value}": (f"tower.disabled_branches={branch.value}",) for branch in BRANCHES},
    "with graph": ("tower.graph.num_relation_types=16",),
    "with identity": ("tower.identity.item_embedding_rows=1000",),
    "fusion sum": ("tower.fusion=sum",),
    "fusion concat": ("tower.fusion=concat",),
    "fusion attention": ("tower.fusion=attention",),
    "learned loss weights": ("train.loss_weighting=uncertainty",),
    "bfloat16": ("train.precision=bfloat16",),
}
METRIC = "recall@10"
Figures = Mapping[str, float]


def prepare(work: pathlib.Path) -> pathlib.Path:
    """Writes and preprocesses the demo shop, once; returns the folder of the Examples."""
    shop, examples = work / "shop", work / "examples"
    if not (shop / "truth.jsonl").exists():
        subprocess.run([sys.executable, "-m", "beam_preprocess.synthetic.shop", "--output", str(shop)], check=True)
    if not (examples / "summary.json").exists():
        command = [sys.executable, "-m", "beam_preprocess", "--source", str(shop), "--output", str(examples)]
        subprocess.run(command, check=True)
    return examples


def train(name: str, *, epochs: int, examples: pathlib.Path, work: pathlib.Path, seed: int) -> Figures:
    """Trains a variant, unless it was; returns its figures by slice."""
    output = work / f"seed-{seed}-epochs-{epochs}" / name.replace(" ", "_")
    settings = [*VARIANTS[name], f"train.epochs={epochs}"]
    rows = train_once(output, settings, examples=examples, seed=seed)["planted"]
    found = {row["slice"]: row["model"] for row in rows if row["metric"] == METRIC}
    return {name: value for name, value in found.items() if name == "all" or name.startswith("needs: ")}


def as_table(found: Mapping[str, Figures]) -> str:
    """Formats Markdown: a line for each variant, a column for each slice, and the effect of the variant."""
    slices = sorted(found[FULL], key=lambda name: (name != "all", name))
    lines = [["variant", *slices, "effect"], ["---"] * (len(slices) + 2)]
    for name, figures in found.items():
        lines.append([name, *(f"{figures[part]:.3f}" for part in slices), effect_text(name, figures, found[FULL])])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def effect_text(name: str, figures: Figures, full: Figures) -> str:
    """Describes the lift of a branch on the queries that need it, else the change of the variant over all."""
    own = f"needs: {name.removeprefix('without ')}"
    if name.startswith("without ") and own in full:
        lift = full[own] - figures[own]
        return f"lifts its queries by {lift:.3f}" if lift > 0 else f"does not lift its queries ({lift:+.3f})"
    change = figures["all"] - full["all"]
    if name.startswith("without "):
        return f"no query is made to need it; over all {-change:+.3f}"
    return "" if name == FULL else f"{change:+.3f} over all"


def as_chart(found: Mapping[str, Figures]) -> str:
    """Draws SVG: recall of every variant over all queries, and of the queries that need the disabled branch."""
    height, left, width = 26, 190, 420
    lines, top = [], 20
    for name, figures in found.items():
        own = f"needs: {name.removeprefix('without ')}"
        bars = [("all", figures["all"], "#4477aa")]
        bars += [(own, figures[own], "#cc6677")] if own in figures else []
        for label, value, colour in bars:
            title = name if label == "all" else label
            lines.append(
                f'<text x="{left - 8}" y="{top + 13}" text-anchor="end">{html.escape(title)}</text>'
                f'<rect x="{left}" y="{top}" width="{value * width:.1f}" height="18" fill="{colour}"/>'
                f'<text x="{left + value * width + 6:.1f}" y="{top + 13}">{value:.3f}</text>'
            )
            top += height
    head = f'width="{left + width + 60}" height="{top + 10}" font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {head}>{"".join(lines)}</svg>\n'


def main() -> None:
    """Trains what is missing and writes the report after every variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("runs/ablation"))
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=15, help="of every variant; the default of a training is 30")
    options = parser.parse_args()
    examples = prepare(options.work)
    found: dict[str, Figures] = {}
    for name in dict.fromkeys([FULL, *options.only]):
        found[name] = train(name, epochs=options.epochs, examples=examples, work=options.work, seed=options.seed)
        (options.work / "ablation.md").write_text(as_table(found), encoding="utf-8")
        (options.work / "ablation.svg").write_text(as_chart(found), encoding="utf-8")
        print(as_table(found), flush=True)


if __name__ == "__main__":
    main()
