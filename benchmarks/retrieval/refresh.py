"""Cost of a catalogue refresh beside encoding everything, when one item in a hundred has changed, or one alone.

What the refresh with one changed item takes is the fixed cost; what reading and encoding take longer with one in a
hundred is what the change costs. After a first refresh, which does not count, the two are done in turn, in the other
order every other round, and of each the shortest time counts.

python -m benchmarks.retrieval.refresh --bundle runs/demo/bundle --items 'PATTERN'
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
import tensorflow_text  # noqa: F401  isort: skip  registers the tokenizers' ops

from serving.bundle.publish import newest_bundles, read_manifest
from serving.bundle.refresh import refresh_bundle
from serving.catalogue.item_encoder import encode_items
from serving.catalogue.storage import read_catalogue
from serving.towers import LoadedTowers
from trainer.ops.example_reader import matching_files
from trainer.spec import config as configs

EVERY = 100


def change_items(pattern: str, folder: Path, *, every: int) -> set[bytes]:
    """Writes the items with the title of each `every`-th one changed; returns the ids of those."""
    changed: set[bytes] = set()
    number = 0
    with tf.io.TFRecordWriter(str(folder / "items")) as writer:
        for path in matching_files(pattern):
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                number += 1
                if number % every == every - 1:
                    example = tf.train.Example.FromString(record)
                    title = example.features.feature["title"].bytes_list
                    title.value[0] = title.value[0] + b" renewed"
                    changed.add(example.features.feature["item_id"].bytes_list.value[0])
                    record = example.SerializeToString(deterministic=True)
                writer.write(record)
    return changed


def seconds_to_encode(bundle: Path, pattern: str) -> float:
    """Measures the item tower of a bundle over the whole catalogue, reading included."""
    path = next(iter(newest_bundles(bundle).values()))
    manifest = read_manifest(path)
    module = tf.saved_model.load(str(path)).functions.towers
    config = configs.from_dict(manifest["config"], configs.Config())
    towers = LoadedTowers(module=module, config=config, model_id=manifest["model_id"])
    started = time.monotonic()
    encode_items(towers, pattern)
    return time.monotonic() - started


def refresh(bundle: Path, pattern: str, *, every: int) -> dict[str, Any]:
    """The figures of one refresh."""
    with tempfile.TemporaryDirectory() as scratch:
        changed = change_items(pattern, Path(scratch), every=every)
        started = time.monotonic()
        report = refresh_bundle(bundle, f"{scratch}/items", Path(scratch) / "out")
        taken = time.monotonic() - started
        before = read_catalogue(next(iter(newest_bundles(bundle).values())))
        after = read_catalogue(next(iter(report.paths.values())))
    same = [row for row, name in enumerate(before.ids) if name not in changed]
    equal = np.array_equal(before.branches[same].view(np.uint8), after.branches[same].view(np.uint8))
    return {
        "items": report.items,
        "encoded": report.encoded,
        "seconds": taken,
        "by_step": dict(report.seconds),
        "unchanged_bytes_equal": equal and [before.ids[row] for row in same] == [after.ids[row] for row in same],
    }


def shortest(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One refresh of several of the same: the shortest times, and whether the bytes were equal every time."""
    steps = rounds[0]["by_step"]
    return {
        **rounds[0],
        "seconds": round(min(each["seconds"] for each in rounds), 2),
        "by_step": {step: min(each["by_step"][step] for each in rounds) for step in steps},
        "unchanged_bytes_equal": all(each["unchanged_bytes_equal"] for each in rounds),
    }


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--items", required=True)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    count = int(read_manifest(next(iter(newest_bundles(options.bundle).values())))["n_items"])
    whole: list[float] = []
    one: list[dict[str, Any]] = []
    many: list[dict[str, Any]] = []
    refresh(options.bundle, options.items, every=count)
    kinds = [(one, count), (many, EVERY)]
    for _ in range(options.rounds):
        whole.append(seconds_to_encode(options.bundle, options.items))
        for found, every in kinds:
            found.append(refresh(options.bundle, options.items, every=every))
        kinds.reverse()
    fixed, changing = shortest(one), shortest(many)
    step = "read_and_encode"
    figures = {
        "seconds_to_encode_all": round(min(whole), 2),
        "one_item": fixed,
        "one_in_a_hundred": changing,
        "share_of_encoding_all": round((changing["by_step"][step] - fixed["by_step"][step]) / min(whole), 4),
        "share_by_round": [
            round((after["by_step"][step] - before["by_step"][step]) / min(whole), 4)
            for before, after in zip(one, many, strict=True)
        ],
        "seconds_by_round": [[round(each["seconds"], 2) for each in pair] for pair in zip(one, many, strict=True)],
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
