import json
import types

import pytest
import tensorflow as tf

from tests.support import tiny_shop
from trainer import task
from trainer.spec.config import to_dict


def test_run_fn_leaves_towers_and_metrics(shop, work_dir, trained, trained_report, tmp_path, capsys, monkeypatch):
    # The same inputs from another caller give the same model, from its checkpoint; it has been evaluated already.
    monkeypatch.setattr(task, "evaluate", lambda again, truth_path: trained_report)
    target = tmp_path / "model" / "Format-Serving"
    task.run_fn(
        types.SimpleNamespace(
            train_files=[f"{shop.train[0]}/*"],
            eval_files=[f"{shop.evaluation[0]}/*"],
            serving_model_dir=str(target),
            model_run_dir=str(tmp_path / "run"),
            custom_config={
                "config": to_dict(tiny_shop.CONFIG),
                "items": f"{shop.items[0]}/*",
                "items_transform_graph": shop.transform_graph,
                "work_dir": str(work_dir),
                "code": "not ours",
            },
        )
    )
    written = json.loads((target.parent / "metrics.json").read_text())
    assert written["model_id"] == trained.model_id
    assert json.loads((target / "assets.extra" / "towers.json").read_text())["model_id"] == trained.model_id
    table = (target.parent / "metrics.txt").read_text()
    assert "recall@10" in table
    assert table in capsys.readouterr().out
    loaded = tf.saved_model.load(str(target))
    vectors, queries = trained.model.snapshot.numpy(), loaded.embed_query(_query("colour3 thing2"))["vector"].numpy()
    assert int((vectors @ queries[0]).argmax()) == 15


def _query(text):
    wire, dim = tiny_shop.CONFIG.wire, tiny_shop.CONFIG.tower.dim
    return {
        "query_text": tf.constant([text]),
        "query_image": tf.constant([b""]),
        "query_audio": tf.constant([b""]),
        "query_video": tf.fill([1, wire.frames], b""),
        "history_vectors": tf.zeros([1, wire.history, dim]),
        "history_ages": tf.zeros([1, wire.history]),
        "history_present": tf.zeros([1, wire.history], tf.bool),
    }


def test_custom_config_must_say_where_the_items_are():
    with pytest.raises(ValueError, match=r"lacks \['items', 'items_transform_graph'\]; got \['config'\]"):
        task.run_fn(types.SimpleNamespace(custom_config='{"config": "{}"}'))


def test_the_command_line_names_the_same_job(shop, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        task, "train_and_export", lambda config, inputs, **places: calls.append((config, inputs, places))
    )
    events, out = shop.train[0].removesuffix("/train"), tmp_path / "out"
    arguments = ["--items", shop.items[0], "--events", events, "--transform_graph", shop.transform_graph]
    arguments += ["--output", str(out), "--preset", "tiny", "--truth", "truth.jsonl"]
    assert task.main([*arguments, "--set", "train.max_steps=2", "--set", "tower.fusion=sum"]) == 0
    ((config, inputs, places),) = calls
    assert (config.train.max_steps, config.tower.fusion.value, config.tower.dim) == (
        2,
        "sum",
        tiny_shop.CONFIG.tower.dim,
    )
    assert inputs == shop
    assert places == {
        "towers_dir": out / "towers",
        "work_dir": out / "work",
        "log_dir": out / "logs",
        "truth_path": "truth.jsonl",
    }
    assert json.loads((out / "config.json").read_text()) == to_dict(config)


def test_the_command_line_says_what_is_wrong(shop, tmp_path, capsys):
    arguments = ["--items", "/nowhere", "--events", "/nowhere", "--transform_graph", shop.transform_graph]
    arguments += ["--output", str(tmp_path)]
    assert task.main([*arguments, "--preset", "tiny"]) == 1
    assert "No item Examples match ['/nowhere']" in capsys.readouterr().err
    assert task.main([*arguments, "--set", "train.epoch=3"]) == 1
    assert "Did you mean 'epochs'?" in capsys.readouterr().err
