"""TFX component of training: what it hands to the training module."""

import json

import pytest

from tests.support.tfx_artifacts import artifact

pytestmark = pytest.mark.slow  # importing TFX takes its time


def test_trainer_gets_items_and_graph_with_the_events(components, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(
        components.trainer.GenericExecutor, "Do", lambda self, inputs, outputs, properties: given.update(properties)
    )
    items = artifact("Examples", tmp_path / "items")
    items.split_names = '["all"]'
    events = artifact("Examples", tmp_path / "events")
    events.split_names = '["train", "eval", "days"]'
    graph = artifact("TransformGraph", tmp_path / "graph")
    inputs = {"items": [items], "examples": [events], "transform_graph": [graph]}
    properties = {"custom_config": json.dumps({"config": {}, "code": "abc"})}
    components.trainer.TowersExecutor().Do(inputs, {}, properties)
    assert json.loads(given["custom_config"]) == {
        "config": {},
        "code": "abc",
        "items": str(tmp_path / "items" / "Split-all"),
        "days": str(tmp_path / "events" / "Split-days"),
        "items_transform_graph": str(tmp_path / "graph"),
    }
    assert "items" not in json.loads(properties["custom_config"])
