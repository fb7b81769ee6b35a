"""Examples per second of a training step, and where its time goes: input, forward, backward, update.

    python -m benchmarks.training.speed --towers text --precision float32 --batches 256,1024,4096

Prints one JSON line for each batch size. The input is measured alone, as fast as it can, as a mean (it makes batches
ahead, so its shortest wait means nothing); the rest without it, each the shortest of several calls.
"""

import argparse
import dataclasses
import json
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from benchmarks.training import random_shop
from trainer.model.build import build_model
from trainer.nn.stateless_random import step_seed
from trainer.spec.presets import base
from trainer.spec.training import Precision, TrainConfig
from trainer.training.batches import Batches
from trainer.training.schedule import make_learning_rate, make_optimizer
from trainer.training.steps import TrainStep

_MIN_RUNS = 3
_AHEAD = 10  # batches, more than the input makes ahead


def fastest_seconds(run: Callable[[], Any], *, seconds: float) -> float:
    """The shortest time of a call over about `seconds`, after one call that is not counted."""
    run()
    times: list[float] = []
    while len(times) < _MIN_RUNS or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def mean_seconds(run: Callable[[], Any], *, seconds: float) -> float:
    """The mean time of a call over about `seconds`, what was made ahead of the first calls not counted."""
    for _ in range(_AHEAD):
        run()
    calls, start = 0, time.perf_counter()
    while calls < _MIN_RUNS or time.perf_counter() - start < seconds:
        run()
        calls += 1
    return (time.perf_counter() - start) / calls


def measure(towers: str, precision: Precision, sizes: list[int], *, seconds: float) -> None:
    """Prints the figures of each batch size."""
    config = dataclasses.replace(base(), train=dataclasses.replace(TrainConfig(), precision=precision))
    with tempfile.TemporaryDirectory() as folder:
        directory = pathlib.Path(folder)
        random_shop.write(directory, config, towers=towers, items=4000, events=40_000)
        items, events = random_shop.open_tables(directory)
        model = build_model(config, num_subwords=random_shop.NUM_SUBWORDS, precision=precision)
        optimizer = make_optimizer(config.train, make_learning_rate(config.train, 1000))
        optimizer.build(model.trainable_variables)
        steps = TrainStep(model, optimizer, train=config.train, strategy=tf.distribute.get_strategy())
        model.set_snapshot(tf.random.normal([items.num_items, config.tower.dim]).numpy())
        spec = Batches(events, items=items, batch_size=8, seed=1).dataset(0).element_spec
        forward = tf.function(lambda batch: forward_only(model, batch), input_signature=[spec])
        for size in sizes:
            batches = Batches(events, items=items, batch_size=size, seed=1)
            found = measure_size(batches, steps, forward, seconds=seconds)
            print(json.dumps({"towers": towers, "precision": precision.value, "batch": size, **found}), flush=True)


def measure_size(batches: Batches, steps: TrainStep, forward: Any, *, seconds: float) -> dict[str, float]:
    """The figures of one batch size."""
    stream = iter(batches.dataset(0))
    spec = stream.element_spec
    inputs = mean_seconds(lambda: next(stream), seconds=seconds)
    one = next(stream)
    same = iter(tf.data.Dataset.from_tensors(one).map(lambda batch: relaxed(batch, spec)).repeat())
    ahead = fastest_seconds(lambda: forward(one), seconds=seconds)
    both = fastest_seconds(lambda: steps.step(same, 0), seconds=seconds)
    update = fastest_seconds(steps.update, seconds=seconds)
    step = both + update
    size = batches.num_positives + batches.num_negatives
    return {
        "examples_per_second": round(size / step),
        "step_ms": round(1000 * step, 1),
        "forward_share": round(ahead / step, 3),
        "backward_share": round(max(0.0, both - ahead) / step, 3),
        "update_share": round(update / step, 3),
        "input_ms": round(1000 * inputs, 1),
        "input_times_as_fast": round(step / inputs, 2),
    }


def forward_only(model: Any, batch: Any) -> tf.Tensor:
    """The loss of a batch, with dropout as in training."""
    with step_seed(tf.constant([1, 1], tf.int64)):
        return model.compute_loss(batch, training=True)


def relaxed(batch: Any, spec: Any) -> Any:
    """The batch with its rows unknown, so that one graph serves every size."""
    return tf.nest.map_structure(lambda value, like: tf.ensure_shape(hide(value), like.shape), batch, spec)


def hide(value: tf.Tensor) -> tf.Tensor:
    """`value` of a shape that the graph does not know."""
    return tf.numpy_function(lambda array: array, [value], value.dtype, stateful=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towers", choices=random_shop.TOWERS, default="full")
    parser.add_argument("--precision", choices=[p.value for p in Precision], default="float32")
    parser.add_argument("--batches", default="256,1024,4096")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    options = parser.parse_args()
    measure(
        options.towers,
        Precision(options.precision),
        [int(size) for size in options.batches.split(",")],
        seconds=options.seconds,
    )
