"""Incremental refresh: a new version of a bundle for a changed catalogue, without training.

    python -m serving.bundle.refresh --bundle DIR --items 'PATTERN' --output DIR [--publish DIR]

Only new and changed items are encoded. The base index is taken as it was built; added and changed items go into a small
exact delta index beside it, removed and changed ones leave a tombstone. Once these are too many, the base index is
built again from the known vectors.
"""

import argparse
import dataclasses
import enum
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizers' ops, without which towers do not load

from serving.bundle.build import index_for, write_bundles
from serving.bundle.publish import local_newest, newest_bundles, publish, read_manifest
from serving.bundle_layout import BUILD_NUMBER
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.diff import KnownItems, compact_catalogue, encode_changed, is_unchanged, refresh_catalogue
from serving.catalogue.item_encoder import EncodedItems, encode_items
from serving.catalogue.storage import read_catalogue
from serving.engine.item_tables import ItemTables
from serving.index.exact import ExactIndex
from serving.index.factory import BuiltIndex, restore_index
from serving.index.kinds import SCANN_KINDS, IndexKind
from serving.index.tiered import TieredIndex
from serving.index.vector_store import VectorStore
from serving.similarity import Similarity
from serving.towers import LoadedTowers, carried_files
from trainer.plain_paths import plain_path
from trainer.spec import config as configs

REBUILD_FRACTION = 0.2  # of the base index: with more delta items and tombstones it is built again


class Rebuild(enum.StrEnum):
    """Policy of rebuilding the base index."""

    AUTO = "auto"  # when delta and tombstones are more than `REBUILD_FRACTION` of it
    ALWAYS = "always"
    NEVER = "never"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefreshReport:
    """Outcome of a refresh.

    Attributes:
      bundle_version: Content id of the new bundle, or of the old one where nothing had changed.
      items: Items in the catalogue now.
      encoded: Items that went through the item tower: new ones, and those whose content changed.
      removed: Items of the old catalogue that are gone.
      delta: Items in the delta index.
      tombstones: Rows of the base index that are no longer shown.
      rebuilt: Whether the base index was built again.
      changed: Whether there is a new bundle.
      seconds: {step: duration}.
      paths: {flavour: folder of the new bundle}, empty where nothing had changed.
    """

    bundle_version: str
    items: int
    encoded: int
    removed: int
    delta: int
    tombstones: int
    rebuilt: bool
    changed: bool
    seconds: Mapping[str, float]
    paths: Mapping[str, Path]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _SourceBundle:
    """A bundle to refresh: {flavour: manifest}, {flavour: loaded SavedModel}, its catalogue and its towers."""

    manifests: Mapping[str, Mapping[str, Any]]
    modules: Mapping[str, Any]
    catalogue: Catalogue
    towers: LoadedTowers

    @classmethod
    def load(cls, bundle_dir: Path) -> "_SourceBundle":
        """Loads the newest bundle below a folder."""
        folders = newest_bundles(bundle_dir)
        manifests = {flavour: read_manifest(path) for flavour, path in folders.items()}
        first = next(iter(folders))
        catalogue = read_catalogue(folders[first])
        modules = {flavour: _load_module(path, manifests[flavour]) for flavour, path in folders.items()}
        towers = LoadedTowers(
            module=modules[first].functions.towers,
            config=configs.from_dict(manifests[first]["config"], configs.Config()),
            model_id=manifests[first]["model_id"],
            has_intent_head=manifests[first]["has_intent_head"],
            carried_files=carried_files(folders[first]),
        )
        return cls(manifests=manifests, modules=modules, catalogue=catalogue, towers=towers)

    @property
    def bundle_version(self) -> str:
        """The content id."""
        return str(next(iter(self.manifests.values()))["bundle_version"])


def refresh_bundle(
    bundle_dir: str | Path, items_pattern: str, output_dir: str | Path, *, rebuild: Rebuild = Rebuild.AUTO
) -> RefreshReport:
    """Writes `<output_dir>/<flavour>/1` for each flavour of the newest bundle in `bundle_dir`.

    Args:
      bundle_dir: `<flavour>/<number>`, as built or as published.
      items_pattern: Glob of TFRecord files with the Examples of the whole catalogue as it is now.
      output_dir: Folder of the new bundles.
      rebuild: Whether the base index is built again.

    Raises:
      ValueError: No intact bundle, one that cannot be refreshed, or items that do not fit.
    """
    stopwatch = _Stopwatch()
    source = _SourceBundle.load(Path(bundle_dir))
    old, towers, search = source.catalogue, source.towers, source.towers.config.search
    stopwatch.lap("load")
    known = KnownItems(old)
    encoded = encode_items(towers, items_pattern, is_known=known.contains)
    stopwatch.lap("read_and_encode")
    day_encoding, previous = encode_changed(towers, old, encoded), source.bundle_version
    catalogue = refresh_catalogue(old, encoded, day_encoding, known=known, previous=previous, search=search)
    if is_unchanged(old, catalogue) and rebuild is not Rebuild.ALWAYS:
        return _report(old, previous, known=old, encoded=encoded, stopwatch=stopwatch)
    is_rebuilt = _needs_rebuild(catalogue, rebuild)
    if is_rebuilt:
        catalogue = compact_catalogue(catalogue)
    tables = ItemTables(catalogue, search=search)
    Path(output_dir).mkdir(parents=True, exist_ok=True)
    if is_rebuilt:
        indexes = _rebuilt_indexes(source, catalogue, tables, work_dir=Path(output_dir))
    else:
        indexes = _tiered_indexes(source, catalogue, tables)
    stopwatch.lap("index")
    paths = {flavour: Path(output_dir) / flavour / str(BUILD_NUMBER) for flavour in indexes}
    built = write_bundles(catalogue, towers=towers, tables=tables, indexes=indexes, paths=paths, items=items_pattern)
    stopwatch.lap("save")
    report = _report(catalogue, built.bundle_version, known=old, encoded=encoded, stopwatch=stopwatch)
    return dataclasses.replace(report, rebuilt=is_rebuilt, changed=True, paths=paths)


def _needs_rebuild(catalogue: Catalogue, rebuild: Rebuild) -> bool:
    if rebuild is not Rebuild.AUTO:
        return rebuild is Rebuild.ALWAYS
    num_stale = int(catalogue.removed.sum()) + catalogue.num_indexed - catalogue.num_base
    return num_stale > REBUILD_FRACTION * catalogue.num_base


class _Stopwatch:
    """Durations of steps in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, step: str) -> None:
        """Ends a step."""
        now = time.monotonic()
        self.seconds[step], self._last = round(now - self._last, 3), now


def _load_module(path: Path, manifest: Mapping[str, Any]) -> Any:
    if IndexKind(manifest["index"]["kind"]) in SCANN_KINDS:
        from scann.scann_ops.py import scann_ops  # noqa: F401  registers the ops, without which it does not load
    return tf.saved_model.load(plain_path(path))


def _rebuilt_indexes(
    source: _SourceBundle, catalogue: Catalogue, tables: ItemTables, *, work_dir: Path
) -> dict[str, BuiltIndex]:
    return {
        flavour: index_for(flavour, catalogue, towers=source.towers, tables=tables, work_dir=work_dir)
        for flavour in source.modules
    }


def _tiered_indexes(source: _SourceBundle, catalogue: Catalogue, tables: ItemTables) -> dict[str, BuiltIndex]:
    """The base index of each flavour with a new delta index and new tombstones."""
    similarity = Similarity(source.towers)
    indexes = {}
    for flavour, module in source.modules.items():
        metadata = source.manifests[flavour]["index"]
        was_tiered = "delta_items" in metadata
        base = restore_index(module.functions.index.base if was_tiered else module.functions.index, metadata)
        newer = np.asarray(similarity.item_keys(catalogue.vectors[catalogue.num_base : catalogue.num_indexed]))
        removed = catalogue.removed[: catalogue.num_base]
        index = TieredIndex(
            base,
            removed=removed,
            delta=ExactIndex(VectorStore.of(newer, storage=configs.VectorDtype.FLOAT32)),
            vectors_of=lambda rows: similarity.item_keys(tables.vectors_of(rows)),
        )
        counts = {"delta_items": len(newer), "tombstones": int(removed.sum())}
        indexes[flavour] = BuiltIndex(index=index, metadata={**metadata, **counts}, keep_alive=module)
    return indexes


def _report(
    catalogue: Catalogue, version: str, *, known: Catalogue, encoded: EncodedItems, stopwatch: _Stopwatch
) -> RefreshReport:
    """The report of an unchanged bundle."""
    return RefreshReport(
        bundle_version=version,
        items=len(encoded.ids),
        encoded=int(encoded.is_encoded.sum()),
        removed=len(set(known.alive_ids) - set(encoded.ids)),
        delta=catalogue.num_indexed - catalogue.num_base,
        tombstones=int(catalogue.removed.sum()),
        rebuilt=False,
        changed=False,
        seconds=stopwatch.seconds,
        paths={},
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line: prints the report as one line of JSON."""
    options = parser().parse_args(argv)
    with local_newest(options.bundle) as bundle_dir:
        report = refresh_bundle(bundle_dir, options.items, options.output, rebuild=options.rebuild)
    line: dict[str, Any] = {**dataclasses.asdict(report), "paths": {key: str(p) for key, p in report.paths.items()}}
    if options.publish and report.changed:
        line["published"] = publish(options.output, options.publish)
    print(json.dumps(line))


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--bundle", required=True, help="folder of `stock` and `scann`; the newest is taken")
    made.add_argument("--items", required=True, help="pattern of the item Examples, the whole catalogue")
    made.add_argument("--output", required=True, help="folder of the new bundles")
    made.add_argument("--publish", help="folder in which they become the next version")
    made.add_argument("--rebuild", type=Rebuild, default=Rebuild.AUTO, choices=list(Rebuild), help="the base index")
    return made


if __name__ == "__main__":
    main()
