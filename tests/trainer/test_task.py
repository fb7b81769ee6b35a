import json
import os
import types
from pathlib import Path

import pytest
import tensorflow as tf

from serving.engine.request_inputs import default_input
from tests.support import tiny_shop
from trainer import task
from trainer.spec.config import from_json, to_dict, to_json
from trainer.spec.features import Side
from trainer.spec.serving.signatures import signatures
from trainer.tables.open import DatasetPaths, open_tables
from trainer.training.distributed.preemption import Preempted


def test_run_fn_leaves_towers_and_metrics_in_a_remote_folder(
    shop, work_dir, trained, trained_report, tmp_path, caplog, monkeypatch
):
    caplog.set_level("INFO", "trainer")
    monkeypatch.chdir(tmp_path)  # a URI that was taken for a path would become a folder here
    # The same inputs from another caller give the same model, from its checkpoint; it has been evaluated already.
    monkeypatch.setattr(task, "evaluate", lambda again, truth_path: trained_report)
    root = "ram://artifacts"  # as gs://: reached only through tf.io.gfile
    target = f"{root}/model/7/Format-Serving"
    task.run_fn(
        types.SimpleNamespace(
            train_files=[f"{shop.train[0]}/*"],
            eval_files=[f"{shop.evaluation[0]}/*"],
            serving_model_dir=target,
            model_run_dir=f"{root}/run/7",
            custom_config={
                "config": to_dict(tiny_shop.CONFIG),
                "items": f"{shop.items[0]}/*",
                "days": f"{shop.days[0]}/*",
                "items_transform_graph": shop.transform_graph,
                "work_dir": str(work_dir),
                "code": "not ours",
            },
        )
    )
    assert not list(tmp_path.iterdir())
    written = json.loads(_read(f"{root}/model/7/metrics.json"))
    assert written["model_id"] == trained.model_id
    assert json.loads(_read(f"{target}/assets.extra/towers.json"))["model_id"] == trained.model_id
    # The evaluation goes with the towers, so that a bundle brings its own.
    curves = json.loads(_read(f"{root}/model/7/curves.json"))
    assert {"click", "purchase"} <= set(curves)
    assert json.loads(_read(f"{target}/assets.extra/curves.json")) == curves
    assert json.loads(_read(f"{target}/assets.extra/metrics.json"))["sections"] == written["sections"]
    table = _read(f"{root}/model/7/metrics.txt")
    assert "recall@10" in table
    assert any(table in message for message in caplog.messages)
    assert tf.io.gfile.glob(f"{root}/run/7/events.out.tfevents*")
    loaded = tf.saved_model.load(target)
    vectors, queries = trained.model.snapshot.numpy(), loaded.embed_query(_query("colour3 thing2"))["vector"].numpy()
    assert int((vectors @ queries[0]).argmax()) == 15


def _read(path):
    with tf.io.gfile.GFile(path) as file:
        return file.read()


def _query(text):
    wire, dim = tiny_shop.CONFIG.wire, tiny_shop.CONFIG.tower.dim
    return {
        "query_text": tf.constant([text]),
        "query_image": tf.constant([b""]),
        "query_audio": tf.constant([b""]),
        "query_video": tf.fill([1, wire.num_frames], b""),
        "history_vectors": tf.zeros([1, wire.history_length, dim]),
        "history_age_days": tf.zeros([1, wire.history_length]),
        "history_counts": tf.ones([1, wire.history_length]),
        "search_history_texts": tf.fill([1, wire.search_history_length], b""),
        "search_history_age_days": tf.zeros([1, wire.search_history_length]),
        "profile": tf.fill([1, wire.max_profile_entries], b""),
        "history_present": tf.zeros([1, wire.history_length], tf.bool),
    }


def test_custom_config_must_say_where_the_items_are():
    with pytest.raises(ValueError, match=r"lacks \['items', 'items_transform_graph'\]; got \['config'\]"):
        task.run_fn(types.SimpleNamespace(custom_config='{"config": "{}"}'))


@pytest.fixture
def jobs(monkeypatch):
    """What `main` would have run: (configuration, job) of each call; without the variables of any service."""
    for name in list(os.environ):
        if name.startswith("AIP_") or name in ("TF_CONFIG", "CLUSTER_SPEC"):
            monkeypatch.delenv(name)
    calls = []
    monkeypatch.setattr(task, "_run", lambda config, job, *, preemption: calls.append((config, job)))
    return calls


def test_the_command_line_names_the_same_job(shop, tmp_path, jobs):
    events, out = shop.train[0].removesuffix("/train"), tmp_path / "out"
    arguments = ["--items", shop.items[0], "--events", events, "--transform_graph", shop.transform_graph]
    arguments += ["--output", str(out), "--preset", "tiny", "--truth", "truth.jsonl"]
    assert task.main([*arguments, "--train.max_steps=2", "--set", "tower.fusion=sum"]) == 0
    ((config, job),) = jobs
    assert (config.train.max_steps, config.tower.fusion.value, config.tower.dim) == (2, "sum", 16)
    assert job.inputs == shop
    assert (job.output, job.work_dir, job.checkpoints) == (str(out), out / "work", str(out / "work"))
    assert (job.log_dir, job.truth, job.flavours) == (f"{out}/logs", "truth.jsonl", ("stock", "scann"))


def test_the_environment_of_the_service_gives_locations_and_flags_win(jobs, monkeypatch):
    for name, value in {
        "AIP_MODEL_DIR": "gs://b/model/",
        "AIP_CHECKPOINT_DIR": "gs://b/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": "gs://b/logs/",
        "AIP_TRAINING_DATA_URI": "gs://b/data/events/train/*",
        "AIP_VALIDATION_DATA_URI": "gs://b/data/events/eval/*",
        "AIP_TEST_DATA_URI": "gs://b/data/events/test/*",
        "CLUSTER_SPEC": json.dumps(
            {"cluster": {"workerpool0": ["a:1"], "workerpool1": ["b:1"]}, "task": {"type": "workerpool0", "index": 0}}
        ),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TF_CONFIG", "")  # so that what main sets is taken back
    assert task.main(["--preset=tiny"]) == 0
    assert task.main(["--preset=tiny", "--output=out", "--checkpoint_dir=c", "--run.strategy=none", "--data=d"]) == 0
    (by_service, first), (by_flag, second) = jobs
    assert by_service.run.strategy.value == "multi_worker"
    assert first.inputs == DatasetPaths(
        items=("gs://b/data/items",),
        train=("gs://b/data/events/train/*",),
        evaluation=("gs://b/data/events/eval/*",),
        transform_graph="gs://b/data/transform_graph",
    )
    assert (first.output, first.checkpoints, first.log_dir) == ("gs://b/model", "gs://b/checkpoints", "gs://b/logs")
    assert first.test == ("gs://b/data/events/test/*",)
    assert "://" not in str(first.work_dir)
    assert by_flag.run.strategy.value == "none"
    assert (second.output, second.checkpoints, second.log_dir) == ("out", "c", "gs://b/logs")
    assert (second.inputs.items, second.inputs.train, second.inputs.evaluation, second.test) == (
        ("d/items",),
        ("d/events/train",),
        ("d/events/eval",),
        (),
    )


def test_the_command_line_reports_what_is_wrong(shop, tmp_path, capsys, monkeypatch):
    arguments = ["--items", "/nowhere", "--events", "/nowhere", "--transform_graph", shop.transform_graph]
    assert task.main([*arguments, "--output", str(tmp_path), "--preset", "tiny"]) == 1
    assert "No item Examples match ['/nowhere']" in capsys.readouterr().err
    assert task.main([*arguments, "--output", str(tmp_path), "--set", "train.epoch=3"]) == 1
    assert "Did you mean 'epochs'?" in capsys.readouterr().err
    assert task.main(["--data=d"]) == 1
    assert "The location of the output is missing; wanted --output or AIP_MODEL_DIR" in capsys.readouterr().err
    monkeypatch.setenv("AIP_DATA_FORMAT", "csv")
    assert task.main(["--data=d", "--output=o"]) == 1
    assert "AIP_DATA_FORMAT is 'csv'" in capsys.readouterr().err


def test_a_job_that_was_asked_to_stop_has_its_own_exit_code(shop, tmp_path, monkeypatch, capsys):
    def run(config, job, *, preemption):
        raise Preempted("Stopped after step 5.")

    monkeypatch.setattr(task, "_run", run)
    assert task.main(["--data=d", f"--output={tmp_path}"]) == 143
    assert "Stopped after step 5." in capsys.readouterr().err


def test_the_job_leaves_model_bundle_and_reports_in_any_file_system(
    shop, work_dir, trained, trained_report, monkeypatch, tmp_path
):
    # `ram://` stands for gs:// and s3://: TensorFlow reaches it only through tf.io.gfile.
    root = shop.train[0].removesuffix("/events/train")
    for path in Path(root).rglob("*"):
        if path.is_file():
            target = f"ram://bucket/data/{path.relative_to(root)}"
            tf.io.gfile.makedirs(target.rpartition("/")[0])
            tf.io.gfile.copy(str(path), target)
    _write_a_review_and_an_intent("ram://bucket/data/events/train/more.tfrecord")
    monkeypatch.setattr(task, "evaluate", lambda again, truth_path: trained_report)
    monkeypatch.setattr(task, "fit", lambda *unused, **paths: trained)
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(tmp_path / "metrics"))
    config = tmp_path / "config.json"
    config.write_text(to_json(tiny_shop.CONFIG))
    arguments = ["--data=ram://bucket/data", "--output=ram://bucket/model", f"--config={config}", "--flavours=stock"]
    assert task.main([*arguments, f"--work_dir={tmp_path}"]) == 0
    names = set(tf.io.gfile.listdir("ram://bucket/model"))
    assert {"towers", "bundle", "metrics.json", "metrics.txt", "config.json", "run.md"} <= {
        n.rstrip("/") for n in names
    }
    with tf.io.gfile.GFile("ram://bucket/model/config.json") as file:
        assert from_json(file.read()) == tiny_shop.CONFIG
    assert tf.io.gfile.exists("ram://bucket/model/bundle/stock/1/assets.extra/manifest.json")
    _check_review_and_intent("ram://bucket/model/bundle/stock/1")
    kept = json.loads(_read("ram://bucket/model/bundle/stock/1/assets.extra/metrics.json"))
    assert kept["model_id"] == trained.model_id
    assert kept["counts"]["items"] == 24
    line = json.loads((tmp_path / "metrics").read_text())
    assert float(line["recall_at_10"]) == trained_report.value("held_out", "all", "recall@10")
    # Data is read from there as well.
    remote = DatasetPaths(
        items=("ram://bucket/data/items",),
        train=("ram://bucket/data/events/train",),
        evaluation=("ram://bucket/data/events/eval",),
        transform_graph="ram://bucket/data/transform_graph",
    )
    opened = open_tables(remote, config=tiny_shop.CONFIG, work_dir=work_dir)
    assert opened.items.ids == trained.tables.items.ids
    assert opened.ops.subwords == trained.tables.ops.subwords
    assert (opened.train.num_rows, opened.evaluation.num_rows) == (722, 144)


def _write_a_review_and_an_intent(path):
    item = {"event_item_id": "item-03"}
    rows = [{**item, "review_text": "colour3 thing2"}, {**item, "query_text": "colour3", "label_intent": 1}]
    with tf.io.TFRecordWriter(path) as writer:
        for row in rows:
            writer.write(tiny_shop.example(row, Side.QUERY, Side.EVENT))


def _check_review_and_intent(bundle):
    """The reviewed item alone has a sentiment, and the intent of a query is known: events came from `ram://`."""
    (signature,) = (signature for signature in signatures(tiny_shop.CONFIG) if signature.name == "rank")
    inputs = {field.name: default_input(field) for field in signature.inputs}
    inputs |= {"query_text": tf.constant(["colour3 thing0"]), "item_ids": tf.constant([["item-03", "item-04"]])}
    scores = tf.saved_model.load(bundle).signatures["rank"](**inputs)
    sentiment = scores["score_sentiment"].numpy()[0]
    assert abs(sentiment[0]) > 1e-4
    assert sentiment[1] == 0.0
    assert scores["intent"].numpy().sum() == pytest.approx(1.0, abs=1e-5)
