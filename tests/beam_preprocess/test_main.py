"""The command line of preprocessing: the mapping report alone, what it writes, and what it loads."""

import json
import subprocess
import sys

import pytest

from beam_preprocess.__main__ import main

CATALOG = "item_id;title;price\nA1;Mug;19,90 €\nA2;Bowl;1.299,00 €\n"


def test_the_mapping_report_loads_neither_tensorflow_nor_beam(tmp_path):
    (tmp_path / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    code = (
        "import sys\n"
        "from beam_preprocess.__main__ import main\n"
        f"assert main(['--catalog', {str(tmp_path / 'catalog.csv')!r}, '--check']) == 0\n"
        "assert not {'tensorflow', 'apache_beam'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_check_writes_the_report_that_is_asked_for_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["--catalog", "shop:catalog.csv", "--output", "out", "--check", "--report", "report.json"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.csv", "report.json"]
    catalog = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["catalog"]
    assert (catalog["kind"], catalog["rows"], catalog["products"], catalog["currency"]) == ("shop", 2, 2, "EUR")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--catalog", "catalog.csv"], "--output is missing"),
        (["--catalog", "absent.csv", "--check"], "no file at absent.csv"),
        (["--catalog", "https://shop.example/feed.xml", "--check"], "https://shop.example/feed.xml"),
        (["--catalog", "catalog.csv", "--check", "--map", "price"], "wanted FIELD=COLUMN"),
        (["--catalog", "catalog.csv", "--check", "--nonsense"], "Unknown argument '--nonsense'"),
    ],
)
def test_a_wrong_argument_stops_with_what_is_wanted(tmp_path, monkeypatch, capsys, arguments, message):
    (tmp_path / "catalog.csv").write_text(CATALOG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
