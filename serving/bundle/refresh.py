"""A new version of a bundle for a changed catalogue: only new and changed items are encoded, nothing is retrained.

    python -m serving.bundle.refresh --bundle DIR --items 'PATTERN' --output DIR [--publish DIR]

The big index is taken as it was built; what was added or changed goes into a small exact one beside it, what is gone or
changed leaves a tombstone. Once these are too many, the big index is built again from the vectors that are there.
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
from serving.bundle.publish import newest_bundles, publish, read_manifest
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
from serving.towers import LoadedTowers, warm_start_files
from trainer.spec import config as configs

BUILD_NUMBER = 1
REBUILD_FRACTION = 0.2  # of the big index: more in the delta and among the tombstones, and it is built again


class Rebuild(enum.StrEnum):
    """Whether the big index is built again."""

    AUTO = "auto"  # when delta and tombstones are more than `REBUILD_FRACTION` of it
    ALWAYS = "always"
    NEVER = "never"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
      bundle_version: The content id of the new bundle, or of the old one where nothing had changed.
      items: Items in the catalogue now.
      encoded: How many went through the item tower: new ones, and those whose content changed.
      removed: How many that were there are gone.
      delta: Items in the small index.
      tombstones: Rows of the big index that nothing shows any more.
      rebuilt: Whether the big index was built again.
      changed: Whether there is a new bundle.
      seconds: {step: time it took}.
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


def refresh_bundle(
    bundle_dir: str | Path, items_pattern: str, output_dir: str | Path, *, rebuild: Rebuild = Rebuild.AUTO
) -> RefreshReport:
    """Writes `<output_dir>/<flavour>/1` for each flavour of the newest bundle in `bundle_dir`.

    Args:
      bundle_dir: `<flavour>/<number>`, as built or as published.
      items_pattern: Glob of TFRecord files with the Examples of the whole catalogue as it is now.
      output_dir: Where the new bundles go.
      rebuild: Whether the big index is built again.

    Raises:
      ValueError: No sound bundle, one that cannot be refreshed, or items that do not fit.
    """
    clock = _Stopwatch()
    sources = newest_bundles(Path(bundle_dir))
    manifests = {flavour: read_manifest(path) for flavour, path in sources.items()}
    manifest = next(iter(manifests.values()))
    old = read_catalogue(next(iter(sources.values())))
    loaded = {flavour: _load(path, manifests[flavour]) for flavour, path in sources.items()}
    module = next(iter(loaded.values())).answers.towers
    config = configs.from_dict(manifest["config"], configs.Config())
    towers = LoadedTowers(
        module=module,
        config=config,
        model_id=manifest["model_id"],
        reads_intent=manifest["reads_intent"],
        carried=warm_start_files(next(iter(sources.values()))),
    )
    clock.lap("load")
    known = KnownItems(old)
    encoded = encode_items(towers, items_pattern, is_known=known.contains)
    clock.lap("read_and_encode")
    seen = encode_changed(towers, old, encoded)
    catalogue = refresh_catalogue(
        old, encoded, seen, known=known, previous=manifest["bundle_version"], search=config.search
    )
    if is_unchanged(old, catalogue) and rebuild is not Rebuild.ALWAYS:
        return _report(old, manifest["bundle_version"], encoded=encoded, removed=0, clock=clock)
    removed = len(set(old.alive_ids) - set(encoded.ids))
    waste = int(catalogue.removed.sum()) + catalogue.num_indexed - catalogue.num_base
    again = rebuild is Rebuild.ALWAYS or (rebuild is Rebuild.AUTO and waste > REBUILD_FRACTION * catalogue.num_base)
    if again:
        catalogue = compact_catalogue(catalogue)
    tables = ItemTables(catalogue, search=config.search)
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    indexes = {}
    for flavour, bundle in loaded.items():
        if again:
            indexes[flavour] = index_for(flavour, catalogue, towers=towers, tables=tables, work_dir=output_dir)
        else:
            facts = manifests[flavour]["index"]
            indexes[flavour] = _tiered_index(bundle, facts, catalogue=catalogue, tables=tables, by=Similarity(towers))
    clock.lap("index")
    paths = {flavour: output_dir / flavour / str(BUILD_NUMBER) for flavour in sources}
    written = write_bundles(catalogue, towers=towers, tables=tables, indexes=indexes, paths=paths)
    clock.lap("save")
    return _report(
        catalogue, written.bundle_version, encoded=encoded, removed=removed, clock=clock, rebuilt=again, paths=paths
    )


class _Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, step: str) -> None:
        """Ends a step."""
        now = time.monotonic()
        self.seconds[step], self._last = round(now - self._last, 3), now


def _load(path: Path, manifest: Mapping[str, Any]) -> Any:
    if IndexKind(manifest["index"]["kind"]) in SCANN_KINDS:
        from scann.scann_ops.py import scann_ops  # noqa: F401  registers the ops, without which it does not load
    return tf.saved_model.load(str(path))


def _tiered_index(
    bundle: Any, facts: Mapping[str, Any], *, catalogue: Catalogue, tables: ItemTables, by: Similarity
) -> BuiltIndex:
    """The big index of a loaded bundle with a new delta and new tombstones."""
    was_tiered = "delta_items" in facts
    base = restore_index(bundle.answers.index.base if was_tiered else bundle.answers.index, facts)
    newer = np.asarray(by.item_keys(catalogue.vectors[catalogue.num_base : catalogue.num_indexed]))
    delta = ExactIndex(VectorStore.of(newer, storage=configs.VectorDtype.FLOAT32))
    removed = catalogue.removed[: catalogue.num_base]
    index = TieredIndex(
        base, removed=removed, delta=delta, vectors_of=lambda rows: by.item_keys(tables.vectors_of(rows))
    )
    counts = {"delta_items": len(newer), "tombstones": int(removed.sum())}
    return BuiltIndex(index=index, facts={**facts, **counts}, keep=bundle)


def _report(
    catalogue: Catalogue,
    version: str,
    *,
    encoded: EncodedItems,
    removed: int,
    clock: _Stopwatch,
    rebuilt: bool = False,
    paths: Mapping[str, Path] | None = None,
) -> RefreshReport:
    return RefreshReport(
        bundle_version=version,
        items=len(encoded.ids),
        encoded=int(encoded.is_encoded.sum()),
        removed=removed,
        delta=catalogue.num_indexed - catalogue.num_base,
        tombstones=int(catalogue.removed.sum()),
        rebuilt=rebuilt,
        changed=bool(paths),
        seconds=clock.seconds,
        paths=paths or {},
    )


def main(arguments_given: Sequence[str] | None = None) -> None:
    """The command line: prints what was done as one line of JSON."""
    arguments = parser().parse_args(arguments_given)
    report = refresh_bundle(arguments.bundle, arguments.items, arguments.output, rebuild=arguments.rebuild)
    told: dict[str, Any] = {**dataclasses.asdict(report), "paths": {key: str(p) for key, p in report.paths.items()}}
    if arguments.publish and report.changed:
        told["published"] = publish(arguments.output, arguments.publish)
    print(json.dumps(told))


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--bundle", type=Path, required=True, help="folder of `stock` and `scann`; the newest is taken")
    made.add_argument("--items", required=True, help="pattern of the item Examples, the whole catalogue")
    made.add_argument("--output", type=Path, required=True, help="where the new bundles are written")
    made.add_argument("--publish", type=Path, help="folder in which they become the next version")
    made.add_argument("--rebuild", type=Rebuild, default=Rebuild.AUTO, choices=list(Rebuild), help="the big index")
    return made


if __name__ == "__main__":
    main()
