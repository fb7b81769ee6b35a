"""Evaluation on public data sets, beside baselines and figures of plain methods: the mean of three seeds.

    python -m benchmarks.real_data --data DATA --work runs/real_data

Writes `real_data.md` into the work folder after every training. What was trained already is not trained again, so a run
that was stopped continues; `--only` selects some of the rows.
"""

import argparse
import dataclasses
import math
import pathlib
import statistics
from collections.abc import Iterator, Mapping

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads
from beam_preprocess.__main__ import run as preprocess
from beam_preprocess.sources import Source, open_source
from beam_preprocess.sources.spoken_digits import SpokenDigitsSource
from benchmarks.trainings import Rows, train_once
from trainer.spec.config import override
from trainer.spec.presets import base

SEEDS = (1, 2, 3)
SPEAKERS = ("jackson", "lucas", "nicolas", "theo", "yweweler")
AGAIN = "again (in the shopper's history)"
ENCODER = "tower.vision.pretrained={data}/encoders/mobilenet_v1_1.0_224"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of an evaluation, and the figure of a plain method."""

    section: str
    metric: str
    slice: str = "all"
    reference: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Training configuration for one data set.

    Attributes:
      kind: Kind of the source, and its folder.
      settings: As of `--set`; `{data}` is the folder of the sets.
      figures: Reported figures.
      left_out: A speaker that is in the test split only.
    """

    kind: str
    settings: tuple[str, ...]
    figures: tuple[Figure, ...]
    left_out: str = ""


_PHOTO = Figure(
    section="judged",
    slice="query: image",
    metric="recall@1",
    reference="linear probe 0.73, published 0.86 (official test); linear probe 0.71 here",
)
_SCRATCH = dataclasses.replace(_PHOTO, reference="colour histogram 0.38 (official test), 0.33 here")
_PHOTOS = ("train.temperature=0.15", "tower.vision.random_flip=true")
_MOBILENET = (
    *("data.pseudo_queries=4", "wire.image_px=224", ENCODER, "train.batch_size=64", "train.learning_rate=0.005"),
    *("tower.vision.random_crop=0.2", *_PHOTOS),
)
_VOICE = ("train.epochs=20",)
TASKS: dict[str, Task] = {
    "grocery, MobileNet frozen": Task(kind="grocery", settings=(*_MOBILENET, "train.epochs=10"), figures=(_PHOTO,)),
    "grocery, MobileNet fine-tuned": Task(
        kind="grocery", settings=(*_MOBILENET, "tower.vision.fine_tune=true", "train.epochs=3"), figures=(_PHOTO,)
    ),
    "grocery, from scratch": Task(
        kind="grocery",
        settings=(
            *("data.pseudo_queries=4", "wire.image_px=128", "tower.vision.random_crop=0.3"),
            *("train.batch_size=32", "train.epochs=30", *_PHOTOS),
        ),
        figures=(_SCRATCH,),
    ),
    "chorus, vectors alone": Task(
        kind="chorus",
        settings=(
            *("data.pseudo_queries=4", "train.batch_size=512"),
            *("train.max_steps=800", "tower.text.vocab_size=8000"),
        ),
        figures=(
            Figure(section="judged", metric="ndcg@10", reference="BM25 0.640"),
            Figure(section="judged", metric="recall@100", reference="BM25 0.815"),
        ),
    ),
    "clothing reviews": Task(
        kind="clothing_reviews",
        settings=("data.pseudo_queries=4", "train.epochs=60"),
        figures=(
            Figure(section="heads", slice="sentiment", metric="auc positive/negative", reference="words 0.953"),
            Figure(section="heads", slice="sentiment", metric="macro f1", reference="words, two classes 0.853"),
        ),
    ),
    "online retail": Task(
        kind="online_retail",
        settings=("train.batch_size=512", "train.max_steps=1200", "wire.history_length=30"),
        figures=(
            Figure(section="held_out", metric="hit@10", reference="most frequent, then popularity 0.796, by shopper"),
            Figure(section="held_out", metric="hit@10", slice=AGAIN),
            Figure(section="new", metric="hit@10", reference="popularity 0.226, by shopper"),
            Figure(section="heads", slice="demand", metric="mean error, units a day"),
            Figure(section="heads", slice="price", metric="mean error, log price"),
        ),
    ),
    "spoken digits": Task(
        kind="spoken_digits",
        settings=_VOICE,
        figures=(Figure(section="judged", metric="recall@1", reference="MFCC and SVM 0.987"),),
    ),
    **{
        f"spoken digits, without {speaker}": Task(
            kind="spoken_digits",
            settings=_VOICE,
            figures=(Figure(section="judged", metric="recall@1", reference="MFCC and SVM 0.53 to 0.92"),),
            left_out=speaker,
        )
        for speaker in SPEAKERS
    },
}


def prepare(task: Task, *, data: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Preprocesses the data set of a task, once; returns the folder of the Examples."""
    examples = folder / "examples"
    if not (examples / "summary.json").exists():
        config = override(base(), [setting.format(data=data) for setting in task.settings])
        preprocess(source_of(task, data), examples, config=config)
    return examples


def source_of(task: Task, data: pathlib.Path) -> Source:
    """Returns the data set of a task."""
    source = open_source(data / task.kind, task.kind)
    if isinstance(source, SpokenDigitsSource):
        return dataclasses.replace(source, held_out_speaker=task.left_out)
    return source


def values(figure: Figure, rows: Rows) -> Mapping[str, float]:
    """{model and baselines: value} of a figure."""
    for row in rows:
        if (row["slice"], row["metric"]) == (figure.slice, figure.metric):
            return {name: value for name, value in row.items() if isinstance(value, float)}
    return {"model": math.nan}


def lines(row: str, task: Task, found: list[dict[str, Rows]]) -> Iterator[str]:
    """A line of the table for each figure of a task."""
    for figure in task.figures:
        found_values = [values(figure, sections.get(figure.section, [])) for sections in found]
        model = [value["model"] for value in found_values]
        baselines = "; ".join(f"{name} {value:.3f}" for name, value in found_values[0].items() if name != "model")
        title = figure.metric if figure.slice == "all" else f"{figure.metric}, {figure.slice}"
        title = f"{title}, {figure.section}" if figure.section == "new" else title
        spread = f"{min(model):.3f} to {max(model):.3f}, {len(model)} seeds"
        yield f"| {row} | {title} | {statistics.mean(model):.3f} ({spread}) | {baselines} | {figure.reference} |\n"


def main() -> None:
    """Trains what is missing and writes the table after every training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the public sets")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("runs/real_data"))
    parser.add_argument("--only", nargs="*", default=list(TASKS), choices=list(TASKS), metavar="ROW")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="after a row's own settings")
    options = parser.parse_args()
    found: dict[str, list[dict[str, Rows]]] = {name: [] for name in options.only}
    for seed in options.seeds:
        for name in options.only:
            task, folder = TASKS[name], options.work / name.replace(",", "").replace(" ", "_")
            task = dataclasses.replace(task, settings=(*task.settings, *options.set))
            examples = prepare(task, data=options.data, folder=folder)
            settings = [setting.format(data=options.data) for setting in task.settings]
            found[name].append(train_once(folder / f"seed-{seed}", settings, examples=examples, seed=seed))
            table = "".join(line for each, runs in found.items() if runs for line in lines(each, TASKS[each], runs))
            head = "| set | figure | mean | baselines (first seed) | a plain method |\n|---|---|---|---|---|\n"
            (options.work / "real_data.md").write_text(head + table, encoding="utf-8")
            print(head + table, flush=True)


if __name__ == "__main__":
    main()
