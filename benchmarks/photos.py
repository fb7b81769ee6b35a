"""Photos of the grocery set by plain methods, and a part of its `train` photos kept apart to choose settings on.

    python -m benchmarks.photos apart --data DATA --work runs/apart
    python -m benchmarks.photos plain --data DATA

`apart` writes a copy of the set whose `val` photos are those of `train` that look least like the others of their
product: a last fifth of each product would be more photos of the same shelf (a histogram of colours gets nine in ten
of them right, and a third of `val`). It has the encoders beside it, so that `benchmarks.real_data --data runs/apart`
trains on it. `plain` prints the accuracy of a linear probe on MobileNet's features and of a histogram of colours on
`val`; how much they are regularised is chosen on the photos kept apart.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Sequence

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
import tensorflow_hub as hub  # isort: skip
from sklearn.cluster import AgglomerativeClustering  # isort: skip
from sklearn.linear_model import LogisticRegression  # isort: skip

SET, ENCODER = "grocery", "mobilenet_v1_1.0_224"
THUMBNAIL_PX, HISTOGRAM_PX, ENCODER_PX = 8, 64, 224
BINS = (12, 4, 4)  # hue, saturation, value
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)  # inverse of the regularisation
Photos = list[list[str]]  # path, number of the product and what else a line of the set's lists has


def read_list(folder: pathlib.Path, name: str) -> Photos:
    """The lines of one list of photos."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return [cells for cells in csv.reader(file, skipinitialspace=True) if cells]


def pixels(folder: pathlib.Path, photos: Photos, px: int) -> np.ndarray:
    """[photo, px, px, 3] float32 in 0 to 1."""
    found = []
    for path, *_ in photos:
        photo = tf.io.decode_jpeg(tf.io.read_file(str(folder / path)), channels=3)
        found.append(tf.image.resize(tf.cast(photo, tf.float32) / 255.0, [px, px], antialias=True).numpy())
    return np.clip(np.stack(found), 0.0, 1.0)


def products(photos: Photos) -> np.ndarray:
    """[photo] int: the number of the product of each."""
    return np.array([int(number) for _, number, *_ in photos])


def unlike_the_others(thumbnails: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """[photo] bool: the smaller of the two groups that average linkage finds among the photos of each product."""
    flat = thumbnails.reshape(len(thumbnails), -1)
    chosen = np.zeros(len(numbers), bool)
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        group = AgglomerativeClustering(2, linkage="average").fit_predict(flat[rows])
        chosen[rows[group == np.bincount(group).argmin()]] = True
    return chosen


def kept_apart(folder: pathlib.Path, train: Photos) -> np.ndarray:
    """[photo] bool: which of the `train` photos settings are chosen on."""
    return unlike_the_others(pixels(folder, train, THUMBNAIL_PX), products(train))


def write_apart(data: pathlib.Path, work: pathlib.Path) -> None:
    """Copies the set into `work`, with photos kept apart as its `val`, and links the encoders beside it."""
    folder = work / SET
    if folder.exists():
        raise SystemExit(f"{folder} exists; wanted a new folder. Name another --work, or remove it.")
    train = read_list(data / SET, "train.txt")
    apart = kept_apart(data / SET, train)
    shutil.copytree(data / SET, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)  # the set may be read-only
    os.symlink((data / "encoders").resolve(), work / "encoders")
    for name, wanted in (("train.txt", False), ("val.txt", True)):
        path = folder / name
        lines = [", ".join(cells) for cells, is_apart in zip(train, apart, strict=True) if is_apart == wanted]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(json.dumps({"train": int((~apart).sum()), "val": int(apart.sum())}))


def probe_features(data: pathlib.Path, photos: Photos) -> np.ndarray:
    """[photo, 1024] float32 of MobileNet."""
    encoder = hub.KerasLayer(str(data / "encoders" / ENCODER))
    parts = [photos[start : start + 64] for start in range(0, len(photos), 64)]
    return np.concatenate([encoder(pixels(data / SET, part, ENCODER_PX)).numpy() for part in parts])


def colour_features(data: pathlib.Path, photos: Photos) -> np.ndarray:
    """[photo, bins] float32: roots of the shares of a photo's points in each bin of hue, saturation and value."""
    found = []
    for photo in tf.image.rgb_to_hsv(pixels(data / SET, photos, HISTOGRAM_PX)).numpy():
        counts, _ = np.histogramdd(photo.reshape(-1, 3), bins=BINS, range=[(0.0, 1.0)] * 3)
        found.append(np.sqrt(counts.ravel() / counts.sum()))
    return np.stack(found).astype(np.float32)


def accuracy(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], strengths: Sequence[float]
) -> list[float]:
    """Accuracy of logistic regression on `test` (features, products), for each inverse regularisation."""
    fits = (LogisticRegression(C=strength, solver="newton-cg", max_iter=1000).fit(*train) for strength in strengths)
    return [float(fit.score(*test)) for fit in fits]


def plain(
    data: pathlib.Path, features: Callable[[pathlib.Path, Photos], np.ndarray], *, apart: np.ndarray
) -> dict[str, float]:
    """Accuracy on `val` with the regularisation that is best on the `train` photos kept `apart` ([photo] bool)."""
    train, val = (read_list(data / SET, f"{name}.txt") for name in ("train", "val"))
    seen, numbers = features(data, train), products(train)
    chosen = accuracy((seen[~apart], numbers[~apart]), (seen[apart], numbers[apart]), STRENGTHS)
    best = int(np.argmax(chosen))
    (final,) = accuracy((seen, numbers), (features(data, val), products(val)), STRENGTHS[best : best + 1])
    return {"inverse_regularisation": STRENGTHS[best], "kept_apart": round(chosen[best], 4), "val": round(final, 4)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("apart", "plain"))
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the public sets")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("runs/apart"))
    options = parser.parse_args()
    if options.what == "apart":
        write_apart(options.data, options.work)
        return
    apart = kept_apart(options.data / SET, read_list(options.data / SET, "train.txt"))
    for name, features in (("histogram of colours", colour_features), ("linear probe on MobileNet", probe_features)):
        print(json.dumps({name: plain(options.data, features, apart=apart)}), flush=True)


if __name__ == "__main__":
    main()
