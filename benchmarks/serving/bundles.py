"""Load, warm-up and answers of two bundles of one shop, interleaved in one process.

    python -m benchmarks.serving.bundles --bundle DIR/stock/1 --baseline OTHER/stock/1

Both are loaded as the server loads them. The answers are those of the warm-up's own photo, and of an item's own words.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads
from serving.bundle.warmup import sample_jpeg
from serving.catalogue.storage import read_catalogue
from serving.manifest import MANIFEST_PATH
from serving.server.flags import ServerFlags
from serving.server.models.loader import ModelLoader
from serving.server.protocol.predict import predict_arrays
from serving.server.protocol.servable import Servable
from trainer.spec.config import Config, from_dict

ROUNDS, SKIPPED = 120, 20
Requests = Mapping[str, tuple[str, Mapping[str, np.ndarray]]]


def requests_of(bundle: Path) -> Requests:
    """Returns {kind: (signature, inputs)} of one row each."""
    config = from_dict(json.loads((bundle / MANIFEST_PATH).read_text())["config"], Config())
    catalogue = read_catalogue(bundle)
    words = {"query_text": np.array([b" ".join(catalogue.columns["title"][0].split()[:2])], object)}
    photo = {"query_image": np.array([sample_jpeg(config.wire.image_px)], object)}
    return {
        "search_text": ("search_text", words),
        "search, a text": ("search", words),
        "search, a photo": ("search", photo),
        "search, both": ("search", {**words, **photo}),
        "similar_items": ("similar_items", {"item_id": np.array([catalogue.alive_ids[0]], object)}),
        "embed_query, a text": ("embed_query", words),
    }


def loaded(path: Path) -> tuple[Servable, float]:
    """Loads and warms up a bundle; returns it with the seconds that took."""
    started = time.monotonic()
    model = ModelLoader(ServerFlags())(path)
    return model, time.monotonic() - started


def medians(models: Mapping[str, Servable], requests: Requests) -> dict[str, dict[str, float]]:
    """{kind: {bundle: median in ms}}; the bundles answer in turn."""
    found = {}
    for kind, (signature, inputs) in requests.items():
        times: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(ROUNDS):
            for name, model in models.items():
                before = time.perf_counter()
                predict_arrays(model, model.signatures[signature], inputs)
                times[name].append(1000.0 * (time.perf_counter() - before))
        found[kind] = {name: float(np.median(values[SKIPPED:])) for name, values in times.items()}
    return found


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="a version folder")
    parser.add_argument("--baseline", type=Path, required=True, help="another one of the same shop")
    options = parser.parse_args()
    both = {name: loaded(path) for name, path in (("bundle", options.bundle), ("baseline", options.baseline))}
    print("| | baseline | bundle | times as fast |\n|---|---|---|---|")
    seconds = {name: found[1] for name, found in both.items()}
    figures = medians({name: found[0] for name, found in both.items()}, requests_of(options.bundle))
    for kind, values in {"load and warm-up, s": seconds, **{f"{k}, ms": v for k, v in figures.items()}}.items():
        times = values["baseline"] / values["bundle"]
        print(f"| {kind} | {values['baseline']:.2f} | {values['bundle']:.2f} | {times:.2f} |")


if __name__ == "__main__":
    main()
