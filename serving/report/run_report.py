"""Report of a run: everything that is known of a bundle and its data, gathered as one page.

What is absent or cannot be read makes the page smaller: a section that fails has the reason in its place.
"""

import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from serving import remote_files
from serving.catalogue.storage import read_catalogue
from serving.evaluation.eval_requests import read_eval_requests
from serving.manifest import MANIFEST_PATH
from serving.report.accuracy_section import (
    accuracy_section,
    comparison_section,
    modalities_section,
    slices_section,
)
from serving.report.blocks import Section, Text
from serving.report.data_sections import data_quality_section, input_section
from serving.report.embedding_map import MAX_ITEMS, map_section
from serving.report.figures.answers import POOL, AnsweredQuery, answer_requests, choose_requests
from serving.report.figures.catalogue import CatalogueFigures, read_catalogue_figures, sample_ids
from serving.report.figures.events import read_event_figures
from serving.report.head_section import head_section
from serving.report.inputs import CURVES, METRICS, ReportInputs, read_json
from serving.report.page import render
from serving.report.query_section import coverage_section, gate_section, latency_section, queries_section
from serving.server.sessions.saved_model import LoadedModel, load_op_libraries
from trainer.spec.config import Config, WireConfig, from_dict

_LOG = logging.getLogger(__name__)
_MAX_MAPPED = 200_000  # items of a catalogue whose vectors are loaded for the map
_EVALUATED_SPLIT = "eval"


def make_report(inputs: ReportInputs, *, key: str = "") -> str:
    """Returns the page of everything that is known of a bundle and its data."""
    manifest = read_json(f"{inputs.bundle}/{MANIFEST_PATH}")
    config = _attempt(lambda: from_dict(manifest["config"], Config()), default=Config(), subject="the configuration")
    answers = _attempt(lambda: _answers(inputs, config.wire), default=(), subject="answers")
    num_items = manifest.get("n_items", 0)
    mapped = _attempt(lambda: _mapped_items(inputs.bundle, num_items), default=_NO_ITEMS, subject="a map")
    named = {item for answer in answers for item in answer.items}
    figures = _attempt(
        lambda: read_catalogue_figures(inputs.items, wire=config.wire, wanted=named, num_sampled=MAX_ITEMS),
        default=None,
        subject="the catalogue",
    )
    cards = figures.cards if figures else {}
    metrics, quality = inputs.of_bundle(METRICS), inputs.quality
    sections = [
        _section("summary", "Quality gate", lambda: gate_section(quality)),
        _section("input", "Input", lambda: input_section(inputs)),
        _section("data", "Data quality", lambda: _data_section(inputs, figures, config.wire)),
        *_metric_sections(inputs, metrics),
        _section("coverage", "Coverage of the catalogue", lambda: coverage_section(quality)),
        _section("latency", "Latency", lambda: latency_section(answers, quality)),
        _section("map", "Map of the items", lambda: map_section(mapped.items, mapped.vectors, cards)),
        _section("queries", "Queries and their answers", lambda: queries_section(answers, cards)),
    ]
    return render(sections, title="Vitrine: report of a run", facts=_facts(inputs, manifest, metrics), key=key)


def _metric_sections(inputs: ReportInputs, metrics: Mapping[str, Any]) -> list[Section]:
    """The sections of what the trainer measured, and of the version before."""
    previous = read_json(f"{inputs.previous}/{METRICS}") if inputs.previous else {}
    name = _version_name(inputs.previous)
    return [
        _section("accuracy", "Accuracy", lambda: accuracy_section(metrics)),
        _section("slices", "Slices", lambda: slices_section(metrics)),
        _section("modalities", "Modalities", lambda: modalities_section(metrics)),
        _section("heads", "Heads", lambda: head_section(metrics, inputs.of_bundle(CURVES))),
        _section(
            "comparison",
            "Beside the last published version",
            lambda: comparison_section(metrics, previous, quality=inputs.quality, name=name),
        ),
    ]


def _section(name: str, title: str, make: Callable[[], Section]) -> Section:
    """A section, or in its place a sentence with the reason why there is none."""
    try:
        return make()
    except Exception as error:
        _LOG.warning("Section %r of the report could not be made.", name, exc_info=error)
        text = f"This section could not be made: {type(error).__name__}: {error}"
        return Section(name=name, title=title, blocks=[Text(text=text)])


def _attempt(make: Callable[[], Any], *, default: Any, subject: str) -> Any:
    try:
        return make()
    except Exception as error:
        _LOG.warning("The report is without %s: %s: %s", subject, type(error).__name__, error, exc_info=error)
        return default


class _MappedItems(NamedTuple):
    """Ids [n] and vectors [n, dim] of a sample of the items."""

    items: Sequence[bytes]
    vectors: np.ndarray


_NO_ITEMS = _MappedItems((), np.zeros([0, 2]))


def _answers(inputs: ReportInputs, wire: WireConfig) -> Sequence[AnsweredQuery]:
    """The answers of the bundle to a sample of the recorded requests; the model is loaded where there are any."""
    split = inputs.events.get(_EVALUATED_SPLIT, "")
    requests = choose_requests(read_eval_requests(split, wire=wire, limit=POOL)) if split else []
    if not requests:
        return ()
    with remote_files.local_copy(inputs.bundle) as folder:
        model = LoadedModel(folder, missing_libraries=load_op_libraries())
    try:
        return answer_requests(model, requests)
    finally:
        model.close()


def _mapped_items(bundle: str, num_items: int) -> _MappedItems:
    """The sample of items for the map, of a catalogue that is not too large to be loaded for it."""
    if num_items > _MAX_MAPPED:
        return _NO_ITEMS
    with remote_files.local_copy(bundle) as folder:
        catalogue = read_catalogue(folder)
    place = {item: row for row, item in enumerate(catalogue.ids[: catalogue.num_indexed])}
    items = sample_ids(list(place), MAX_ITEMS)
    return _MappedItems(items, catalogue.vectors[[place[item] for item in items]])


def _data_section(inputs: ReportInputs, figures: CatalogueFigures | None, wire: WireConfig) -> Section:
    if figures is None:
        raise ValueError(f"the item Examples in {inputs.items} cannot be read")
    events = {split: read_event_figures(folder, wire=wire) for split, folder in inputs.events.items()}
    return data_quality_section(figures, events)


def _facts(inputs: ReportInputs, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, str]:
    """Lines of the head; those that are unknown are left out."""
    index = manifest.get("index", {})
    facts = {
        "bundle": str(manifest.get("bundle_version", "")),
        "model": str(manifest.get("model_id", ""))[:16],
        "items": f"{manifest['n_items']:,}" if "n_items" in manifest else "",
        "index": str(index.get("kind", "")) if isinstance(index, Mapping) else "",
        "training": ", ".join(
            f"{name.replace('_', ' ')} {count:,}" for name, count in metrics.get("counts", {}).items()
        ),
        "seconds": ", ".join(f"{name} {value:.1f}" for name, value in inputs.seconds.items() if value >= 0.1),
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    return {name: value for name, value in facts.items() if value}


def _version_name(folder: str) -> str:
    return f"version {folder.rstrip('/').rpartition('/')[2]}" if folder else ""
