import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="package")
def rig(tables, tmp_path_factory):
    """One compiled model whose runs start, break and continue at will: what a new process would do, without tracing."""
    from tensorflow.python.framework import config as determinism

    from tests.support import tiny_shop
    from trainer.training.distributed.preemption import Preemption
    from trainer.training.fit import RunPaths, make_loop

    config = tiny_shop.SHORT_RUN
    tf.keras.utils.set_random_seed(config.train.seed)
    tf.config.experimental.enable_op_determinism()
    paths = RunPaths(checkpoints=str(tmp_path_factory.mktemp("rig")), preemption=Preemption(20.0))
    loop = make_loop(
        config,
        tables,
        strategy=tf.distribute.get_strategy(),
        log_dir=str(tmp_path_factory.mktemp("logs")),
        paths=paths,
    )
    yield Rig(loop.context)
    determinism.disable_op_determinism()


@pytest.fixture(scope="package")
def unbroken(rig, tmp_path_factory):
    """The weights of a run without an interruption."""
    rig.loop(tmp_path_factory.mktemp("unbroken")).run()
    return rig.weights()


class Rig:
    """A run's compiled context, with its variables at hand."""

    def __init__(self, context):
        self.context = context
        self.variables = [*context.model.variables, *context.train_step._optimizer.variables]
        self._start = [variable.numpy() for variable in self.variables]

    def loop(self, directory, **changes):
        """A new loop over the checkpoints in `directory`, everything else at its start."""
        from trainer.training.checkpoints import Checkpoints
        from trainer.training.distributed.preemption import Preemption
        from trainer.training.loop import TrainingLoop

        for variable, value in zip(self.variables, self._start, strict=True):
            variable.assign(value)
        saved = {"model": self.context.model, "optimizer": self.context.train_step._optimizer}
        own = {
            "checkpoints": Checkpoints(str(directory), keep=2, **saved),
            "best": Checkpoints(f"{directory}/best", keep=1, **saved),
            "preemption": Preemption(20.0),
        }
        return TrainingLoop(dataclasses.replace(self.context, **{**own, **changes}))

    def config(self, **train):
        return dataclasses.replace(self.context.config, train=dataclasses.replace(self.context.config.train, **train))

    def train_step(self, **methods):
        """The compiled step with some methods replaced."""
        own = {
            name: getattr(self.context.train_step, name) for name in ("step", "update", "batches", "all_reduce_mean")
        }
        return types.SimpleNamespace(**{**own, **methods})

    def spoil(self):
        """What a new process does not have: every weight is something else."""
        random = np.random.default_rng(0)
        for variable in self.variables:
            variable.assign(tf.cast(random.normal(size=variable.numpy().shape) * 100, variable.dtype))

    def weights(self):
        return [variable.numpy() for variable in self.context.model.variables]
