"""TFX components, one by one: cache keys, the schema gate, blessings, and publishing."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow  # importing TFX takes its time


@pytest.fixture(scope="module")
def components():
    from tests.support.tfx_import import import_components

    return import_components()


def artifact(kind, path, **properties):
    from tfx.types import standard_artifacts

    made = getattr(standard_artifacts, kind)() if isinstance(kind, str) else kind()
    path.mkdir(parents=True, exist_ok=True)
    made.uri = str(path)
    for name, value in properties.items():
        if isinstance(value, int):
            made.set_int_custom_property(name, value)
        else:
            made.set_string_custom_property(name, value)
    return made


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
    from beam_preprocess.summary import Summary

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


def blessing(number, *, content, path, blessed=1, live=True):
    from ml_metadata.proto import metadata_store_pb2

    states = metadata_store_pb2.Artifact
    found = states(id=number, state=states.LIVE if live else states.DELETED)
    found.custom_properties["bundle_version"].string_value = content
    found.custom_properties["bundle_uri"].string_value = str(path)
    found.custom_properties["blessed"].int_value = blessed
    (path / "stock" / "1").mkdir(parents=True, exist_ok=True)
    return found


def test_baseline_is_the_last_blessed_bundle_of_other_content(components, tmp_path):
    known = [
        blessing(1, content="one", path=tmp_path / "1"),
        blessing(2, content="two", path=tmp_path / "2"),
        blessing(3, content="bad", path=tmp_path / "3", blessed=0),
        blessing(4, content="gone", path=tmp_path / "4"),
        blessing(5, content="same", path=tmp_path / "5"),
        blessing(6, content="deleted", path=tmp_path / "6", live=False),
    ]
    (tmp_path / "4" / "stock" / "1").rmdir()
    assert components.serving._last_blessed(known, other_than="same") == str(tmp_path / "2")
    assert components.serving._last_blessed(known, other_than="two") == str(tmp_path / "5")
    assert components.serving._last_blessed([], other_than="same") == ""


@pytest.mark.parametrize(("blessed", "infra_blessed"), [(0, 1), (1, 0)])
def test_pusher_publishes_nothing_that_is_not_blessed_twice(components, tmp_path, blessed, infra_blessed):
    inputs = {
        "bundle": [artifact(components.serving.Bundle, tmp_path / "bundle")],
        "blessing": [artifact("ModelBlessing", tmp_path / "b", blessed=blessed)],
        "infra_blessing": [artifact("InfraBlessing", tmp_path / "ib", blessed=infra_blessed)],
    }
    pushed = artifact("PushedModel", tmp_path / "pushed")
    destination = tmp_path / "published"
    components.serving.PusherExecutor().Do(inputs, {"pushed": [pushed]}, {"destination": str(destination)})
    assert json.loads((tmp_path / "pushed" / "pushed.json").read_text()) == {"version": 0, "new": False}
    assert not destination.exists()


def test_pusher_is_keyed_on_what_is_published(components, tmp_path):
    assert components.serving.published_versions(tmp_path) == []
    for version, content in ((9, "old"), (10, "new")):
        folder = tmp_path / "stock" / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"bundle_version": content}))
    assert components.serving.published_versions(tmp_path) == ["stock/10 new"]
    info = SimpleNamespace(exec_properties={"destination": str(tmp_path)})
    driver = components.serving.PusherDriver(None)
    assert driver.run(info).exec_properties["published"].string_value == '["stock/10 new"]'


def test_infra_validator_raises_so_that_it_is_tried_again(components, tmp_path, monkeypatch):
    from serving.bundle import smoke_test
    from serving.evaluation import eval_requests

    monkeypatch.setattr(eval_requests, "read_eval_requests", lambda *a, **k: [])
    monkeypatch.setattr(
        smoke_test,
        "run_smoke_test",
        lambda *a, **k: smoke_test.SmokeTestResult(num_requests=1, problems=("no answer",)),
    )
    events = artifact("Examples", tmp_path / "events")
    events.split_names = '["train", "eval"]'
    infra = artifact("InfraBlessing", tmp_path / "infra")
    bundle = artifact(components.serving.Bundle, tmp_path / "bundle")
    with pytest.raises(components.serving.InfraValidationError, match="nothing was published.\n  no answer"):
        components.serving.InfraValidator.test_call(bundle=bundle, events=events, blessing=infra, config="{}", code="")


REMOTE = "ram://components"  # `ram://` represents gs:// and s3://: only tf.io.gfile reaches it


def remote_artifact(kind, name, *, splits=(), **properties):
    from tfx.types import standard_artifacts

    made = getattr(standard_artifacts, kind)() if isinstance(kind, str) else kind()
    made.uri = f"{REMOTE}/{name}"
    if splits:
        made.split_names = json.dumps(splits)
    for key, value in properties.items():
        made.set_string_custom_property(key, value)
    return made


@pytest.fixture
def remote_shop(tmp_path):
    """Examples of the tiny shop and untrained towers, as artifacts below `REMOTE`."""
    from serving import remote_files
    from serving.towers import export_towers
    from tests.support import tiny_shop
    from tests.support.fake_towers import FakeModel, FakeOps

    tiny_shop.write(tmp_path / "shop")
    remote_files.copy_folder(tmp_path / "shop" / "items", f"{REMOTE}/items/Split-all")
    for split in ("train", "eval", "days"):
        remote_files.copy_folder(tmp_path / "shop" / "events" / split, f"{REMOTE}/events/Split-{split}")
    export_towers(FakeModel(tiny_shop.CONFIG), FakeOps(tiny_shop.CONFIG), tmp_path / "towers", model_id="ab" * 32)
    remote_files.copy_folder(tmp_path / "towers", f"{REMOTE}/model/Format-Serving")
    return SimpleNamespace(
        model=remote_artifact("Model", "model"),
        items=remote_artifact("Examples", "items", splits=["all"]),
        events=remote_artifact("Examples", "events", splits=["train", "eval", "days"]),
    )


def read_remote(name):
    from serving import remote_files

    return json.loads(remote_files.read_bytes(f"{REMOTE}/{name}"))


def test_a_bundle_is_built_evaluated_and_published_where_all_artifacts_are_remote(
    components, remote_shop, monkeypatch, tmp_path
):
    from serving import remote_files
    from serving.bundle import smoke_test
    from tests.support import tiny_shop
    from trainer.spec.config import to_json

    monkeypatch.chdir(tmp_path)  # where a folder called `ram:` would appear
    bundle = remote_artifact(components.serving.Bundle, "bundle")
    components.serving.Indexer.test_call(**vars(remote_shop), bundle=bundle, code="")
    version = bundle.get_string_custom_property("bundle_version")
    assert read_remote("bundle/stock/1/assets.extra/manifest.json")["bundle_version"] == version
    assert read_remote("bundle/scann/1/assets.extra/manifest.json")["n_items"] == tiny_shop.NUM_ITEMS

    blessing = remote_artifact("ModelBlessing", "blessing")
    gate = {"min_recall": 0.0, "min_lift_over_popularity": -1.0, "max_regression": 1.0}
    components.serving.EvaluatorExecutor().Do(
        {"bundle": [bundle], "items": [remote_shop.items], "events": [remote_shop.events]},
        {"evaluation": [remote_artifact("ModelEvaluation", "evaluation")], "blessing": [blessing]},
        {
            **{"config": to_json(tiny_shop.CONFIG), "max_requests": 8},
            **{"baseline": bundle.uri, "quality_gate": json.dumps(gate)},
        },
    )
    quality = read_remote("evaluation/quality.json")
    assert quality["requests"] == 8
    assert quality["baseline"] == quality["recall"]  # the same bundle again
    assert remote_files.list_names(f"{REMOTE}/blessing") == ["BLESSED"]
    found = SimpleNamespace(
        **{"id": 1, "state": 2, "custom_properties": blessing.mlmd_artifact.custom_properties},
    )
    assert components.serving._last_blessed([found], other_than="another") == bundle.uri

    served = []
    monkeypatch.setattr(
        smoke_test,
        "run_smoke_test",
        lambda base_path, queries: (
            served.append((sorted(path.name for path in base_path.iterdir()), len(queries)))
            or smoke_test.SmokeTestResult(num_requests=1, problems=())
        ),
    )
    infra = remote_artifact("InfraBlessing", "infra")
    components.serving.InfraValidator.test_call(
        bundle=bundle, events=remote_shop.events, blessing=infra, config=to_json(tiny_shop.CONFIG), code=""
    )
    assert served == [(["1"], 8)]

    inputs = {"bundle": [bundle], "blessing": [blessing], "infra_blessing": [infra]}
    for name, is_new in (("pushed", True), ("pushed-again", False)):  # the newest version is not published again
        outputs = {"pushed": [remote_artifact("PushedModel", name)]}
        components.serving.PusherExecutor().Do(inputs, outputs, {"destination": f"{REMOTE}/published"})
        assert read_remote(f"{name}/pushed.json") == {"version": 1, "new": is_new}
    assert components.serving.published_versions(f"{REMOTE}/published") == [f"stock/1 {version}", f"scann/1 {version}"]

    # One item of the catalogue is gone.
    from tests.support.tiny_shop import example, items, write_records
    from trainer.spec.features import Side

    write_records(tmp_path / "fewer" / "items.tfrecord", [example(row, Side.ITEM) for row in items()[1:]])
    remote_files.copy_folder(tmp_path / "fewer", f"{REMOTE}/fewer/Split-all")
    components.serving.Refresher.test_call(
        items=remote_artifact("Examples", "fewer", splits=["all"]),
        bundle=remote_artifact(components.serving.Bundle, "refreshed"),
        pushed=remote_artifact("PushedModel", "refreshed-pushed"),
        **{"destination": f"{REMOTE}/published", "published": "", "code": ""},
    )
    report = read_remote("refreshed-pushed/pushed.json")
    assert (report["version"], report["removed"], report["encoded"]) == (2, 1, 0)
    assert [line.split()[0] for line in components.serving.published_versions(f"{REMOTE}/published")] == [
        "stock/2",
        "scann/2",
    ]
    assert not [path for path in tmp_path.iterdir() if ":" in path.name]


def test_items_gate_stops_at_the_items_alone(components, tmp_path):
    items = artifact("ExampleAnomalies", tmp_path / "i")
    write_anomalies(tmp_path / "i" / "Split-all", price="below -1")
    verdict = artifact(components.beam.GateVerdict, tmp_path / "v")
    with pytest.raises(components.beam.AnomalyError, match="items/all, feature 'price': wrong: below -1"):
        components.beam.ItemsSchemaGate.test_call(items_anomalies=items, verdict=verdict, code="")


def test_a_refreshed_bundle_that_does_not_serve_is_not_published(components, tmp_path, monkeypatch):
    from serving.bundle import publish, refresh, smoke_test

    report = refresh.RefreshReport(
        **{"bundle_version": "m-i", "items": 2, "encoded": 1, "removed": 0, "delta": 1, "tombstones": 1},
        **{"rebuilt": False, "changed": True, "seconds": {}, "paths": {"stock": tmp_path}},
    )
    monkeypatch.setattr(refresh, "refresh_bundle", lambda *a, **k: report)
    monkeypatch.setattr(
        smoke_test,
        "run_smoke_test",
        lambda *a, **k: smoke_test.SmokeTestResult(num_requests=1, problems=("no answer",)),
    )
    monkeypatch.setattr(publish, "publish", lambda *a, **k: pytest.fail("published"))
    items = artifact("Examples", tmp_path / "items")
    items.split_names = '["all"]'
    bundle, pushed = artifact(components.serving.Bundle, tmp_path / "b"), artifact("PushedModel", tmp_path / "p")
    with pytest.raises(components.serving.InfraValidationError, match="nothing was published.\n  no answer"):
        components.serving.Refresher.test_call(
            items=items, bundle=bundle, pushed=pushed, destination="", published="", code=""
        )


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
