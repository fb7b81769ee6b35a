"""A training run that the system ends again and again: each life is a process, ended by a real signal.

python -m tests.support.killed_run FOLDER SIGNAL:STEP ...

The lives are forks of one process that has imported everything and run nothing, so that each costs only its tracing.
Prints one JSON line for each life: its signal or exit code, the step it began after and the last one it steps.
"""

import json
import os
import pathlib
import signal
import sys

import trainer  # noqa: F401  selects Keras 2

# isort: split
import numpy as np
import tensorflow as tf

from tests.support import tiny_shop
from trainer.tables.open import DatasetPaths, open_tables
from trainer.training.distributed.preemption import EXIT_CODE, Preempted, Preemption
from trainer.training.fit import RunPaths, make_loop

WEIGHTS = "weights.npz"


def live(folder, inputs, tell):
    """One life: trains from wherever the last one got to, and leaves its weights when it gets to the end."""
    wanted = tiny_shop.SHORT_RUN
    tf.keras.utils.set_random_seed(wanted.train.seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as tests/conftest.py has it
    tables = open_tables(inputs, config=wanted, work_dir=folder)
    with Preemption(20.0).listening() as preemption:
        paths = RunPaths(checkpoints=str(folder), preemption=preemption)
        strategy, log_dir = tf.distribute.get_strategy(), str(folder / "logs")
        loop = make_loop(wanted, tables, strategy=strategy, log_dir=log_dir, paths=paths)
        note = loop.context.progress.step

        def step(number, measured, *, rate):
            note(number, measured, rate=rate)
            tell(number)

        loop.context.progress.step = step
        try:
            loop.run()
        except Preempted:
            return EXIT_CODE
    np.savez(folder / WEIGHTS, *[variable.numpy() for variable in loop.context.model.variables])
    return 0


def watch(reader, child, ending):
    """The steps a life tells; sends it the signal at the step that is named, or the first behind it."""
    steps = []
    for line in reader:
        steps.append(int(line))
        if ending and steps[-1] >= ending[1]:
            os.kill(child, ending[0])
    return steps


def main(folder, *endings):
    place = pathlib.Path(folder)
    inputs = DatasetPaths(**json.loads((place / "inputs.json").read_text()))
    wanted = [(signal.Signals[name], int(step)) for name, step in (ending.split(":") for ending in endings)]
    for ending in [*wanted, None]:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            with os.fdopen(write_end, "w", buffering=1) as stream:
                code = live(place, inputs, lambda number, stream=stream: stream.write(f"{number}\n"))
            os._exit(code)
        os.close(write_end)
        with os.fdopen(read_end) as stream:
            steps = watch(stream, child, ending)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"code": code, "first": steps[0] if steps else None, "last": steps[-1] if steps else None}))
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
