"""Examples per second of one worker and of two, each on a core of its own.

    python -m benchmarks.training.workers --towers text --batch 256

Every worker is a process pinned to one core; two of them train as `run.strategy=multi_worker` does, over loopback, each
with the same rows of its own in a step. Prints one JSON line; `scaling` is how many times as fast two are as one.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

WARM_UP_STEPS = 3
ROOT = pathlib.Path(__file__).resolve().parents[2]


def work(directory: pathlib.Path, *, batch: int, seconds: float) -> None:
    """One worker: prints its examples per second as JSON."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(os.environ["BENCHMARK_WORKER"])]})
    import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

    # isort: split
    import tensorflow as tf

    from benchmarks.training import random_shop
    from trainer.model.build import build_model
    from trainer.spec.presets import base
    from trainer.spec.training import RunConfig, Strategy, TrainConfig
    from trainer.training.batches import Batches
    from trainer.training.distributed.strategy import make_strategy
    from trainer.training.schedule import make_learning_rate, make_optimizer
    from trainer.training.steps import TrainStep

    strategy = make_strategy(Strategy.MULTI_WORKER if os.environ.get("TF_CONFIG") else Strategy.NONE)
    tf.keras.utils.set_random_seed(1)
    config = dataclasses.replace(base(), train=TrainConfig(batch_size=batch))
    items, events = random_shop.open_tables(directory)
    replicas = strategy.num_replicas_in_sync
    batches = Batches(events, items=items, batch_size=batch * replicas, seed=1, num_replicas=replicas)
    with strategy.scope():
        model = build_model(config, num_subwords=random_shop.NUM_SUBWORDS)
        optimizer = make_optimizer(config.train, make_learning_rate(config.train, 1000, replicas=replicas))
        optimizer.build(model.trainable_variables)
        steps = TrainStep(model, optimizer, train=config.train, strategy=strategy)
    model.set_snapshot(tf.zeros([items.num_items, config.tower.dim]).numpy())
    stream, took = steps.batches(batches, 0, RunConfig()), []
    for number in range(WARM_UP_STEPS + max(5, int(seconds))):
        began = time.perf_counter()
        steps.step(stream, number)
        steps.update()
        took.append(time.perf_counter() - began)
    fastest = min(took[WARM_UP_STEPS:])
    print(json.dumps({"examples_per_second": batch * replicas / fastest, "step_ms": 1000 * fastest}), flush=True)
    os._exit(0)


def run(directory: pathlib.Path, arguments: list[str], *, workers: int) -> dict[str, float]:
    """Runs workers; returns the figures of the first one.

    Raises:
      RuntimeError: A worker failed.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    started = []
    for index in range(workers):
        env = {**os.environ, "BENCHMARK_WORKER": str(index), "PYTHONPATH": str(ROOT)}
        if workers > 1:
            task = {"type": "worker", "index": index}
            env["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        command = [sys.executable, "-m", "benchmarks.training.workers", "--directory", str(directory), *arguments]
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    ended = [(*process.communicate(timeout=600), process.returncode) for process in started]
    for _, errors, code in ended:
        if code:
            raise RuntimeError(f"A worker ended with code {code}: {errors[-2000:]}")
    return dict(json.loads(ended[0][0].splitlines()[-1]))


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towers", default="text")
    parser.add_argument("--batch", type=int, default=256, help="rows of one worker")
    parser.add_argument("--seconds", type=float, default=10.0, help="about one step for each")
    parser.add_argument("--directory", type=pathlib.Path, help="set for the workers: the shop")
    found = parser.parse_args()
    if found.directory:
        work(found.directory, batch=found.batch, seconds=found.seconds)
        return
    import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

    # isort: split
    from benchmarks.training import random_shop
    from trainer.spec.presets import base

    arguments = [f"--batch={found.batch}", f"--seconds={found.seconds}"]
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        random_shop.write(directory, base(), towers=found.towers, items=4000, events=40_000)
        one, two = (run(directory, arguments, workers=workers) for workers in (1, 2))
    scaling = two["examples_per_second"] / one["examples_per_second"]
    print(
        json.dumps(
            {
                "towers": found.towers,
                "batch_of_one": found.batch,
                "one_worker": {name: round(value, 1) for name, value in one.items()},
                "two_workers": {name: round(value, 1) for name, value in two.items()},
                "scaling": round(scaling, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
