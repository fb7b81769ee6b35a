"""Every member of an enum has its row in the tables that docs/architecture.md names for it."""

import importlib.util
import re
from pathlib import Path

import pytest

from beam_preprocess import examples, items, sources, validation
from beam_preprocess.events import examples as event_examples
from beam_preprocess.events.rows import Interaction
from beam_preprocess.feeds.kinds import KINDS
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import SourceRef
from serving.engine import signatures as bundle
from trainer.model import build, objective
from trainer.spec import feature_list, model_inputs, records, tasks
from trainer.spec.branches import branches_of
from trainer.spec.config import Config, WireConfig
from trainer.spec.features import Axis, Modality, Side
from trainer.spec.presets import PRESETS, tiny
from trainer.spec.serving.signatures import TowerOutput, signatures
from trainer.spec.tower import Fusion, SimilarityKind

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("modality", list(Modality))
def test_every_modality_has_its_modules_and_rows(modality):
    assert importlib.util.find_spec(f"trainer.ops.{modality.value}")
    assert importlib.util.find_spec(f"trainer.nn.encoders.{modality.value}")
    assert modality in build.ENCODERS
    assert modality in model_inputs.BRANCHES


def test_tables_hold_nothing_that_is_not_declared():
    assert set(build.ENCODERS) == set(model_inputs.BRANCHES) == set(Modality)
    assert set(build.FUSIONS) == set(Fusion)
    assert set(build.SIMILARITIES) == set(SimilarityKind)
    assert set(build.HEADS) == set(objective.LOSSES) == set(tasks.TaskKind)
    assert set(validation._READERS) == set(records.Kind)


def test_every_modality_is_used_and_every_branch_has_a_feature():
    used = {feature.modality for feature in feature_list.FEATURES} - {None}
    assert used == set(Modality)
    assert set(branches_of(Side.ITEM)) | set(branches_of(Side.QUERY)) == set(Modality)


def test_every_axis_has_its_length_in_the_wire_configuration():
    lengths = {axis.value: getattr(WireConfig(), axis.value) for axis in Axis}
    assert all(isinstance(length, int) and length >= 1 for length in lengths.values()), lengths


def test_every_task_has_a_label_among_the_features_of_events_or_days():
    for side, declared in ((Side.EVENT, tasks.EVENT_TASKS), (Side.ITEM_DAY, tasks.ITEM_DAY_TASKS)):
        labels = {feature.name for feature in feature_list.features_of(side)}
        for task in declared:
            assert task.label in labels, f"task {task.name} wants label {task.label}"
    assert len({task.name for task in tasks.TASKS}) == len(tasks.TASKS)
    assert set(tasks.DEFAULT_SCORE_WEIGHTS) == {*tasks.SCORE_COMPONENTS, tasks.TEXT_ENCODER}


@pytest.mark.parametrize("signature", signatures(Config()), ids=lambda signature: signature.name)
def test_every_signature_has_its_method(signature):
    assert callable(getattr(bundle.SignatureFunctions, signature.name, None)), (
        f"write serving.engine.signatures.SignatureFunctions.{signature.name}"
    )
    assert signature.inputs, "TF Serving refuses a signature without inputs"
    assert signature.outputs
    for port in signature.outputs:
        assert port.default is None, f"output {port.name} has a default"


@pytest.mark.parametrize("record", list(records.RECORDS))
def test_record_fields_are_named_once(record):
    names = [field.name for field in records.RECORDS[record]]
    assert len(set(names)) == len(names)


def test_features_are_named_once():
    names = [feature.name for feature in feature_list.FEATURES]
    assert len(set(names)) == len(names)


def test_every_kind_of_export_is_described():
    page = (ROOT / "docs/bring_your_own.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `([a-z0-9]+)` \|", page, flags=re.MULTILINE))
    assert described == {*KINDS, "auto", "duckdb"}
    assert not set(KINDS) & set(sources.SOURCES), "a name means two things"


@pytest.mark.parametrize("kind", list(sources.SOURCES))
def test_every_source_has_the_methods_of_a_source(kind):
    wanted = {name for name in vars(sources.Source) if not name.startswith("_")}
    assert wanted <= set(dir(sources.SOURCES[kind])), f"{kind} lacks {wanted - set(dir(sources.SOURCES[kind]))}"


def test_every_preset_gives_a_valid_configuration():
    for name, make in PRESETS.items():
        assert isinstance(make(), Config), name


def test_tower_outputs_are_the_ones_the_signatures_speak_of():
    assert [output.value for output in TowerOutput] == [
        *("vector", "branches", "weights", "status", "repeats", "text_features", "encoded")
    ]


CATALOG_VALUES = {
    records.Kind.TEXT: "a",
    records.Kind.NUMBER: 1.0,
    records.Kind.BOOLEAN: False,
    records.Kind.TIME: 1_000_000,
    records.Kind.TEXT_LIST: ["a"],
    records.Kind.TEXT_MAP: {"a": "b"},
}
CATALOG_VALUES |= {
    records.Kind.URI: "a.mp4",
    records.Kind.URI_LIST: ["a.jpg"],
    records.Kind.RELATIONS: [{"type": "fits", "item_id": "b"}],
}


@pytest.fixture
def filled(monkeypatch):
    """The names of the features that are handed to the serializer."""
    names = set()

    def placed(self, row):
        names.update(row)
        return []

    monkeypatch.setattr(examples.Serializer, "placed", placed)
    return names


def declared_names(*sides):
    return {feature.name for side in sides for feature in feature_list.features_of(side)}


def test_every_feature_of_an_item_is_filled(filled, tmp_path):
    row = {field.name: CATALOG_VALUES[field.kind] for field in records.CATALOG}
    keyed = ("a", items.ValidRecord(SourceRef("catalog.jsonl", 1), row))
    list(items.serialize_item(keyed, media_root=MediaRoot(str(tmp_path)), config=tiny()))
    by_encoders = set(feature_list.EMBEDDINGS.values())  # `beam_preprocess.precomputed_embeddings` fills them
    assert declared_names(Side.ITEM) - by_encoders == filled, "fill the feature in beam_preprocess/items.py"


def test_every_feature_and_label_of_an_event_is_filled(filled):
    row = Interaction.pseudo("a", "red mug", number=0)._replace(review="good")
    event_examples.row_serializer.cache_clear()  # what it holds of other rows is placed already
    media = {"query_image": b"", "query_video": [], "query_audio": b""}
    list(event_examples.serialize_row(row, media, config=tiny()))
    assert declared_names(Side.QUERY, Side.EVENT) == filled, "fill the feature in beam_preprocess/events/examples.py"
    assert {task.label for task in tasks.EVENT_TASKS} <= filled
