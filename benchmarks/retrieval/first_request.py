"""Latency of the first request of each kind after a bundle was loaded and warmed up, beside later ones.

    python -m benchmarks.retrieval.first_request --bundle runs/demo/bundle/stock/1 [--no-warm-up]

The bundle is loaded as the server loads it. Kinds are sent in turn, so that one may warm up the next;
`--apart` runs each kind in a new process, which is slower.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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


class Request(NamedTuple):
    """Signature and inputs of one row."""

    signature: str
    inputs: Mapping[str, Any]


def requests_by_kind(wire: WireConfig, ids: list[bytes], *, words: str, brand: bytes) -> dict[str, Request]:
    """Returns {kind: request}; each kind takes a branch of the graph that the others do not."""
    stream = io.BytesIO()
    Image.effect_noise((900, 700), 60).convert("RGB").save(stream, format="JPEG")
    text = {"query_text": words.encode()}
    return {
        "text": Request("search", text),
        "text of one box": Request("search_text", text),
        "misspelt": Request("search", {"query_text": (words + "x qwertzuiop").encode()}),
        "empty": Request("search", {}),
        "photo": Request("search", {"query_image": sample_jpeg(wire.image_px)}),
        "larger photo": Request("search", {"query_image": stream.getvalue()}),
        "broken photo": Request("search", {"query_image": stream.getvalue()[:5000]}),
        "clip": Request("search", {"query_video": [sample_jpeg(wire.frame_px)] * wire.num_frames}),
        "voice": Request("search", {"query_audio": sample_wav(wire)}),
        "history": Request("search", {"history_ids": ids[:3], "history_age_days": [1.0, 2.0, 3.0]}),
        "liked": Request("search", {**text, "seed_item_ids": ids[:2], "seed_item_weights": [1.0, -0.5]}),
        "filtered": Request("search", {**text, "filter_brand": [brand], "filter_in_stock": 1}),
        "few pass": Request("search", {**text, "include_ids": ids[:2]}),
        "boosted": Request("search", {**text, "boost_ids": ids[:2], "boost_values": [1.0, -1.0]}),
        "diverse": Request("search", {**text, "diversity": 0.3}),
        "second page": Request("search", {**text, "page": 2}),
        "similar": Request("similar_items", {"item_id": ids[0]}),
        "ranked": Request("rank", {**text, "item_ids": ids[:5]}),
        "explained": Request("explain", {**text, "item_id": ids[1]}),
        "explained, filtered": Request("explain", {**text, "item_id": ids[1], "filter_in_stock": 1}),
        "suggested": Request("suggest", {"query_text": (words + "x").encode()}),
        "completed": Request("complete", {"query_text": words[:2].encode()}),
        "embedded": Request("embed_query", text),
        "embedded item": Request("embed_item", {"title": words.encode()}),
    }


def measure(bundle: Path, *, warm: bool, only: str = "") -> dict[str, dict[str, float]]:
    """{kind: first and median in ms}, on one load."""
    wire = from_dict(json.loads((bundle / MANIFEST_PATH).read_text())["config"], Config()).wire
    catalogue = read_catalogue(bundle)
    words = " ".join(catalogue.columns["title"][0].decode().split()[:2])
    requests = requests_by_kind(wire, list(catalogue.alive_ids[:5]), words=words, brand=catalogue.columns["brand"][0])
    started = time.monotonic()
    model = ModelLoader(ServerFlags(enable_model_warmup=warm))(bundle)
    figures = {"load": {"first": 1000.0 * (time.monotonic() - started), "median": 0.0}}
    for kind, request in requests.items():
        if only in ("", kind):
            figures[kind] = _timed(model, request)
    model.close()
    return figures


def _timed(model: Any, request: Request) -> dict[str, float]:
    signature = model.signatures[request.signature]
    inputs = {
        alias: np.array([value], object if signature.inputs[alias].dtype.name == "string" else None).astype(
            signature.inputs[alias].dtype.as_numpy_dtype
        )
        for alias, value in request.inputs.items()
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
