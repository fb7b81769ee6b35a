"""The main job on a small shop, end to end: published, cached, stopped, killed and continued. The tests build on each
other in the order of the file, because every full run costs the training of a model.
"""

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfx_pipeline
from tests.support import text_shop
from tests.support.fault_server import fault_server
from tests.support.hub_modules import MeanColour, saved
from trainer.job.job import Job
from trainer.job.runs import ComponentProgress
from trainer.job.summary import summarize, summarize_refresh
from trainer.spec.config import from_json, override
from trainer.spec.features import Dtype
from trainer.spec.presets import tiny
from trainer.spec.search_space import SEARCH_SPACE

SETTINGS = ["train.epochs=12", "train.batch_size=32", "train.learning_rate=0.01", "data.event_shards=1"]
ROOT = Path(tfx_pipeline.__file__).parent
HOLD_THE_LOCK = """
import sqlite3, sys, time
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(15)
store.execute("ROLLBACK")
"""


def job_of(*arguments):
    return tfx_pipeline.parse_job(arguments)


def test_command_line_becomes_a_job(tmp_path):
    (tmp_path / "more.json").write_text('{"train": {"epochs": 4, "batch_size": 16}}')
    job = job_of(
        *("--shop", str(tmp_path), "--kind=chorus", "--preset=tiny", "--config", str(tmp_path / "more.json")),
        *("--set", "train.epochs=5", "--output", str(tmp_path / "out"), "--min_recall=0.3"),
    )
    assert (job.shop, job.kind, job.output) == (str(tmp_path), "chorus", tmp_path / "out")
    assert (job.config.train.epochs, job.config.train.batch_size, job.config.tower.dim) == (5, 16, 16)
    assert (job.min_recall, job.max_regression) == (0.3, 0.03)
    assert job_of("--shop=gs://bucket/shop").shop == "gs://bucket/shop"
    assert job_of().shop == ""


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--set=train.epoch=3", "Unknown config key 'train.epoch'. Did you mean 'epochs'?"),
        ("--ouput=x", "Unknown argument '--ouput=x'; wanted a flag of this command or of Beam. Did you mean --output?"),
    ],
)
def test_wrong_arguments_are_refused_with_a_hint(argument, said, capsys):
    assert tfx_pipeline.main([argument]) == 2
    assert said in capsys.readouterr().out


def test_a_step_sees_only_the_parts_of_the_configuration_it_depends_on(tmp_path):
    job = Job(shop="", kind="shop", config=tiny(), output=tmp_path, beam_args=())
    longer = dataclasses.replace(job, config=override(tiny(), ["train.epochs=50"]))
    assert job.config_sections("wire", "data") == longer.config_sections("wire", "data")
    assert set(json.loads(job.config_sections("wire", "data"))) == {"wire", "data"}


def test_the_code_of_encoders_counts_only_where_one_runs_in_preprocessing(tmp_path, monkeypatch):
    for package in ("trainer", "serving", "beam_preprocess"):
        shutil.copytree(ROOT / package, tmp_path / package)
    real = tfx_pipeline.source_hash
    monkeypatch.setattr(tfx_pipeline, "source_hash", lambda *a, **k: real(*a, root=tmp_path, **k))
    plain = job_of("--shop", str(tmp_path))
    encodes = job_of(
        "--shop", str(tmp_path), "--set=wire.image_embedding_dim=3", "--set=tower.vision.pretrained=/encoder"
    )
    cases = [(plain, "ItemsGen"), (encodes, "ItemsGen"), (encodes, "EventsGen")]
    before = [tfx_pipeline.ingestion(*case).exec_properties for case in cases]
    with (tmp_path / "trainer" / "nn" / "encoders" / "pretrained_image.py").open("a") as stream:
        stream.write("\n# edited\n")
    after = [tfx_pipeline.ingestion(*case).exec_properties for case in cases]
    assert [old["code"] == new["code"] for old, new in zip(before, after, strict=True)] == [True, False, True]
    # What names an encoder goes with the wire form that announces its vectors; a change of other towers is not seen.
    assert "tower" not in json.loads(before[0]["config"])
    assert from_json(before[1]["config"]).tower.vision == encodes.config.tower.vision
    assert set(json.loads(before[1]["config"])["tower"]) == {"vision"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Of a small training, with a frozen encoder of photos that runs in preprocessing."""
    folder = tmp_path_factory.mktemp("encoder")
    encoder = [f"tower.vision.pretrained={saved(MeanColour(), folder / 'mean')}", "wire.image_embedding_dim=3"]
    return [*SETTINGS, *encoder, f"data.embedding_cache_dir={folder / 'kept'}"]


@pytest.fixture(scope="module")
def photos():
    """A web host with the photos of the shop."""
    with fault_server() as server:
        yield server


@pytest.fixture(scope="module")
def shop(tmp_path_factory, photos):
    """A shop as a Merchant Center feed with addresses of photos, and events in our own format."""
    folder = text_shop.write(tmp_path_factory.mktemp("shop") / "files")
    photos.content |= {f"/media/{path.name}": path.read_bytes() for path in (folder / "media").iterdir()}
    text_shop.write_feed(folder, photos=photos.url("").rstrip("/"))
    return folder


@pytest.fixture(scope="module")
def exports(shop, tmp_path_factory):
    """The arguments that name the exports and allow their host."""
    cache = tmp_path_factory.mktemp("media_cache")
    named = ["--catalog", f"google:{shop / 'feed.xml'}", "--events", f"shop:{shop / 'events.jsonl'}"]
    return [*named, "--fetch_media=127.0.0.1", "--allow_http", "--allow_loopback", "--media_cache", str(cache)]


@pytest.fixture(scope="module")
def job(tmp_path_factory, settings, exports):
    output = tmp_path_factory.mktemp("pipeline") / "output"
    parsed = tfx_pipeline.parse_job([*exports, "--output", str(output)])
    return dataclasses.replace(parsed, config=override(tiny(), settings))


class RecordedProgress(ComponentProgress):
    """Keeps the lines of progress."""

    def __init__(self):
        self.lines = []
        super().__init__(say=self.lines.append)


def run(job):
    recorded = RecordedProgress()
    outcome = tfx_pipeline.run(job, progress=recorded)
    return outcome, recorded.lines


def versions(job):
    return {
        path.name: sorted(int(entry.name) for entry in path.iterdir() if entry.name.isdecimal())
        for path in sorted(job.published.iterdir())
        if path.is_dir()
    }


@pytest.fixture(scope="module")
def first(job):
    outcome, lines = run(job)
    return outcome, lines


@pytest.mark.slow
@pytest.mark.e2e
class TestJob:
    def test_a_feed_with_addresses_of_photos_becomes_a_published_bundle(self, job, first, photos):
        outcome, lines = first
        assert versions(job) == {"scann": [1], "stock": [1]}
        assert outcome.pushed == {"version": 1, "new": True}
        assert outcome.cached == set()
        assert [line.split()[1] for line in lines] == list(outcome.seconds)
        assert outcome.quality["recall"] > outcome.quality["popularity"]
        items = outcome.read_json("ItemsGen", output="report", name="summary.json")["items"]
        assert items["read"] == items["written"] == 24
        assert items["image_embeddings_made"] == 3  # six photos in three colours
        assert sum(path.startswith("/media/") for path, _ in photos.requests) == 6

    def test_the_summary_can_be_read_and_pasted(self, job, first):
        text = summarize(first[0], published=job.published)
        for part in ("items: ", "events: ", "recall@10", "version 1 (new)", " -m serving.server ", "curl -s"):
            assert part in text

    def test_the_run_leaves_its_report(self, job, first):
        assert first[0].report == job.output / "report.html"
        page = first[0].report.read_text(encoding="utf-8")
        for part in ("Import of the catalogue", "Preprocessing of events", "ROC and precision-recall", "Trainer "):
            assert part in page
        assert "could not be made" not in page

    def test_an_unchanged_run_is_answered_from_the_cache(self, job, first):
        before = (job.output / "report.html").stat().st_mtime_ns
        outcome, _ = run(job)
        assert (job.output / "report.html").stat().st_mtime_ns == before
        assert set(outcome.seconds) - outcome.cached <= {"Pusher"}
        assert sum(outcome.seconds.values()) < sum(first[0].seconds.values()) / 5
        assert outcome.pushed == {"version": 1, "new": False}
        assert versions(job) == {"scann": [1], "stock": [1]}

    def test_a_metadata_store_that_gets_locked_is_waited_for(self, job, first):
        recorded = RecordedProgress()
        holders = []

        def hold_after_the_first_step(line):
            recorded.lines.append(line)
            if not holders:  # locks are between processes: one of this process would not be seen
                command = [sys.executable, "-c", HOLD_THE_LOCK, str(job.metadata_path)]
                holders.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
                assert holders[0].stdout.readline() == "held\n"

        recorded.say = hold_after_the_first_step
        outcome = tfx_pipeline.run(job, progress=recorded)
        holders[0].wait()
        holders[0].stdout.close()
        assert "The metadata store was locked by another program; trying again (1)." in recorded.lines
        assert outcome.pushed["version"] == 1

    def test_an_edit_of_our_code_is_never_answered_from_the_cache(self, job, first, monkeypatch, tmp_path):
        shutil.copytree(ROOT / "trainer", tmp_path / "trainer")
        shutil.copytree(ROOT / "serving", tmp_path / "serving")
        shutil.copytree(ROOT / "beam_preprocess", tmp_path / "beam_preprocess")
        with (tmp_path / "serving" / "evaluation" / "gate.py").open("a") as stream:
            stream.write("\n# edited\n")
        real = tfx_pipeline.source_hash
        monkeypatch.setattr(tfx_pipeline, "source_hash", lambda *a, **k: real(*a, root=tmp_path, **k))
        outcome, _ = run(job)
        assert "Evaluator" not in outcome.cached
        assert {"ItemsGen", "Transform", "Trainer", "Indexer"} <= outcome.cached
        assert versions(job) == {"scann": [1], "stock": [1]}

    def test_a_bundle_that_is_not_good_enough_is_not_published(self, job, first):
        outcome, _ = run(dataclasses.replace(job, min_recall=1.01))
        assert outcome.pushed == {"version": 0, "new": False}
        assert "wanted at least 1.010" in summarize(outcome, published=job.published)
        assert versions(job) == {"scann": [1], "stock": [1]}

    def test_an_anomaly_stops_the_run_with_its_name(self, job, first, monkeypatch):
        from beam_preprocess import schema

        wrong = [
            dataclasses.replace(feature, dtype=Dtype.INT, default=0) if feature.name == "title" else feature
            for feature in schema.VALIDATED_ITEMS
        ]
        monkeypatch.setattr(schema, "VALIDATED_ITEMS", tuple(wrong))
        recorded = RecordedProgress()
        with pytest.raises(Exception, match=r"items/all, feature 'title'.*(\n.*)*Fix the shop's data"):
            tfx_pipeline.run(job, progress=recorded)
        assert recorded.running == "Gate"

    @pytest.mark.extended
    def test_a_killed_run_with_a_search_is_continued(self, job, exports, settings, tmp_path):
        short = ["train.epochs=1"]  # however bad the model of the one point that is tried, it is published
        searched = dataclasses.replace(
            job,
            output=tmp_path / "output",
            config=override(job.config, short),
            trials=1,
            max_regression=1.0,
            min_lift_over_popularity=-1.0,
        )
        command = [sys.executable, str(ROOT / "tfx_pipeline.py"), *exports, "--preset=tiny", "--trials=1"]
        command += [f"--set={setting}" for setting in (*settings, *short)]
        command += ["--output", str(searched.output), "--max_regression=1", "--min_lift_over_popularity=-1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        assert process.stdout is not None
        steps = [self._killed_after("Transform", process, line) for line in process.stdout]
        process.wait()
        process.stdout.close()
        assert process.returncode == -9, steps
        outcome, lines = run(searched)
        assert lines[0].startswith("Continuing after a run that was stopped")
        assert {"EventsGen", "ItemsGen", "ItemsStatistics", "Transform"} <= outcome.cached
        assert not {"Tuner", "Trainer", "Indexer"} & outcome.cached
        assert outcome.pushed == {"version": 1, "new": True}
        assert versions(searched) == {"scann": [1], "stock": [1]}
        # The trainer takes the best point of the search, and the rest of the configuration as it was.
        best = outcome.read_json("Tuner", output="best_hyperparameters", name="best_hyperparameters.txt")["values"]
        assert set(best) == {dimension.path for dimension in SEARCH_SPACE}
        (resolved,) = outcome.outputs["Trainer"]["model"].rglob("config.json")
        trained = from_json(resolved.read_text(encoding="utf-8"))
        assert trained.train.epochs == 1
        assert trained.train.learning_rate == pytest.approx(best["train.learning_rate"])
        assert trained.train.learning_rate != job.config.train.learning_rate
        assert trained.train.batch_size == best["train.batch_size"]

    def test_a_refresh_publishes_a_changed_catalogue_without_training(self, job, shop, first, photos):
        text_shop.change_catalogue(shop)
        text_shop.write_feed(shop, photos=photos.url("").rstrip("/"))
        before = max(versions(job)["stock"])
        outcome, _ = run(dataclasses.replace(job, refresh=True))
        assert "Trainer" not in outcome.seconds
        read = outcome.read_json("ItemsGen", output="report", name="summary.json")["items"]
        assert (read.get("image_embeddings_made", 0), read["image_embeddings_known"]) == (0, 3)
        pushed = outcome.read_json("Refresher", output="pushed", name="pushed.json")
        assert (pushed["items"], pushed["encoded"], pushed["removed"], pushed["new"]) == (24, 2, 1, True)
        assert versions(job) == {flavour: [*range(1, before + 2)] for flavour in ("scann", "stock")}
        text = summarize_refresh(outcome, published=job.published)
        assert "24 items, 2 new or changed and encoded, 1 gone" in text
        again, _ = run(dataclasses.replace(job, refresh=True))
        assert not again.read_json("Refresher", output="pushed", name="pushed.json")["new"]
        assert max(versions(job)["stock"]) == before + 1

    @staticmethod
    def _killed_after(step, process, line):
        """Kills the run a second into what follows `step`; returns the line."""
        if line.split()[1:2] == [step]:
            time.sleep(1.0)
            process.kill()
        return line
