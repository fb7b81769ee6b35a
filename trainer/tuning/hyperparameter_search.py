"""Hyper-parameter search: KerasTuner proposes points of the declared space, each is one run of training."""

import pathlib
from typing import Any

import keras_tuner
import tensorflow as tf

from trainer.spec.config import Config, override
from trainer.spec.search_space import SEARCH_SPACE, Range
from trainer.tables.tables import Inputs
from trainer.training.fit import fit
from trainer.training.snapshot import METRIC, Snapshots, Validation


def hyper_parameters() -> keras_tuner.HyperParameters:
    """The declared space, as KerasTuner takes it."""
    space = keras_tuner.HyperParameters()
    for dimension in SEARCH_SPACE:
        if isinstance(dimension, Range):
            space.Float(
                dimension.path,
                min_value=dimension.low,
                max_value=dimension.high,
                sampling="log" if dimension.logarithmic else "linear",
            )
        else:
            space.Choice(dimension.path, values=list(dimension.values), ordered=True)
    return space


def with_values(config: Config, values: dict[str, Any]) -> Config:
    """`config` at a point of the space."""
    return override(config, [f"{path}={value}" for path, value in values.items()])


class Search(keras_tuner.RandomSearch):
    """Trains at each proposed point and gives the held-out recall@10 of the result.

    A search that was killed goes on: finished trials are read back, the one that was running continues from its
    checkpoint.
    """

    def __init__(self, config: Config, inputs: Inputs, *, directory: str, trials: int) -> None:
        """Prepares a search.

        Args:
          config: The configuration that the points vary.
          inputs: Where the Examples are.
          directory: Local folder for the record of the search, the tables and the checkpoints.
          trials: Points to try.
        """
        self._config = config
        self._inputs = inputs
        self._work_dir = pathlib.Path(directory) / "work"
        super().__init__(
            objective=keras_tuner.Objective(METRIC, direction="max"),
            max_trials=trials,
            hyperparameters=hyper_parameters(),
            tune_new_entries=False,
            seed=config.train.seed,
            directory=directory,
            project_name="search",
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trains at the point of `trial`."""
        del args, kwargs
        config = with_values(self._config, trial.hyperparameters.values)
        log_dir = self._work_dir / "logs" / trial.trial_id
        trained = fit(config, self._inputs, work_dir=self._work_dir, log_dir=log_dir)
        items = trained.tables.items
        snapshots = Snapshots(trained.model, items)
        validation = Validation(
            trained.model, trained.tables.evaluation, snapshots=snapshots, num_items=items.num_items
        )
        recall = validation.recall()
        tf.keras.backend.clear_session()
        return {METRIC: recall}

    def load_model(self, trial: Any) -> Any:
        """Not kept: the Trainer trains the best point again, on the same tables."""
        raise NotImplementedError("Train with the best values: they are the result of a search, not a model.")
