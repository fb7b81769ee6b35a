"""The jobs of Vitrine as functions: preprocess, train, build, evaluate, publish and refresh.

Each calls what the command line of the same name calls, and imports it when it is called.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.spec.config import Config

if TYPE_CHECKING:
    from beam_preprocess.feeds.request import ImportRequest
    from beam_preprocess.media.web.rules import FetchRules
    from beam_preprocess.pipeline import BeamOptions
    from serving.bundle.build import BundleReport
    from serving.bundle.refresh import RefreshReport
    from serving.evaluation.gate import Quality
    from trainer.evaluation.report import Report
    from trainer.tables.open import DatasetPaths
    from trainer.training.fit import RunPaths
    from trainer.training.warm_start import PublishedModel

Location = str | Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The outcome of `train`.

    Attributes:
      towers_dir: The exported towers, which `build_bundle` takes.
      model_id: Hash of the configuration, the vocabulary and every weight.
      report: Exact evaluation on the eval split, beside baselines; `report.table()` is its text.
    """

    towers_dir: Path
    model_id: str
    report: "Report"


def preprocess(
    shop: Location | None,
    output_dir: Location,
    *,
    config: Config | None = None,
    kind: str = "auto",
    catalog: Any = None,
    events: Any = None,
    mapping: Mapping[str, str] | None = None,
    beam_options: "BeamOptions" = None,
    now: float | None = None,
    fetch_media: "FetchRules | str" = "",
) -> dict[str, dict[str, int]]:
    """Turns the exports of a shop into Examples and a Transform graph, as `vitrine preprocess` does.

    Args:
      shop: Directory of a shop, an export of it, or an address that Beam can read; None with `catalog`.
      output_dir: Gets imported/, items/, events/, transform_graph/, dead_letters/; what is in it is replaced.
      config: The configuration; `Config()` when None.
      kind: Kind of export, or a source that Beam reads as it is, such as `records`.
      catalog: Catalogue instead of `shop`: `KIND:PATH`, an iterable of dicts, a data frame or an Arrow table.
      events: Events beside `catalog`, in the same forms.
      mapping: {field: column} where an export's own columns are not known.
      beam_options: Arguments or options of the Beam runner; this process when None.
      now: Epoch seconds; later events are left out. A day from now when None.
      fetch_media: Hosts that media are fetched from, separated by commas, `all`, or rules.

    Returns:
      {"items" | "events" | "signals": {outcome: count}}.

    Raises:
      ValueError: There is no shop of that kind, or its numbers or dates are ambiguous.
      RuntimeError: Too many rows or media cannot be used, or nothing is left to train on (`ImportStopped`,
        `EmptyCatalogueError`, `MediaLimitError`, `NoTrainingEventsError`).
    """
    exports = {"catalog": (catalog,) if catalog is not None else (), "events": (events,) if events is not None else ()}
    request = _request(str(shop or ""), kind, mapping=mapping or {}, **exports)
    return _preprocess(request, str(output_dir), config or Config(), beam_options, now=now, fetch_media=fetch_media)


def _request(source: str, kind: str, **options: Any) -> "ImportRequest":
    from beam_preprocess.feeds.request import ImportRequest

    return ImportRequest(source=source, kind=kind, **options)


def _preprocess(
    request: "ImportRequest",
    output_dir: str,
    config: Config,
    beam_options: "BeamOptions",
    *,
    now: float | None,
    fetch_media: "FetchRules | str",
) -> dict[str, dict[str, int]]:
    from beam_preprocess.__main__ import run
    from beam_preprocess.media.web.rules import rules_of
    from beam_preprocess.sources import open_source

    shop, kind, rules = request.source, request.kind, rules_of(fetch_media)
    if request.imports:
        shop, kind = f"{output_dir.rstrip('/')}/imported", "imported"
        request.run(shop, data=config.data, now=now)
    return run(open_source(shop, kind, fetch=rules), output_dir, config=config, beam_options=beam_options, now=now)


def train(
    data_dir: Location,
    output_dir: Location,
    *,
    config: Config | None = None,
    warm_start: Location | None = None,
    truth: Location | None = None,
) -> TrainingResult:
    """Trains, evaluates and exports the towers, as `vitrine train --flavours=` does.

    A run that was killed continues from its last checkpoint when it is started again.

    Args:
      data_dir: What `preprocess` wrote.
      output_dir: Local folder; gets towers/, metrics.json, metrics.txt, config.json, run.md, logs/ and work/.
      config: The configuration, the same as in `preprocess`; `Config()` when None.
      warm_start: A published version to continue from, on new events.
      truth: Planted truth of a synthetic shop (truth.jsonl), for the evaluation.

    Raises:
      ImportError: TensorFlow was imported with Keras 3.
      ValueError: The data holds nothing to train on, or does not fit the configuration.
      FloatingPointError: A loss became NaN or infinite, or exploded.
    """
    from trainer.task import train_and_export
    from trainer.training.warm_start import load_published_model

    config, output = config or Config(), Path(output_dir)
    output.mkdir(parents=True, exist_ok=True)
    published = load_published_model(str(warm_start)) if warm_start else None
    result = train_and_export(
        config,
        _dataset_paths(data_dir),
        towers_dir=output / "towers",
        work_dir=output / "work",
        log_dir=str(output / "logs"),
        truth_path=str(truth) if truth else None,
        paths=_run_paths(output / "work", config, published),
    )
    if result is None:
        raise ValueError("This worker is not the chief and exports nothing; start it with `vitrine train`.")
    return TrainingResult(towers_dir=output / "towers", model_id=result.trained.model_id, report=result.report)


def _dataset_paths(data_dir: Location) -> "DatasetPaths":
    from trainer.tables.open import DatasetPaths

    return DatasetPaths(
        items=(f"{data_dir}/items",),
        train=(f"{data_dir}/events/train",),
        evaluation=(f"{data_dir}/events/eval",),
        transform_graph=f"{data_dir}/transform_graph",
        days=(f"{data_dir}/events/days",),
    )


def _run_paths(work_dir: Path, config: Config, published: "PublishedModel | None") -> "RunPaths":
    from trainer.training.distributed.preemption import Preemption
    from trainer.training.fit import RunPaths

    preemption = Preemption(config.run.grace_seconds)
    return RunPaths(checkpoints=str(work_dir), preemption=preemption, published=published)


def build_bundle(
    towers_dir: Location,
    data_dir: Location,
    output_dir: Location,
    *,
    version: int = 1,
    flavours: Sequence[str] = ("stock", "scann"),
) -> "BundleReport":
    """Builds a bundle of towers and catalogue in each flavour, as `vitrine build` does.

    Args:
      towers_dir: What `train` exported.
      data_dir: What `preprocess` wrote; popularity and reviews come from its train events.
      output_dir: Gets `<flavour>/<version>`.
      version: Name of the folders, a positive number.
      flavours: `stock` runs in any TensorFlow Serving, `scann` needs our server.

    Raises:
      ImportError: TensorFlow was imported with Keras 3.
      ValueError: An unknown flavour, or towers and items that do not fit.
      RuntimeError: An index could not be built.
    """
    from serving.bundle.__main__ import build, data_of

    return build(towers_dir, data_of(data_dir), output_dir, version=version, flavours=flavours)


def evaluate(
    bundle: Location,
    data_dir: Location,
    *,
    baseline: Location | None = None,
    max_requests: int = 1000,
    output_dir: Location | None = None,
) -> "Quality":
    """Measures recall@10 of a bundle on the recorded eval events, as `vitrine evaluate` does.

    Args:
      bundle: Folder of one version (`.../stock/1`).
      data_dir: What `preprocess` wrote.
      baseline: Folder of the version to compare with.
      max_requests: At most this many requests, a fixed sample.
      output_dir: Gets report.html, one page about data, model and answers; `data_dir` when None, no report when "".

    Raises:
      ValueError: The folder is no bundle.
    """
    from serving.evaluation import __main__ as evaluation

    return evaluation.evaluate(bundle, data_dir, baseline=baseline, max_requests=max_requests, output_dir=output_dir)


def publish(bundle_dir: Location, destination: Location) -> int:
    """Publishes the newest bundle of a folder as the next version, whole or not at all, as `vitrine publish` does.

    Args:
      bundle_dir: What `build_bundle` or `refresh` wrote.
      destination: Base folder of the published versions; a server watches `<destination>/<flavour>`.

    Returns:
      The version number, also when this bundle was the newest version before.

    Raises:
      ValueError: There is no bundle, or it is incomplete.
      OSError: The copy failed; nothing is published then.
    """
    from serving.bundle import publish as publishing

    return publishing.publish(bundle_dir, destination)


def refresh(bundle_dir: Location, data_dir: Location, output_dir: Location) -> "RefreshReport":
    """Builds a new bundle for a changed catalogue without training, as `vitrine refresh` does.

    Args:
      bundle_dir: Folder of `stock` and `scann`; the newest version is taken.
      data_dir: What `preprocess` wrote of the changed catalogue.
      output_dir: Gets `<flavour>/1`; nothing where nothing changed.

    Raises:
      ImportError: TensorFlow was imported with Keras 3.
      ValueError: There is no bundle, or it does not fit the items.
    """
    from serving.bundle.refresh import refresh_bundle

    return refresh_bundle(bundle_dir, f"{data_dir}/items/*.tfrecord", output_dir)
