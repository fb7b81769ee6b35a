"""TFX component of the hyper-parameter search: TFX's Tuner with the item Examples as one more input."""

import json
import tempfile
from typing import Any

from tfx import types
from tfx.components.tuner.component import TunerFnResult
from tfx.components.tuner.executor import Executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TunerSpec

from trainer.spec.config import from_dict
from trainer.spec.presets import base
from trainer.tables.open import DatasetPaths

TUNER_FN = "trainer.tuning.component.tuner_fn"


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Entry point of TFX's Tuner: searches the declared space, with configuration and paths of `custom_config`."""
    from trainer.tuning.hyperparameter_search import HyperparameterSearch

    custom = fn_args.custom_config
    inputs = DatasetPaths(
        items=(custom["items"],),
        train=tuple(fn_args.train_files),
        evaluation=tuple(fn_args.eval_files),
        transform_graph=custom["items_transform_graph"],
        days=(custom["days"],) if custom.get("days") else (),
    )
    directory = custom.get("work_dir") or fn_args.working_dir or tempfile.mkdtemp()
    search = HyperparameterSearch(
        from_dict(custom["config"], base()), inputs, directory=f"{directory}/search", trials=custom["trials"]
    )
    return TunerFnResult(tuner=search, fit_kwargs={})


class TowersTunerSpec(TunerSpec):
    """Specification of TFX's Tuner with one more input, the item Examples."""

    INPUTS = {**TunerSpec.INPUTS, "items": ChannelParameter(type=standard_artifacts.Examples)}


class TowersTunerExecutor(Executor):
    """Runs `tuner_fn` with the URIs of items, item days and Transform graph in `custom_config`."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Adds the URIs and searches."""
        custom = json.loads(exec_properties["custom_config"])
        custom["items"] = artifact_utils.get_split_uri(input_dict["items"], "all") + "/*"
        custom["days"] = artifact_utils.get_split_uri(input_dict["examples"], "days") + "/*"
        custom["items_transform_graph"] = artifact_utils.get_single_uri(input_dict["transform_graph"])
        super().Do(input_dict, output_dict, {**exec_properties, "custom_config": json.dumps(custom)})


class Tuner(base_component.BaseComponent):
    """Searches the declared hyper-parameter space."""

    SPEC_CLASS = TowersTunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(TowersTunerExecutor)

    def __init__(self, *, channels: dict[str, types.BaseChannel], custom: dict[str, Any]) -> None:
        """Wires the component.

        Args:
          channels: `examples` (events), `items` and `transform_graph` (of the items).
          custom: `config`, `work_dir`, `trials`, and `code`, a hash of the source that training depends on.
        """
        spec = TowersTunerSpec(
            **channels,
            tuner_fn=TUNER_FN,
            train_args=trainer_pb2.TrainArgs(),
            eval_args=trainer_pb2.EvalArgs(),
            custom_config=json.dumps(custom),
            best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
            tuner_results=types.Channel(type=standard_artifacts.TunerResults),
        )
        super().__init__(spec=spec)
