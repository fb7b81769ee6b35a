import sys

import pytest

from serving.report import run_report, write
from serving.report.inputs import ReportInputs

INPUTS = ReportInputs(bundle="b", items="i", events={})


@pytest.fixture
def made(monkeypatch):
    """Keys of the pages that were made; each page is no more than its head."""
    keys = []

    def make(inputs, *, key):
        keys.append(key)
        return f'<!DOCTYPE html><meta name="vitrine-key" content="{key}">'

    monkeypatch.setattr(run_report, "make_report", make)
    return keys


def test_a_page_tells_from_what_it_was_made(made, tmp_path):
    path = tmp_path / "new" / "report.html"
    assert not write.is_current(path, key="one")
    assert write.write_report(INPUTS, path, key="one")
    assert write.is_current(path, key="one")
    assert not write.is_current(path, key="two")
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_a_remote_page_is_written_too(made):
    path = "ram://reports/report.html"
    assert write.write_report(INPUTS, path, key="one")
    assert write.is_current(path, key="one")


def test_a_failure_costs_the_page_alone(monkeypatch, tmp_path, caplog):
    def fail(inputs, *, key):
        raise RuntimeError("no space")

    path = tmp_path / "report.html"
    path.write_text("the page of before")
    monkeypatch.setattr(run_report, "make_report", fail)
    assert not write.write_report(INPUTS, path)
    assert path.read_text() == "the page of before"
    assert f"The report {path} could not be written: RuntimeError: no space" in caplog.text


def test_a_missing_package_is_named(monkeypatch, tmp_path, caplog):
    monkeypatch.setitem(sys.modules, "serving.report.run_report", None)  # as where altair is not installed
    assert not write.write_report(INPUTS, tmp_path / "report.html")
    assert "There is no report: " in caplog.text
    assert "Install the extra `report`" in caplog.text
