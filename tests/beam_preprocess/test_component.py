"""TFX components of preprocessing: cache keys, the schema gate, ingestion, the demo shop."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.tfx_artifacts import artifact

pytestmark = pytest.mark.slow  # importing TFX takes its time


def write_anomalies(folder, **features):
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    anomalies = anomalies_pb2.Anomalies()
    for name, description in features.items():
        anomalies.anomaly_info[name].description = description
        anomalies.anomaly_info[name].short_description = "wrong"
    folder.mkdir(parents=True)
    (folder / "SchemaDiff.pb").write_bytes(anomalies.SerializeToString())


def test_gate_names_every_anomaly_and_stops(components, tmp_path):
    items, events = artifact("ExampleAnomalies", tmp_path / "i"), artifact("ExampleAnomalies", tmp_path / "e")
    write_anomalies(tmp_path / "i" / "Split-all", price="below -1")
    write_anomalies(tmp_path / "e" / "Split-train")
    write_anomalies(tmp_path / "e" / "Split-eval", position="missing")
    verdict = artifact(components.beam.GateVerdict, tmp_path / "v")
    with pytest.raises(components.beam.AnomalyError) as caught:
        components.beam.SchemaGate.test_call(items_anomalies=items, events_anomalies=events, verdict=verdict, code="")
    assert "(2 anomalies); nothing was trained or published" in str(caught.value)
    assert "items/all, feature 'price': wrong: below -1" in str(caught.value)
    assert "events/eval, feature 'position': wrong: missing" in str(caught.value)
    assert not (tmp_path / "v" / "verdict.txt").exists()


def test_gate_lets_valid_data_through(components, tmp_path):
    items, events = artifact("ExampleAnomalies", tmp_path / "i"), artifact("ExampleAnomalies", tmp_path / "e")
    write_anomalies(tmp_path / "i" / "Split-all")
    verdict = artifact(components.beam.GateVerdict, tmp_path / "v")
    components.beam.SchemaGate.test_call(items_anomalies=items, events_anomalies=events, verdict=verdict, code="abc")
    assert (tmp_path / "v" / "verdict.txt").read_text() == "No anomalies.\ncode abc\n"


@pytest.fixture
def shop(tmp_path):
    from tests.support import text_shop

    return text_shop.write(tmp_path / "shop")


def fingerprints(components, shop):
    properties = {"shop": str(shop), "kind": "records", "config": "{}"}
    info = SimpleNamespace(exec_properties=properties)
    return [
        driver(None).run(info).exec_properties["fingerprint"].string_value
        for driver in (components.beam.ItemsDriver, components.beam.EventsDriver)
    ]


def test_each_side_is_keyed_on_its_own_content(components, shop, tmp_path, monkeypatch):
    from tests.support import text_shop

    items, events = fingerprints(components, shop)
    assert fingerprints(components, text_shop.write(tmp_path / "copy")) == [items, events]
    text_shop.add_round(shop)
    assert fingerprints(components, shop)[0] == items
    later = fingerprints(components, shop)[1]
    assert later != events
    (shop / "media" / "4.jpg").write_bytes((shop / "media" / "0.jpg").read_bytes())
    assert fingerprints(components, shop)[0] != items
    assert fingerprints(components, shop)[1] == later
    monkeypatch.setenv("VITRINE_USER_KEY", "another key")
    assert fingerprints(components, shop)[1] != later


def test_dead_letters_outlive_a_failed_ingestion(components, tmp_path):
    folder = tmp_path / "report" / "7"
    outputs = {"report": [artifact(components.beam.IngestReport, folder)]}
    report = components.beam._Report(outputs)
    report.__enter__()
    Path(report.dead_letters("items")).write_text("{}\n")
    report.__exit__(RuntimeError, RuntimeError("no item is valid"), None)
    folder.rmdir()  # as TFX does
    assert (tmp_path / "report" / "7-items.jsonl").read_text() == "{}\n"


def test_a_report_holds_counts_text_and_dead_letters(components, tmp_path):
    from beam_preprocess.outcomes import Summary

    folder = tmp_path / "report" / "7"
    with components.beam._Report({"report": [artifact(components.beam.IngestReport, folder)]}) as report:
        Path(report.dead_letters("items")).write_text("{}\n")
        report.summaries["items"] = Summary(record="items", counts={"read": 3, "dropped/no_title": 1})
    assert sorted(path.name for path in folder.iterdir()) == ["items.jsonl", "summary.json", "summary.txt"]
    assert json.loads((folder / "summary.json").read_text()) == {"items": {"read": 3, "dropped/no_title": 1}}
    assert (folder / "summary.txt").read_text() == "items: read 3\n  dropped: no_title 1\n"


@pytest.mark.parametrize("name", ["ItemsExecutor", "EventsExecutor"])
def test_ingestion_writes_the_same_to_a_remote_address(components, shop, tmp_path, monkeypatch, name):
    from tfx.types import standard_artifacts

    from tests.support.ram_filesystem import file_bytes
    from trainer.spec.config import to_json
    from trainer.spec.presets import tiny

    with (shop / "catalog.jsonl").open("a") as catalog, (shop / "events.jsonl").open("a") as events:
        catalog.write("{broken\n")
        events.write("{broken\n")
    monkeypatch.chdir(tmp_path)  # a URI that is read as a path would be written here
    written = {}
    for root in (str(tmp_path / "local"), f"ram://{name.lower()}"):
        examples, report = standard_artifacts.Examples(), components.beam.IngestReport()
        examples.uri, report.uri = f"{root}/examples/1", f"{root}/report/1"
        properties = {"shop": str(shop), "kind": "records", "config": to_json(tiny())}
        getattr(components.beam, name)().Do({}, {"examples": [examples], "report": [report]}, properties)
        written[root] = file_bytes(root)
    local, remote = written.values()
    assert remote == local
    record = "items" if name == "ItemsExecutor" else "events"
    assert {f"report/1/{record}.jsonl", "report/1/summary.json", "report/1/summary.txt"} <= set(remote)
    assert json.loads(remote[f"report/1/{record}.jsonl"])["reason"] == "malformed"
    assert json.loads(remote["report/1/summary.json"])[record]["dropped/malformed"] == 1
    assert any(path.endswith(".tfrecord") and data for path, data in remote.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "shop"]


def test_the_gate_reads_and_writes_remote_addresses(components):
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    from tests.support import ram_filesystem

    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info["price"].short_description = "wrong"
    with ram_filesystem.RamFileSystem(None).create("ram://gate/i/Split-all/SchemaDiff.pb") as file:
        file.write(anomalies.SerializeToString())
    assert components.beam.describe_anomalies("ram://gate/i", subject="items") == [
        "items/all, feature 'price': wrong: "
    ]
    components.beam._pass_or_raise([], "ram://gate/v", code="abc")
    assert tf.io.gfile.exists("ram://gate/v/verdict.txt")


def test_items_gate_stops_at_the_items_alone(components, tmp_path):
    items = artifact("ExampleAnomalies", tmp_path / "i")
    write_anomalies(tmp_path / "i" / "Split-all", price="below -1")
    verdict = artifact(components.beam.GateVerdict, tmp_path / "v")
    with pytest.raises(components.beam.AnomalyError, match="items/all, feature 'price': wrong: below -1"):
        components.beam.ItemsSchemaGate.test_call(items_anomalies=items, verdict=verdict, code="")


def test_demo_shop_is_written_once(components, tmp_path, monkeypatch):
    from beam_preprocess.synthetic import shop as synthetic

    written = []

    def write_shop(directory, **parameters):
        directory.mkdir()
        written.append(parameters)

    monkeypatch.setattr(synthetic, "write_shop", write_shop)
    folder = tmp_path / "shop"
    assert components.beam.demo_shop(folder, code="1") == folder
    (folder / "left over").touch()
    components.beam.demo_shop(folder, code="1")
    assert len(written) == 1
    components.beam.demo_shop(folder, code="2")
    assert len(written) == 2
    assert not (folder / "left over").exists()
    (folder / ".complete").unlink()  # as after a kill while it was written
    components.beam.demo_shop(folder, code="2")
    assert written == [components.beam.DEMO_SHOP] * 3
