"""The facade from the tiny shop to an answer: train, build, evaluate, publish, load, serve, refresh."""

import json

import numpy as np
import pytest

import vitrine
from serving.bundle import __main__ as building
from serving.evaluation import __main__ as evaluation
from serving.server.protocol.errors import ServingError
from trainer.spec.config import override


@pytest.mark.slow
@pytest.mark.e2e
def test_towers_are_trained_measured_built_and_published(facade_run, capsys):
    assert facade_run.trained.report.value("held_out", "all", "recall@10") > 0.5  # ten of 24 items at random: 0.42
    assert json.loads((facade_run.model / "metrics.json").read_text())["model_id"] == facade_run.trained.model_id
    assert (facade_run.report.num_items, facade_run.version) == (24, 1)
    quality = vitrine.evaluate(facade_run.published / "stock/1", facade_run.data)
    assert quality.requests == 48  # 24 searches in each of two rounds
    assert quality.recall > quality.popularity
    page = (facade_run.data / "report.html").read_text(encoding="utf-8")
    assert "Held-out actions" in page  # the trainer's evaluation came with the bundle
    assert "could not be made" not in page
    arguments = ["--bundle", str(facade_run.published / "stock/1"), "--data", str(facade_run.data), "--output="]
    assert evaluation.main(arguments) == 0
    assert f"recall@10 {quality.recall:.3f} on 48 requests" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.e2e
def test_a_bundle_answers_the_same_in_this_process_and_behind_a_server(facade_run):
    with vitrine.load_bundle(facade_run.published / "stock") as bundle:
        assert {"search", "explain", "similar_items"} <= set(bundle.signatures)
        here = bundle.search(query_text=["colour3"], page_size=[5])
        assert bundle.manifest["bundle_version"] == here["bundle_version"][0].decode()
        with pytest.raises(ValueError, match="Signature 'serach' is unknown; wanted one of "):
            bundle.predict("serach", {})
        with pytest.raises(AttributeError, match="no attribute 'serach'"):
            bundle.serach  # noqa: B018
        with pytest.raises(ServingError, match="query_texts"):
            bundle.search(query_texts=["red"])
    with vitrine.Server(model_base_path=facade_run.published / "stock") as server:
        for client in (vitrine.Client(rest=server.rest), vitrine.Client(grpc=server.grpc)):
            found = client.search(text="colour3", page_size=5)
            assert list(found.ids) == [name.decode() for name in here["ids"][0][:5]]
            np.testing.assert_allclose(found.scores, here["scores"][0][:5], atol=1e-4)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_refresh_of_an_unchanged_catalogue_changes_nothing(facade_run, tmp_path):
    refreshed = vitrine.refresh(facade_run.published, facade_run.data, tmp_path / "refreshed")
    assert (refreshed.changed, refreshed.bundle_version) == (False, facade_run.report.bundle_version)


@pytest.mark.slow
@pytest.mark.e2e
def test_the_command_line_builds_the_same_bundle(facade_run, by_command):
    assert json.loads(by_command.printed)["bundle_version"] == facade_run.report.bundle_version
    assert (by_command.folder / "scann/7/saved_model.pb").exists()


def test_the_command_line_asks_for_items(tmp_path, capsys):
    assert building.main(["--towers", "towers", "--output", str(tmp_path)]) == 1
    assert "no items are named; wanted --data or --items" in capsys.readouterr().err


def test_a_server_of_nothing_and_a_bundle_of_nothing_are_refused_with_a_hint(tmp_path):
    (tmp_path / "stock" / "1").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has no version to serve; .* Give one of its folders: stock\."):
        vitrine.Server(model_base_path=tmp_path)
    with pytest.raises(ValueError, match=r"Publish a bundle there first\."):
        vitrine.Server(model_base_path=tmp_path / "absent")
    with pytest.raises(ValueError, match="holds no bundle; wanted saved_model.pb or folders named by numbers"):
        vitrine.load_bundle(tmp_path)
    with pytest.raises(ValueError, match="has no readable .*manifest.json; wanted the folder of one version"):
        vitrine.evaluate(tmp_path, tmp_path)


@pytest.mark.extended
@pytest.mark.e2e
def test_a_shop_of_one_item_and_one_event_becomes_a_bundle_that_answers(tmp_path):
    config = override(vitrine.preset("tiny"), ["tower.disabled_branches=image,video,audio", "train.epochs=1"])
    catalog = [{"item_id": "mug", "title": "red mug"}]
    events = [{"type": "click", "timestamp": 1_700_000_000, "item_id": "mug", "query": {"text": "red"}}]
    vitrine.preprocess(None, tmp_path / "data", catalog=catalog, events=events, config=config)
    trained = vitrine.train(tmp_path / "data", tmp_path / "model", config=config)
    vitrine.build_bundle(trained.towers_dir, tmp_path / "data", tmp_path / "bundle", flavours=["stock"])
    with vitrine.load_bundle(tmp_path / "bundle/stock") as bundle:
        found = bundle.search(query_text=["red mug"], page_size=[5])
    assert found["ids"][0].tolist()[:2] == [b"mug", b""]
