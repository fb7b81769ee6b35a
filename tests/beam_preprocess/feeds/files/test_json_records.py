"""Records of JSON files: a wrapper on one line, a record with lists on one line, linked data."""

import json

import pytest

from beam_preprocess.feeds.files import json_records
from tests.support.feed_exports import rows_of

PRODUCT = {"@type": "Product", "name": "Anvil"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"info": {"title": "Shop"}, "products": [{"id": "1"}, {"id": "2"}]}, [{"id": "1"}, {"id": "2"}]),
        ({"@context": "https://schema.org", "@graph": [PRODUCT, {"@type": "WebSite"}]}, [PRODUCT]),
        ({"id": "feed", "products": [{"id": "1"}]}, [{"id": "1"}]),
        ([PRODUCT, {"@type": "ItemList", "itemListElement": [PRODUCT]}], [PRODUCT, PRODUCT]),
        ({"@type": "WebSite", "name": "x"}, [{"@type": "WebSite", "name": "x"}]),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_gives_its_records_on_one_line_or_many(tmp_path, document, expected, indent):
    assert rows_of(json.dumps(document, indent=indent), tmp_path) == expected


def test_a_document_with_a_record_on_each_line_is_no_file_of_lines(tmp_path):
    text = '{"@context": "https://schema.org", "@type": "ItemList", "itemListElement": [\n'
    text += f"{json.dumps(PRODUCT)},\n{json.dumps(PRODUCT)}\n]}}\n"
    assert rows_of(text, tmp_path) == [PRODUCT, PRODUCT]


@pytest.mark.parametrize(
    "record", [{"event_name": "view", "items": [{"id": "1"}]}, {"id": "1", "variants": [{"x": 1}]}]
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_record_with_lists_is_one_record_on_one_line_or_many(tmp_path, record, indent):
    assert rows_of(json.dumps(record, indent=indent), tmp_path) == [record]


class _CountingDecoder(json.JSONDecoder):
    """Decoder that counts its calls and the characters it is given."""

    calls = 0
    given = 0

    def raw_decode(self, s, idx=0):
        self.calls += 1
        self.given += len(s) - idx
        return super().raw_decode(s, idx)


@pytest.mark.parametrize(
    "cut",
    [
        '{"a":' * 60_000,
        '{"a":' * 500 + '{"b":[' + "1," * 150_000,
        '{"a" 1},\n' * 40_000,
        "{" * 1_000_000,
        '{"' * 500_000,
        '{"a":"b' * 140_000,
        ('{"a":"' + "b" * 1000 + '"') * 1000,
    ],
)
def test_what_is_not_whole_is_tried_in_time_by_its_size(tmp_path, monkeypatch, cut):
    decoder = _CountingDecoder()
    monkeypatch.setattr(json_records, "_DECODER", decoder)
    *records, last = rows_of(f'[{{"id": "1"}}, {{"id": "2"}}, {cut}', tmp_path)
    assert records == [{"id": "1"}, {"id": "2"}]
    assert last.reason == "malformed"
    # 8 characters of waste for each of the text, of which an attempt alone is 64 and is given at least 256.
    assert decoder.calls < len(cut) / 8 + 1000
    assert decoder.given < 100 * len(cut)


def test_a_number_of_too_many_digits_costs_its_object(tmp_path):
    first, last = rows_of('[{"id": "1"}, {"id": "2", "price": ' + "1" * 5000 + "}]", tmp_path)
    assert first == {"id": "1"}
    assert last.reason == "malformed"
