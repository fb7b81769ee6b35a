"""The chorus adapter on two products and three judgments in its own format."""

import gzip
import json

from beam_preprocess.outcomes import RecordError
from beam_preprocess.sources import open_source, read_all

PRODUCTS = [
    {
        "id": "1",
        "title": "Acme X7 speaker Black",
        "name": "X7",
        "short_description": "Loud, 2 x 10 W",
        "supplier": "Acme",
        "price": 4995,
        "attr_t_storage_temperature__t_t_": "-20 - 60",
        "attr_t_product_colour": "Black",
        "attr_t_product_type": "1",
        "attr_b_wireless": True,
        "img_500x500": "http://example.org/1.jpg",
    },
    {"id": "2", "title": "Cable", "price": "free"},
]


def test_products_and_judgments(tmp_path):
    lines = "".join(f"{json.dumps(product)}\n" for product in PRODUCTS)
    (tmp_path / "products.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "judgments_dev.csv").write_text("query,docid,rating\nloud speaker,1,3\nloud speaker,2,0\n,2,x\n")
    source = open_source(tmp_path, "chorus")
    speaker, cable = (row.values for row in read_all(source, "catalog"))
    assert speaker == {
        "item_id": "1",
        "title": "Acme X7 speaker Black",
        "description": "Loud, 2 x 10 W",  # the name stands in the title already
        "brand": "Acme",
        # What describes it comes first; the number of another table's row says nothing.
        "attributes": {"product colour": "Black", "storage temperature  t t": "-20 - 60"},
        "price": 49.95,
        "currency": "USD",
    }
    assert cable["price"] == "free"  # validation sends it to the dead letters
    one, two, bad = (row.values for row in read_all(source, "events"))
    assert (one["item_id"], one["grade"], one["query"]) == ("1", 3, {"text": "loud speaker"})
    assert (two["grade"], two["type"]) == (0, "judgment")
    assert isinstance(bad, RecordError)
