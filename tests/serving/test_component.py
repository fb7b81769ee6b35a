"""TFX components of bundles: the baseline, validation, publishing, artifacts at remote addresses."""

import json
from types import SimpleNamespace

import pytest

from tests.support.tfx_artifacts import artifact

pytestmark = pytest.mark.slow  # importing TFX takes its time


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
