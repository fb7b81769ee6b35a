"""The page of a tiny bundle: every section has its figures, nothing is fetched, what is absent costs its section."""

import json
import shutil

import html5lib
import pytest

from serving.evaluation import __main__ as evaluation
from serving.report import run_report
from serving.report.inputs import ReportInputs
from serving.report.run_report import make_report
from tests.serving.report.test_accuracy_section import METRICS
from tests.serving.report.test_head_section import BINARY
from tests.support import tiny_shop
from trainer.spec.features import Side

HTML = "{http://www.w3.org/1999/xhtml}"
SECTIONS = (
    *("summary", "input", "data", "accuracy", "slices", "modalities", "heads", "comparison"),
    *("coverage", "latency", "map", "queries"),
)
EVIL = "<script>alert(1)</script> colour3"


@pytest.fixture(scope="module")
def built(golden_folder, tmp_path_factory):
    """The folder of the bundle and the data, with an evaluation, counts and a query that would like to run."""
    folder = shutil.copytree(golden_folder, tmp_path_factory.mktemp("report") / "golden")
    bundle, data = folder / "bundle/stock/1", folder / "shop"
    (bundle / "assets.extra/metrics.json").write_text(json.dumps(METRICS))
    (bundle / "assets.extra/curves.json").write_text(json.dumps({"click": BINARY}))
    (data / "summary.json").write_text(json.dumps({"items": {"read": 25, "written": 24, "dropped/malformed": 1}}))
    photo = tiny_shop.items()[2]["images"][0]
    rows = [dict(row) for row in tiny_shop.events(range(10, 12))]
    rows += [{**rows[0], "request_id": "evil", "query_text": EVIL}]
    rows += [{**rows[0], "request_id": "photo", "query_text": "", "query_image": photo}]
    examples = [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in rows]
    tiny_shop.write_records(data / "events/eval/events-00000-of-00001.tfrecord", examples)
    return bundle, data


@pytest.fixture(scope="module")
def written(built, tmp_path_factory):
    """The page that the command leaves."""
    bundle, data = built
    output = tmp_path_factory.mktemp("output")
    assert evaluation.main(["--bundle", str(bundle), "--data", str(data), "--output", str(output)]) == 0
    return (output / "report.html").read_text(encoding="utf-8")


def sections_of(text):
    """{name: its text}, after the page was parsed without an error."""
    parser = html5lib.HTMLParser(strict=False)
    document = parser.parse(text)
    assert parser.errors == []
    return document, {
        section.attrib["aria-labelledby"]: " ".join("".join(section.itertext()).split())
        for section in document.iter(HTML + "section")
    }


@pytest.mark.slow
@pytest.mark.e2e
def test_the_page_of_a_bundle_has_every_section(written):
    _, found = sections_of(written)
    assert tuple(found) == SECTIONS
    for name, part in {
        "summary": "recall@10 ",
        "input": "dropped14.0 %",  # one of 25
        "data": "The 24 items",
        "accuracy": "Held-out actions: 20 requests",
        "slices": "query: text",
        "modalities": "text0.300-0.500",
        "heads": "click0.7000.6671.0000.800",
        "comparison": "no published version",
        "coverage": "never shown",
        "latency": "Milliseconds of 20 searches",
        "map": "24 items on the first two principal components",
        "queries": "the shopper acted on it",
    }.items():
        assert part in found[name]
        assert "could not be made" not in found[name]
    assert "Effect of each word on the first result" in found["queries"]
    assert "Region of the photo with the largest effect" in found["queries"] or "image" in found["queries"]
    assert "word “colour" in found["queries"]


@pytest.mark.slow
@pytest.mark.e2e
def test_the_page_fetches_nothing_and_runs_nothing_of_the_data(written):
    document, found = sections_of(written)
    addresses = [one.attrib[name] for one in document.iter() for name in ("src", "href") if name in one.attrib]
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in addresses)
    assert sum(address.startswith("data:") for address in addresses) > 20  # pictures of results
    assert EVIL in found["queries"]
    assert "<script>alert" not in written
    scripts = list(document.iter(HTML + "script"))
    assert [one.attrib.get("type") for one in scripts] == ["application/json", None]
    charts = json.loads(scripts[0].text)
    drawn = {one.attrib["id"] for one in document.iter() if one.attrib.get("id", "").startswith("chart-")}
    assert set(charts) == drawn
    assert {name.split("-")[1] for name in charts} >= {"summary", "data", "accuracy", "slices", "heads", "map"}
    assert "://" not in scripts[0].text
    assert "@media print" in written
    assert len(written.encode()) < 10_000_000


@pytest.mark.slow
@pytest.mark.e2e
def test_another_version_is_compared(built, tmp_path):
    bundle, data = built
    before = tmp_path / "stock" / "7" / "assets.extra"
    before.mkdir(parents=True)
    (before / "metrics.json").write_text(json.dumps(METRICS).replace("0.8,", "0.7,"))
    inputs = ReportInputs(bundle=str(bundle), items=f"{data}/items", events={}, previous=str(before.parent))
    _, found = sections_of(make_report(inputs))
    assert "This model beside version 7" in found["comparison"]
    assert "Held-out actions: recall@100.8000.700+0.100" in found["comparison"]


def test_nothing_at_all_still_gives_a_page_with_every_section(tmp_path):
    inputs = ReportInputs(bundle=f"{tmp_path}/gone", items=f"{tmp_path}/gone", events={"eval": f"{tmp_path}/gone"})
    _, found = sections_of(make_report(inputs))
    assert tuple(found) == SECTIONS
    assert "The catalogue has no items. There are no events." in found["data"]
    assert "The bundle brings no evaluation of its model." in found["accuracy"]
    assert "there is no query to show" in found["queries"]


def test_broken_files_cost_their_section(tmp_path):
    bundle, items = tmp_path / "bundle", tmp_path / "items"
    (bundle / "assets.extra").mkdir(parents=True)
    items.mkdir()
    (items / "a.tfrecord").write_bytes(b"not a record")
    (bundle / "assets.extra/metrics.json").write_text('{"sections": {"held_out": {"rows": 3}}}')
    (bundle / "assets.extra/curves.json").write_text('{"click": {"kind": "binary"}}')
    _, found = sections_of(make_report(ReportInputs(bundle=str(bundle), items=str(items), events={})))
    for name in ("data", "accuracy", "heads"):
        assert "This section could not be made: " in found[name]
    assert "could not be made" not in found["coverage"]


def test_a_large_catalogue_has_no_map(tmp_path, monkeypatch):
    monkeypatch.setattr(run_report, "read_catalogue", lambda folder: pytest.fail("it was loaded"))
    assert run_report._mapped_items(str(tmp_path), 10_000_000).items == ()


def test_facts_that_are_unknown_are_left_out():
    inputs = ReportInputs(bundle="b", items="i", events={}, seconds={"Trainer": 61.25, "Gate": 0.01})
    facts = run_report._facts(inputs, {"n_items": 24, "index": {"kind": "exact"}}, {"counts": {"train_rows": 720}})
    assert facts.pop("made").endswith(" UTC")
    assert facts == {"items": "24", "index": "exact", "training": "train rows 720", "seconds": "Trainer 61.2"}
