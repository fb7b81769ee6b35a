"""One worker of a training run: prints the losses of every update and last a sum over its weights, as lines of JSON.

python -m tests.support.worker FOLDER ROWS STRATEGY [KILLED_AT]      TF_CONFIG names the cluster

With KILLED_AT the process is gone after that update, as when its machine fails.
"""

import dataclasses
import json
import os
import pathlib
import signal
import sys

import trainer  # noqa: F401  selects Keras 2

# isort: split
import tensorflow as tf

from tests.support import tiny_shop
from trainer.spec.training import LrScaling, RunConfig, Strategy
from trainer.tables.open import open_tables
from trainer.training.distributed.preemption import Preemption
from trainer.training.distributed.strategy import make_strategy
from trainer.training.fit import RunPaths, make_loop

STEPS = 6


def config(rows):
    """Without dropout: its numbers are a replica's own, so they would differ from those of the joined batch."""
    base = tiny_shop.CONFIG
    train = dataclasses.replace(base.train, batch_size=rows, max_steps=STEPS, lr_scaling=LrScaling.NONE)
    identity = dataclasses.replace(base.tower.identity, dropout=0.0)
    tower = dataclasses.replace(base.tower, dropout=0.0, modality_dropout=0.0, identity=identity)
    return dataclasses.replace(base, train=train, tower=tower, run=RunConfig(checkpoint_every_steps=3))


def losses(folder, shop, *, rows, strategy, tell=lambda line: None):
    chosen = make_strategy(strategy)
    tf.keras.utils.set_random_seed(1)
    tables = open_tables(shop, config=config(rows), work_dir=pathlib.Path(folder))
    paths = RunPaths(checkpoints=f"{folder}/{strategy.value}", preemption=Preemption(20.0))
    loop = make_loop(config(rows), tables, strategy=chosen, log_dir=f"{folder}/logs", paths=paths)
    found = []
    note = loop.context.progress.step

    def kept(step, measured, *, rate):
        found.append(measured.losses)
        note(step, measured, rate=rate)
        tell({"step": step, "losses": measured.losses})

    loop.context.progress.step = kept
    loop.run()
    return {
        "losses": found,
        "weights": sum(float(tf.reduce_sum(tf.abs(v))) for v in loop.context.model.trainable_variables),
    }


if __name__ == "__main__":
    from trainer.tables.open import DatasetPaths

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as tests/conftest.py has it
    directory, batch_rows, name, *killed_at = sys.argv[1:]
    inputs = DatasetPaths(**json.loads(pathlib.Path(directory, "inputs.json").read_text()))

    def tell(line):
        print(json.dumps(line), flush=True)
        if killed_at == [str(line.get("step"))]:
            os.kill(os.getpid(), signal.SIGKILL)

    tell({"weights": losses(directory, inputs, rows=int(batch_rows), strategy=Strategy(name), tell=tell)["weights"]})
    os._exit(0)  # As in a job: nothing waits for the connections between the workers.
