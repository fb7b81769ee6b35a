"""One worker of a training run: prints the losses of every update and a sum over its weights, as one JSON line.

python -m tests.support.worker FOLDER ROWS STRATEGY       TF_CONFIG names the cluster
"""

import dataclasses
import json
import pathlib
import sys

import trainer  # noqa: F401  selects Keras 2

# isort: split
import tensorflow as tf

from tests.support import tiny_shop
from trainer.data import open_tables
from trainer.spec.training import RateScaling, Strategy
from trainer.train import Places, make_loop
from trainer.training.preemption import Preemption
from trainer.training.strategy import make_strategy

STEPS = 6


def config(rows):
    """Without dropout: its numbers are a replica's own, so they would differ from those of the joined batch."""
    base = tiny_shop.CONFIG
    train = dataclasses.replace(base.train, batch_size=rows, max_steps=STEPS, rate_scaling=RateScaling.NONE)
    identity = dataclasses.replace(base.tower.identity, dropout=0.0)
    tower = dataclasses.replace(base.tower, dropout=0.0, modality_dropout=0.0, identity=identity)
    return dataclasses.replace(base, train=train, tower=tower)


def losses(folder, shop, *, rows, strategy):
    chosen = make_strategy(strategy)
    tf.keras.utils.set_random_seed(1)
    tables = open_tables(shop, config=config(rows), work_dir=pathlib.Path(folder))
    places = Places(checkpoints=f"{folder}/{strategy.value}", preemption=Preemption(20.0))
    loop, model, progress = make_loop(config(rows), tables, strategy=chosen, log_dir=f"{folder}/logs", places=places)
    found = []
    note = progress.step

    def kept(step, measured, *, rate):
        found.append(measured.losses)
        note(step, measured, rate=rate)

    progress.step = kept
    loop.run()
    return {"losses": found, "weights": sum(float(tf.reduce_sum(tf.abs(v))) for v in model.trainable_variables)}


if __name__ == "__main__":
    from tests.support.tiny_shop import Inputs

    directory, batch_rows, name = sys.argv[1:]
    inputs = Inputs(**json.loads(pathlib.Path(directory, "inputs.json").read_text()))
    print(json.dumps(losses(directory, inputs, rows=int(batch_rows), strategy=Strategy(name))))
