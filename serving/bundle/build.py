"""Bundle build: towers and a catalogue become a SavedModel with an index, warm-up requests and a manifest.

The `bundle_version` in every response is a content id, `<model>-<index>`: two builds of the same towers, items and code
have the same one, in both flavours. The number of the folder comes from publishing and is not part of the content.
"""

import dataclasses
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.bundle.input_limits import write_limits
from serving.bundle.op_check import FLAVOUR_NAMESPACES, check_supported_ops, ops_of
from serving.bundle.saved_model import Bundle
from serving.bundle.warmup import write_warmup
from serving.bundle_layout import FLAVOURS
from serving.catalogue.catalogue import Catalogue, encode_catalogue
from serving.catalogue.item_encoder import title_queries
from serving.catalogue.review_sentiment import has_intent_labels, item_sentiment
from serving.catalogue.storage import write_catalogue
from serving.engine.item_tables import ItemTables
from serving.engine.signatures import SignatureFunctions
from serving.engine.text_index import build_text_indexes
from serving.index.clustering import sample_queries
from serving.index.factory import BuiltIndex, build_index
from serving.index.kinds import EXACT_KINDS, choose_kind
from serving.manifest import write_manifest
from serving.similarity import Similarity
from serving.towers import LoadedTowers, export_towers, load_towers
from trainer.source_hash import source_hash
from trainer.spec.config import to_dict
from trainer.spec.tasks import SENTIMENT

__all__ = ["BundleReport", "build_bundle", "bundle_version", "export_towers"]
# The code that is in the graph of a bundle or determines its content; the last is started as a process.
CODE_MODULES = ("serving.bundle.build", "serving.index.scann_builder")
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleReport:
    """Outcome of a build.

    Attributes:
      bundle_version: Content id, an output of every signature.
      num_items: Items in the catalogue.
      quarantined: Items that search cannot find, because their vector is zero or not finite.
      index_kinds: {flavour: kind of index}.
      recall: {flavour: recall@10 of the index against exact search}; 1.0 for an exact one.
      paths: {flavour: folder of the bundle}.
    """

    bundle_version: str
    num_items: int
    quarantined: tuple[str, ...]
    index_kinds: Mapping[str, str]
    recall: Mapping[str, float]
    paths: Mapping[str, Path]


def build_bundle(
    towers_dir: str | Path,
    items_pattern: str,
    output_dir: str | Path,
    *,
    version: int,
    flavours: Sequence[str] = FLAVOURS,
    popularity: Mapping[bytes, float] | None = None,
    events_pattern: str | None = None,
    days_pattern: str | None = None,
) -> BundleReport:
    """Builds `<output_dir>/<flavour>/<version>` for each flavour; each folder appears whole or not at all.

    Args:
      towers_dir: Folder that `export_towers` wrote.
      items_pattern: Glob of TFRecord files of item Examples.
      output_dir: Folder of the bundles.
      version: Name of the folders, a positive number.
      flavours: Any of `stock` and `scann`.
      popularity: {item id: number}, larger first, for empty queries; without it they get the catalogue order.
      events_pattern: Glob of event Examples, for the sentiment of reviews; the intent head counts only where some of
        these events have an intent label.
      days_pattern: Glob of day Examples; without it items have their content and relations only.

    Raises:
      ValueError: An unknown flavour, towers or items that do not fit, or ops that the target does not have.
      RuntimeError: An index could not be built.
    """
    _check_flavours(flavours)
    (output_dir := Path(output_dir)).mkdir(parents=True, exist_ok=True)
    is_labelled = bool(events_pattern) and has_intent_labels(str(events_pattern))
    towers = dataclasses.replace(load_towers(towers_dir), has_intent_head=is_labelled)
    item_values = {SENTIMENT: item_sentiment(towers, events_pattern)} if events_pattern else {}
    catalogue = encode_catalogue(
        towers, items_pattern, days_pattern=days_pattern, popularity=popularity, item_values=item_values
    )
    tables = ItemTables(catalogue, search=towers.config.search)
    indexes = {f: index_for(f, catalogue, towers=towers, tables=tables, work_dir=output_dir) for f in flavours}
    paths = {f: output_dir / f / str(version) for f in flavours}
    return write_bundles(catalogue, towers=towers, tables=tables, indexes=indexes, paths=paths, items=items_pattern)


def items_time(items_pattern: str) -> float:
    """Returns when the first file of items was written, in epoch seconds: live changes before it are in the items."""
    files = tf.io.gfile.glob(items_pattern)
    return min((tf.io.gfile.stat(path).mtime_nsec / 1e9 for path in files), default=0.0)


def _check_flavours(flavours: Sequence[str]) -> None:
    for flavour in flavours:
        if flavour not in FLAVOURS:
            raise ValueError(f"Flavour {flavour!r} is not known; wanted one of {', '.join(FLAVOURS)}.")


def write_bundles(
    catalogue: Catalogue,
    *,
    towers: LoadedTowers,
    tables: ItemTables,
    indexes: Mapping[str, BuiltIndex],
    paths: Mapping[str, Path],
    items: str,
) -> BundleReport:
    """Saves one bundle for each flavour of `indexes` to its path; each folder appears whole or not at all.

    `items` is the glob of the files of the catalogue, whose time the manifest has.

    Raises:
      ValueError: A bundle uses ops that its flavour's server does not have.
    """
    name = bundle_version(towers.model_id, f"{catalogue.content_id} intent {towers.has_intent_head}")
    texts = build_text_indexes(catalogue, search=towers.config.search)
    if catalogue.quarantined:
        _LOG.warning("%d items have no usable vector and are left out of the index", len(catalogue.quarantined))
    bundle = None
    for flavour, built in indexes.items():
        extra = _manifest_entries(name, flavour, built, towers=towers, catalogue=catalogue)
        extra["items_time"] = items_time(items)
        functions = SignatureFunctions(towers, tables=tables, index=built.index, texts=texts, version=name)
        bundle = Bundle(functions, same_but_index=bundle)
        _save(bundle, paths[flavour], flavour=flavour, catalogue=catalogue, extra=extra, copied=towers.carried_files)
        _LOG.info("built %s: %d items, index %s", flavour, len(catalogue.alive_ids), built.index.kind.value)
    return BundleReport(
        bundle_version=name,
        num_items=len(catalogue.alive_ids),
        quarantined=tuple(item.decode(errors="replace") for item in catalogue.quarantined),
        index_kinds={flavour: built.index.kind.value for flavour, built in indexes.items()},
        recall={flavour: built.metadata["recall_at_10"] for flavour, built in indexes.items()},
        paths=paths,
    )


def bundle_version(model_id: str, content_id: str) -> str:
    """Returns the content id of a bundle: its model, then its items, search settings and our code."""
    digest = hashlib.sha256(f"{content_id}\0{source_hash(CODE_MODULES)}".encode())
    return f"{model_id[:16]}-{digest.hexdigest()[:16]}"


def index_for(
    flavour: str, catalogue: Catalogue, *, towers: LoadedTowers, tables: ItemTables, work_dir: Path
) -> BuiltIndex:
    """A big index over the whole of `catalogue`, of the kind that its size and the configuration ask for."""
    search, similarity = towers.config.search, Similarity(towers)
    kind = choose_kind(catalogue.num_indexed, flavour=flavour, search=search, similarity=similarity.kind)
    titles = catalogue.columns["title"][: catalogue.num_indexed].tolist()
    vectors = catalogue.vectors[: catalogue.num_indexed]
    # Titles are closest to the queries to come, but cost a pass of the query tower; without any, items plus noise do.
    queries = sample_queries(vectors) if kind in EXACT_KINDS else title_queries(towers, titles)
    queries = queries if len(queries) else sample_queries(vectors)
    with tempfile.TemporaryDirectory(prefix=".tmp-index-", dir=work_dir) as scratch:
        return build_index(
            np.asarray(similarity.item_keys(vectors)),
            queries=np.asarray(similarity.query_keys(queries)),
            kind=kind,
            storage=search.vector_dtype,
            k=tables.num_candidates,
            work_dir=Path(scratch),
        )


def _manifest_entries(
    name: str, flavour: str, built: BuiltIndex, *, towers: LoadedTowers, catalogue: Catalogue
) -> dict[str, Any]:
    return {
        "flavour": flavour,
        "index": dict(built.metadata),
        "bundle_version": name,
        "model_id": towers.model_id,
        "has_intent_head": towers.has_intent_head,
        "content_id": catalogue.content_id,
        "n_items": len(catalogue.alive_ids),
        "quarantined": [item.decode(errors="replace") for item in catalogue.quarantined],
        "config": to_dict(towers.config),
    }


def _save(
    bundle: Bundle,
    target: Path,
    *,
    flavour: str,
    catalogue: Catalogue,
    extra: Mapping[str, Any],
    copied: Sequence[Path] = (),
) -> None:
    """Writes one bundle aside, checks its ops, adds warm-up and manifest, and renames it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".tmp-{target.name}-", dir=target.parent))
    try:
        config = bundle.functions.config
        bundle.save(str(aside), namespaces=FLAVOUR_NAMESPACES[flavour], flat=config.search.optimize_graphs)
        check_supported_ops(aside, flavour=flavour)
        write_limits(aside, config=config)
        write_warmup(aside, config=config, item_ids=catalogue.alive_ids[:10])
        write_catalogue(aside, catalogue)
        for path in copied:
            shutil.copy(path, aside / "assets.extra" / path.name)
        write_manifest(aside, extra={**extra, "ops": sorted(ops_of(aside))})
        aside.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.rename(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
