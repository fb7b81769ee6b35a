"""TFX component of training: TFX's Trainer with the item Examples as one more input.

Items are stored once and joined in training, so the Trainer has a second Examples input; `trainer.task.run_fn` gets its
URI through `custom_config`, as it gets the configuration.
"""

import json
from typing import Any

from tfx import types
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TrainerSpec

RUN_FN = "trainer.task.run_fn"


class TowersSpec(TrainerSpec):
    """Specification of TFX's Trainer with one more input, the item Examples."""

    INPUTS = {**TrainerSpec.INPUTS, "items": ChannelParameter(type=standard_artifacts.Examples)}


class TowersExecutor(GenericExecutor):
    """Runs `run_fn` with the URIs of items, item days and Transform graph in `custom_config`."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: dict[str, Any]) -> None:
        """Adds the URIs and trains."""
        custom = json.loads(exec_properties["custom_config"])
        custom["items"] = artifact_utils.get_split_uri(input_dict["items"], "all")
        custom["days"] = artifact_utils.get_split_uri(input_dict["examples"], "days")
        custom["items_transform_graph"] = artifact_utils.get_single_uri(input_dict["transform_graph"])
        super().Do(input_dict, output_dict, {**exec_properties, "custom_config": json.dumps(custom)})


class Trainer(base_component.BaseComponent):
    """Trains the two towers."""

    SPEC_CLASS = TowersSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(TowersExecutor)

    def __init__(self, *, channels: dict[str, types.BaseChannel], custom: dict[str, Any]) -> None:
        """Wires the component.

        Args:
          channels: `examples` (events), `items` and `transform_graph` (of the items).
          custom: `config`, `truth` and `work_dir` as `trainer.task.run_fn` takes them, and `code`, a hash of the source
            that training depends on. All of it is part of the cache key.
        """
        spec = TowersSpec(
            **channels,
            run_fn=RUN_FN,
            train_args=trainer_pb2.TrainArgs(),
            eval_args=trainer_pb2.EvalArgs(),
            custom_config=json.dumps(custom),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)
