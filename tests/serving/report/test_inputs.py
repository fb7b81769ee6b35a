import dataclasses
import json

from serving.report.inputs import ReportInputs, read_counts, read_imported, read_json, version_before


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def test_files_that_are_absent_or_broken_are_empty(tmp_path):
    assert read_json(str(tmp_path / "absent.json")) == {}
    for content in ("{", "[1]", '"text"'):
        write(tmp_path / "a.json", content)
        assert read_json(str(tmp_path / "a.json")) == {}
    assert read_imported(str(tmp_path)) == {}
    write(tmp_path / "import.json", {"report": {"catalog": {"rows": 3}}})
    assert read_imported(str(tmp_path)) == {"catalog": {"rows": 3}}


def test_counts_are_numbers_of_records(tmp_path):
    write(tmp_path / "summary.json", {"items": {"read": 3, "note": "x"}, "config": {"wire": {"image_px": 64}}})
    assert read_counts(str(tmp_path / "summary.json")) == {"items": {"read": 3}}


def test_the_version_before_is_the_newest_of_other_content(tmp_path):
    for number, content in (("2", "old"), ("9", "older"), ("10", "this"), ("11", "this"), ("tmp", "x")):
        write(tmp_path / "stock" / number / "assets.extra" / "manifest.json", {"bundle_version": content})
    write(tmp_path / "bundle" / "assets.extra" / "manifest.json", {"bundle_version": "this"})
    assert version_before(str(tmp_path / "stock"), other_than=str(tmp_path / "bundle")) == f"{tmp_path}/stock/9"
    assert version_before(str(tmp_path / "none"), other_than=str(tmp_path / "bundle")) == ""


def test_a_run_gives_its_places_and_files(tmp_path):
    write(tmp_path / "items" / "report" / "summary.json", {"items": {"read": 2}})
    write(tmp_path / "events" / "report" / "summary.json", {"events": {"read": 5}, "signals": {"read": 1}})
    write(tmp_path / "evaluation" / "quality.json", {"recall": 0.5})
    outputs = {
        "ItemsGen": {"examples": tmp_path / "items", "report": tmp_path / "items/report"},
        "EventsGen": {"examples": tmp_path / "events", "report": tmp_path / "events/report"},
        "Indexer": {"bundle": tmp_path / "bundle"},
        "Evaluator": {"evaluation": tmp_path / "evaluation"},
    }
    found = ReportInputs.of_run(outputs, published=tmp_path / "published", imported=None, seconds={"Trainer": 3.0})
    assert found == ReportInputs(
        bundle=f"{tmp_path}/bundle/stock/1",
        items=f"{tmp_path}/items/Split-all",
        events={"train": f"{tmp_path}/events/Split-train", "eval": f"{tmp_path}/events/Split-eval"},
        counts={"items": {"read": 2}, "events": {"read": 5}, "signals": {"read": 1}},
        quality={"recall": 0.5},
        seconds={"Trainer": 3.0},
    )


def test_the_key_is_of_all_but_the_times():
    one = ReportInputs(bundle="b", items="i", events={}, seconds={"Trainer": 3.0})
    assert one.key("code") == ReportInputs(bundle="b", items="i", events={}).key("code")
    now, later = (dataclasses.replace(one, imported={"as_of": moment, "catalog": {"rows": 3}}) for moment in "12")
    assert now.key("code") == later.key("code") != one.key("code")
    assert one.key("code") != one.key("edited")
    assert one.key("code") != ReportInputs(bundle="other", items="i", events={}).key("code")
