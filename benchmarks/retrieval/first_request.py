"""What the first request of each kind costs after a bundle was loaded and warmed up, beside the ones that follow.

    python -m benchmarks.retrieval.first_request --bundle runs/demo/bundle/stock/1 [--no-warm-up]

The bundle is loaded as the server loads it. Kinds are asked in turn, so that what one has paid for the next has for
nothing; each kind in a new process, which is slower, is `--apart`.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads
from serving.bundle.warmup import sample_jpeg, sample_wav
from serving.catalogue.storage import read_catalogue
from serving.manifest import MANIFEST_PATH
from serving.server.flags import ServerFlags
from serving.server.models.loader import ModelLoader
from serving.server.protocol.predict import predict_arrays
from trainer.spec.config import Config, WireConfig, from_dict

CALLS = 30
LIMIT = 3.0


def kinds(wire: WireConfig, ids: list[bytes], *, words: str, brand: bytes) -> dict[str, tuple[str, dict[str, Any]]]:
    """{kind of request: signature, inputs of one row}; each kind asks something that the others do not."""
    stream = io.BytesIO()
    Image.effect_noise((900, 700), 60).convert("RGB").save(stream, format="JPEG")
    text = {"query_text": words.encode()}
    return {
        "text": ("search", text),
        "text of one box": ("search_text", text),
        "misspelt": ("search", {"query_text": (words + "x qwertzuiop").encode()}),
        "empty": ("search", {}),
        "photo": ("search", {"query_image": sample_jpeg(wire.image_px)}),
        "larger photo": ("search", {"query_image": stream.getvalue()}),
        "broken photo": ("search", {"query_image": stream.getvalue()[:5000]}),
        "clip": ("search", {"query_video": [sample_jpeg(wire.frame_px)] * wire.num_frames}),
        "voice": ("search", {"query_audio": sample_wav(wire)}),
        "history": ("search", {"history_ids": ids[:3], "history_age_days": [1.0, 2.0, 3.0]}),
        "liked": ("search", {**text, "seed_item_ids": ids[:2], "seed_item_weights": [1.0, -0.5]}),
        "filtered": ("search", {**text, "filter_brand": [brand], "filter_in_stock": 1}),
        "few pass": ("search", {**text, "include_ids": ids[:2]}),
        "boosted": ("search", {**text, "boost_ids": ids[:2], "boost_values": [1.0, -1.0]}),
        "diverse": ("search", {**text, "diversity": 0.3}),
        "second page": ("search", {**text, "page": 2}),
        "similar": ("similar_items", {"item_id": ids[0]}),
        "ranked": ("rank", {**text, "item_ids": ids[:5]}),
        "explained": ("explain", {**text, "item_id": ids[1]}),
        "explained, filtered": ("explain", {**text, "item_id": ids[1], "filter_in_stock": 1}),
        "suggested": ("suggest", {"query_text": (words + "x").encode()}),
        "completed": ("complete", {"query_text": words[:2].encode()}),
        "embedded": ("embed_query", text),
        "embedded item": ("embed_item", {"title": words.encode()}),
    }


def measure(bundle: Path, *, warm: bool, only: str = "") -> dict[str, dict[str, float]]:
    """{kind: first and median in ms}, on one load."""
    wire = from_dict(json.loads((bundle / MANIFEST_PATH).read_text())["config"], Config()).wire
    catalogue = read_catalogue(bundle)
    words = " ".join(catalogue.columns["title"][0].decode().split()[:2])
    asked = kinds(wire, list(catalogue.alive_ids[:5]), words=words, brand=catalogue.columns["brand"][0])
    started = time.monotonic()
    model = ModelLoader(ServerFlags(enable_model_warmup=warm))(bundle)
    figures = {"load": {"first": 1000.0 * (time.monotonic() - started), "median": 0.0}}
    for kind, (name, row) in asked.items():
        if only in ("", kind):
            figures[kind] = _timed(model, name, row)
    model.close()
    return figures


def _timed(model: Any, name: str, row: Mapping[str, Any]) -> dict[str, float]:
    signature = model.signatures[name]
    inputs = {
        alias: np.array([value], object if signature.inputs[alias].dtype.name == "string" else None).astype(
            signature.inputs[alias].dtype.as_numpy_dtype
        )
        for alias, value in row.items()
    }
    times = []
    for _ in range(CALLS):
        before = time.perf_counter()
        predict_arrays(model, signature, inputs)
        times.append(1000.0 * (time.perf_counter() - before))
    return {"first": times[0], "median": float(np.median(times[1:]))}


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="a version folder")
    parser.add_argument("--no-warm-up", action="store_true")
    parser.add_argument("--apart", action="store_true", help="each kind in a process of its own")
    parser.add_argument("--only", default="", help="this kind alone, as JSON")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.bundle, warm=not options.no_warm_up, only=options.only)))
        return
    figures = measure(options.bundle, warm=not options.no_warm_up)
    if options.apart:
        for kind in list(figures)[1:]:
            command = [sys.executable, "-m", "benchmarks.retrieval.first_request", "--bundle", str(options.bundle)]
            command += ["--only", kind, *(["--no-warm-up"] if options.no_warm_up else [])]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures[kind] = json.loads(done.stdout.splitlines()[-1])[kind]
    print("| request | first, ms | median of the next, ms | times |\n|---|---|---|---|")
    for kind, found in figures.items():
        times = found["first"] / found["median"] if found["median"] else 0.0
        shown = f"{times:.1f}{' **over**' if times > LIMIT else ''}" if times else ""
        print(f"| {kind} | {found['first']:.1f} | {found['median']:.2f} | {shown} |")


if __name__ == "__main__":
    main()
