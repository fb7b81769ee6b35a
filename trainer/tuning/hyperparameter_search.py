"""Hyper-parameter search by KerasTuner over the declared space; each trial is one training run."""

import pathlib
from typing import Any

import keras_tuner
import tensorflow as tf

from trainer.spec.config import Config, override
from trainer.spec.search_space import SEARCH_SPACE, Range
from trainer.tables.open import DatasetPaths
from trainer.training.fit import fit
from trainer.training.snapshot import METRIC, Snapshots, Validation


def hyperparameter_space() -> keras_tuner.HyperParameters:
    """Returns the declared search space as KerasTuner's `HyperParameters`."""
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


def config_at(config: Config, values: dict[str, Any]) -> Config:
    """Returns `config` with the values of a trial."""
    return override(config, [f"{path}={value}" for path, value in values.items()])


class HyperparameterSearch(keras_tuner.RandomSearch):
    """Random search whose objective is the held-out recall@10 of a training run.

    A search that was killed resumes: finished trials are read back, the one that was running continues from its
    checkpoint.
    """

    def __init__(self, config: Config, inputs: DatasetPaths, *, directory: str, trials: int) -> None:
        """Defines the search.

        Args:
          config: The configuration that the trials vary.
          inputs: Patterns of the Examples.
          directory: Local folder for the state of the search, the tables and the checkpoints.
          trials: Number of trials.
        """
        self._config = config
        self._inputs = inputs
        self._work_dir = pathlib.Path(directory) / "work"
        super().__init__(
            objective=keras_tuner.Objective(METRIC, direction="max"),
            max_trials=trials,
            hyperparameters=hyperparameter_space(),
            tune_new_entries=False,
            seed=config.train.seed,
            directory=directory,
            project_name="search",
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Trains with the values of `trial`; returns its objective."""
        del args, kwargs
        config = config_at(self._config, trial.hyperparameters.values)
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
        """Models are not kept: the Trainer trains with the best values again, on the same tables."""
        raise NotImplementedError("Train with the best values: they are the result of a search, not a model.")
