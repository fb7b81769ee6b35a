"""The online retail adapter: sales, cancellations, nobody's purchases, and everything that is no sale."""

import pytest

from beam_preprocess.outcomes import RecordError
from beam_preprocess.sources import open_source, read_all

LINES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,85123A,WHITE  HEART,6,2010-12-01 08:26:00,2.50,17850.0,United Kingdom
1,71053,LANTERN,1,2010-12-01 08:26:00,3.00,17850.0,United Kingdom
2,85123a,WHITE HEART,1,2010-12-02 09:00:00,4.00,,France
3,85123A,HEART WHITE,2,2010-12-02 10:00:00,1.00,13047.0,France
C4,85123A,WHITE HEART,-6,2010-12-03 09:00:00,2.50,17850.0,United Kingdom
5,POST,POSTAGE,1,2010-12-03 09:00:00,18.00,12583.0,France
6,22139,damaged,-5,2010-12-03 09:00:00,0.00,,United Kingdom
7,22139,RETROSPOT,0,2010-12-03 09:00:00,1.00,,United Kingdom
C8,22139,RETROSPOT,3,2010-12-03 09:00:00,1.00,,United Kingdom
9,22139,,56,2010-12-03 09:00:00,0.00,,United Kingdom
10,22139,RETROSPOT,1,2010-12-03 09:00:00,-11.00,,United Kingdom
11,22139,RETROSPOT,1,2010-12-03 09:00:00,nan,,United Kingdom
12,22139,RETROSPOT,x,2010-12-03 09:00:00,1.00,,United Kingdom
A13,B,Adjust bad debt,1,2010-12-03 09:00:00,11062.06,,United Kingdom
short,row
"""


@pytest.fixture
def retail(tmp_path):
    (tmp_path / "transactions.csv").write_text(LINES)
    return open_source(tmp_path, "online_retail")


def test_invoices_are_requests(retail):
    sold, _, nobody, _, cancelled, *_ = (row.values for row in read_all(retail, "events"))
    assert sold == {
        "timestamp": "2010-12-01 08:26:00",
        "type": "purchase",
        "request_id": "1",
        "item_id": "85123A",
        "price": 2.5,
        "quantity": 6.0,
        "text": "WHITE HEART",
        "user_id": "17850",
    }
    assert (nobody["item_id"], "user_id" in nobody) == ("85123A", False)
    assert (cancelled["type"], cancelled["quantity"], cancelled["request_id"]) == ("return", 6.0, "C4")


def test_what_is_no_sale_has_its_reason(retail):
    faults = [row.values.reason for row in read_all(retail, "events") if isinstance(row.values, RecordError)]
    sale, price, product = "not_a_sale", "bad_price", "not_a_product"
    assert faults == [product, sale, sale, sale, price, price, price, sale, product, "malformed"]


def test_the_catalogue_has_most_frequent_names_and_median_prices(retail):
    items = [row.values for row in read_all(retail, "catalog")]
    assert items == [
        {"item_id": "71053", "title": "LANTERN", "price": 3.0, "currency": "GBP"},
        # WHITE HEART twice, HEART WHITE once; median of 2.50, 4.00 and 1.00.
        {"item_id": "85123A", "title": "WHITE HEART", "price": 2.5, "currency": "GBP"},
    ]
