"""Requests a second with many clients, with and without batching, on a CNN query: search by photo among 200,000 items.

    python -m benchmarks.serving.throughput

The clients are coroutines of one process (closed loops over gRPC, one photo a request); the servers with and without
`--enable_batching` run beside each other and are queried in turns.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import grpc  # isort: skip
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks.serving.load import percentile
from benchmarks.serving.models import IMAGE_PX, save_photos
from serving.server.workers.process import ServerProcess

MODEL = "photos"
BATCHING = """
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 2 }
"""


def request() -> bytes:
    """Returns a serialised PredictRequest with one photo."""
    photo = np.random.default_rng(3).random([1, IMAGE_PX, IMAGE_PX, 3], dtype=np.float32)
    message = predict_pb2.PredictRequest(model_spec={"name": MODEL})
    message.inputs["photo"].CopyFrom(tf.make_tensor_proto(photo))
    return message.SerializeToString()


async def drive(address: str, *, clients: int, seconds: float) -> list[float]:
    """Returns the milliseconds of every request that began within `seconds`, after half a second of warm-up."""
    took: list[float] = []
    body, method = request(), "/tensorflow.serving.PredictionService/Predict"
    async with grpc.aio.insecure_channel(address) as channel:
        predict = channel.unary_unary(method)
        warm = time.monotonic() + 0.5
        end = warm + seconds

        async def loop() -> None:
            while time.monotonic() < end:
                began = time.monotonic()
                await predict(body, timeout=60)
                if began >= warm:
                    took.append((time.monotonic() - began) * 1e3)

        await asyncio.gather(*(loop() for _ in range(clients)))
    return took


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    found = parser.parse_args()
    rates: dict[str, list[float]] = {"alone": [], "one_by_one": [], "batched": []}
    times: dict[str, list[float]] = {name: [] for name in rates}
    with tempfile.TemporaryDirectory() as folder:
        save_photos(Path(folder) / "models" / "1")
        batching = Path(folder) / "batching.config"
        batching.write_text(BATCHING)
        flags = ["--enable_batching", f"--batching_parameters_file={batching}", f"--call_threads={2 * found.clients}"]
        base = Path(folder) / "models"
        with ServerProcess(MODEL, base) as plain, ServerProcess(MODEL, base, flags=flags) as batched:
            ways = {
                "alone": (plain.grpc_address, 1),
                "one_by_one": (plain.grpc_address, found.clients),
                "batched": (batched.grpc_address, found.clients),
            }
            for _ in range(found.turns):
                for name, (address, clients) in ways.items():
                    took = asyncio.run(drive(address, clients=clients, seconds=found.seconds))
                    rates[name].append(len(took) / found.seconds)
                    times[name] += took
    shown = {
        name: {
            "requests_a_second": round(float(np.median(rates[name]))),
            "p50_ms": percentile(times[name], 50),
            "p99_ms": percentile(times[name], 99),
        }
        for name in rates
    }
    gain = shown["batched"]["requests_a_second"] / shown["one_by_one"]["requests_a_second"]
    slower = shown["batched"]["p99_ms"] / shown["one_by_one"]["p99_ms"]
    print(json.dumps({"clients": found.clients, **shown, "gain": round(gain, 2), "p99_ratio": round(slower, 2)}))


if __name__ == "__main__":
    main()
