"""The summary of a run: what a person reads, and commands that can be pasted."""

import dataclasses
import json
import shlex
import subprocess
import sys

import pytest

from trainer.job.summary import RunOutcome, query_command, serve_command, summarize

QUALITY = {
    "summary_line": "recall@10 0.900 on 20 requests",
    "problems": [],
    "example": "a person's red shoe",
    "example_item": "i1",
}
METRICS = {
    "sections": {
        "held_out": {
            "title": "Held-out actions",
            "rows": [
                {"slice": "all", "size": 20, "metric": "recall@10", "model": 0.9, "popularity": 0.25},
                {"slice": "query: text", "size": 9, "metric": "recall@10", "model": 0.8, "popularity": 0.2},
                {"slice": "all", "size": 20, "metric": "mrr", "model": 0.7, "popularity": 0.1},
            ],
        }
    }
}


@pytest.fixture
def outcome(tmp_path):
    def write(folder, name, value):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(value if isinstance(value, str) else json.dumps(value))

    write("items", "summary.txt", "items: read 24, written 23\n  dropped: no_title 1\n")
    write("items", "items.jsonl", '{"reason": "no_title"}\n')
    write("events", "summary.txt", "events: read 300\n")
    write("events", "events.jsonl", "")
    write("model", "metrics.json", METRICS)
    write("evaluation", "quality.json", QUALITY)
    write("pushed", "pushed.json", {"version": 3, "new": True})
    outputs = {
        "ItemsGen": {"report": tmp_path / "items"},
        "EventsGen": {"report": tmp_path / "events"},
        "Trainer": {"model": tmp_path / "model"},
        "Evaluator": {"evaluation": tmp_path / "evaluation"},
        "Pusher": {"pushed": tmp_path / "pushed"},
    }
    return RunOutcome(seconds={"ItemsGen": 2.0, "Gate": 0.01, "Trainer": 61.25}, cached=frozenset(), outputs=outputs)


def test_the_summary_has_counts_accuracy_and_paths(outcome, tmp_path):
    text = summarize(outcome, published=tmp_path / "bundle")
    for part in (
        "items: read 24, written 23\n    dropped: no_title 1",
        f"each dropped item with its reason: {tmp_path}/items/items.jsonl",
        "Held-out actions, all: recall@10 of model 0.900, popularity 0.250",
        f"by slice: {tmp_path}/model/metrics.txt",
        "recall@10 0.900 on 20 requests",
        f"version 3 (new) in {tmp_path}/bundle",
        "Report\n  none: the log has the reason",
        "63.3 s in the components\n  ItemsGen 2.0 s, Trainer 61.2 s",
    ):
        assert part in text
    assert "query: text" not in text
    assert "mrr" not in text


def test_the_summary_names_the_report(outcome, tmp_path):
    found = dataclasses.replace(outcome, report=tmp_path / "report.html")
    assert f"Report\n  {tmp_path}/report.html" in summarize(found, published=tmp_path / "bundle")


def test_published_results_come_after_those_of_the_model(outcome, tmp_path):
    text = summarize(outcome, published=tmp_path, references=["BM25: nDCG@10 0.640"])
    assert text.index("recall@10 of model 0.900") < text.index("BM25: nDCG@10 0.640") < text.index("Published")
    assert "Reference figures" not in summarize(outcome, published=tmp_path)


def test_the_reason_for_not_publishing_is_reported(outcome, tmp_path):
    quality = {**QUALITY, "problems": ["recall@10 is 0.100, not above popularity's 0.250"]}
    (tmp_path / "evaluation/quality.json").write_text(json.dumps(quality))
    (tmp_path / "pushed/pushed.json").write_text(json.dumps({"version": 0, "new": False}))
    text = summarize(outcome, published=tmp_path / "bundle")
    assert "NOTHING: the bundle is not good enough.\n  - recall@10 is 0.100, not above popularity's 0.250" in text
    assert "serve it" not in text


def test_an_unchanged_bundle_is_reported(outcome, tmp_path):
    (tmp_path / "pushed/pushed.json").write_text(json.dumps({"version": 3, "new": False}))
    assert "version 3 (the same as before, not published again)" in summarize(outcome, published=tmp_path)


def test_commands_survive_the_shell(tmp_path):
    serve = shlex.split(serve_command(tmp_path / "my bundle"))
    assert serve[1:3] == ["-m", "serving.server"]
    assert serve[-1] == f"--model_base_path={tmp_path}/my bundle/scann"
    query = shlex.split(query_command("a person's red shoe", item="i1"))
    body = json.loads(query[query.index("-d") + 1])
    assert body["instances"] == [{"query_text": "a person's red shoe", "page_size": 5}]


def test_the_serve_command_runs_in_the_environment_of_the_run(tmp_path):
    interpreter = shlex.split(serve_command(tmp_path))[0]
    program = "import sys; print(sys.prefix)"
    done = subprocess.run([interpreter, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sys.prefix


def test_the_interpreter_is_relative_where_it_is_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert serve_command(tmp_path).startswith(".venv/bin/python -m serving.server ")
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/python")
    assert serve_command(tmp_path).startswith("/opt/python/bin/python -m serving.server ")


def test_a_metric_without_a_value_has_its_reason(outcome, tmp_path):
    rows = [
        {"slice": "click", "size": 9, "metric": "auc", "model": None, "mean": None},
        {"slice": "purchase", "size": 9, "metric": "auc", "model": 0.75, "mean": 0.5},
    ]
    (tmp_path / "model/metrics.json").write_text(json.dumps({"sections": {"heads": {"title": "Heads", "rows": rows}}}))
    text = summarize(outcome, published=tmp_path)
    assert "Heads, click: auc - (the held-out labels are all of one class)\n" in text
    assert "Heads, purchase: auc of model 0.750, mean 0.500\n" in text


def test_a_shop_without_searches_gets_a_query_for_similar_items():
    query = shlex.split(query_command("", item="i1"))
    body = json.loads(query[query.index("-d") + 1])
    assert body == {"signature_name": "similar_items", "instances": [{"item_id": "i1", "page_size": 5}]}
