"""Delimited files that are not as their header says: ragged rows, quotes, columns of one name, a header alone."""

import pytest

from beam_preprocess.feeds.request import ImportRequest
from trainer.spec.config import DataConfig


def report_of(folder, content, part="catalog", *, data=None):
    path = folder / f"{part}.csv"
    path.write_text(content, encoding="utf-8")
    exports = {part: (str(path),)}
    report = ImportRequest(**exports).run(folder / "out", data=data or DataConfig(maximum_drop_rate=1.0))
    found = getattr(report, part)
    other = found["not_products" if part == "catalog" else "not_events"]
    assert found["rows"] == found["kept"] + other + sum(found["dropped"].values())
    return found


def test_ragged_rows_keep_their_cells_and_are_counted(tmp_path, run):
    text = "item_id,title,price\nA,Mug,5\nB,Bowl\nC,Cup,6,extra\nD,Pot,7,,\nE\n"
    found = report_of(tmp_path, text)
    assert (found["rows"], found["kept"]) == (5, 4)
    assert found["repaired"] == {"long_row": 1, "short_row": 1}
    assert found["dropped"] == {"malformed": 1}
    assert found["examples"]["malformed"] == "catalog.csv:6: one cell; wanted 3 as in the header"
    items = run([text]).items
    assert [(item["item_id"], item.get("price")) for item in items] == [("A", 5.0), ("B", None), ("C", 6.0), ("D", 7.0)]


def test_a_quote_that_is_never_closed_costs_nothing_behind_it(tmp_path, run):
    text = 'item_id,title,price\nA,"Mug, large",5\nB,5" pipe,6\nC,"Cup,7\nD,Pot,8\n'
    found = run([text])
    assert [item["item_id"] for item in found.items] == ["A", "B", "C", "D"]
    assert [item["title"] for item in found.items][:2] == ["Mug, large", '5" pipe']
    assert found.item("D") == {"item_id": "D", "title": "Pot", "price": 8.0}
    assert found.report.catalog["repaired"]["unclosed_quote"] == 1


def test_a_line_break_inside_of_quotes_stays_in_its_cell(run):
    found = run(['item_id,title,price\nA,"Mug\nlarge",5\nB,Bowl,6\n'])
    assert [item["title"] for item in found.items] == ["Mug\nlarge", "Bowl"]


def test_of_two_columns_of_one_name_the_first_one_counts(run):
    found = run(["item_id,title,price,title,price\nA,Mug,5,Becher,9\n"])
    assert found.items == [{"item_id": "A", "title": "Mug", "price": 5.0}]
    assert found.report.catalog["ignored"] == ["title (2)", "price (2)"]


@pytest.mark.parametrize("content", ["", " \n\n", "\ufeff"])
def test_an_empty_file_is_refused_with_what_to_do(tmp_path, content):
    with pytest.raises(ValueError, match=r"catalog\.csv is empty; wanted a header and rows. Export it again"):
        report_of(tmp_path, content)


def test_a_header_alone_is_a_catalogue_or_log_of_no_rows(tmp_path):
    catalog = report_of(tmp_path, "item_id,title,price\n")
    assert (catalog["kind"], catalog["rows"], catalog["products"]) == ("shop", 0, 0)
    log = report_of(tmp_path, "timestamp,type,item_id,user_id\n", part="events")
    assert (log["kind"], log["rows"], log["by_type"]) == ("shop", 0, {})


def test_a_header_alone_that_no_kind_knows_says_that_there_is_no_row(tmp_path):
    with pytest.raises(ValueError, match=r"holds no row that can be read \(columns: colour, weight\); wanted a cat"):
        report_of(tmp_path, "colour,weight\n")
