"""Records of XML feeds: the repeated element, names and namespaces, and what a damaged document still gives."""

import pytest

from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.outcomes import RecordError
from tests.support.feed_exports import rows_of

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0">
 <channel><title>Shop</title><link>https://shop.example</link>
  <item><g:id>1</g:id><title><![CDATA[Salt & <b>pepper</b>]]></title>
   <g:shipping><g:country>SE</g:country><g:price>0 SEK</g:price></g:shipping>
   <g:shipping><g:country>NO</g:country><g:price>9 NOK</g:price></g:shipping>
   <g:additional_image_link>https://a.example/1.jpg</g:additional_image_link>
   <g:additional_image_link>https://a.example/2.jpg</g:additional_image_link>
   <c:season>summer</c:season></item>
  <!-- <item><g:id>0</g:id></item> -->
  <item><g:id>2</g:id><title>Caf&#233; &amp; bar</title></item>
 </channel></rss>"""


def test_an_rss_item_is_a_record_with_google_names_and_lists(tmp_path):
    first, second = rows_of(RSS, tmp_path)
    assert first == {
        "g:id": "1",
        "title": "Salt & <b>pepper</b>",
        "g:shipping": [{"g:country": "SE", "g:price": "0 SEK"}, {"g:country": "NO", "g:price": "9 NOK"}],
        "g:additional_image_link": ["https://a.example/1.jpg", "https://a.example/2.jpg"],
        "season": "summer",
    }
    assert second == {"g:id": "2", "title": "Café & bar"}


def test_attributes_have_their_own_names_and_text_beside_them_too(tmp_path):
    text = """<yml_catalog><shop><currencies><currency id="RUR" rate="1"/></currencies>
    <categories><category id="1">Shoes</category><category id="2">Bags</category></categories>
    <offers><offer id="a" available="true"><name>Boot</name><price from="true">10</price>
      <param name="Color">red</param><param name="Size" unit="EU">41</param></offer>
    <offer id="b"/></offers></shop></yml_catalog>"""
    first, second = rows_of(text, tmp_path)
    assert first == {
        "@id": "a",
        "@available": "true",
        "name": "Boot",
        "price": {"@from": "true", "#text": "10"},
        "param": [{"@name": "Color", "#text": "red"}, {"@name": "Size", "@unit": "EU", "#text": "41"}],
    }
    assert second == {"@id": "b"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title><entry><id>1</id></entry></feed>", ["1"]),
        ("<r><thing><id>1</id><img><u>a</u></img><img><u>b</u></img></thing><thing><id>2</id></thing></r>", ["1", "2"]),
        ("<products><product><id>1</id><ship><id>x</id></ship><ship><id>y</id></ship></product></products>", ["1"]),
        ("<a><b:Product xmlns:b='urn:b'><b:id>1</b:id></b:Product></a>", ["1"]),
        ("<root><thing><id>1</id><name>x</name></thing></root>", ["1"]),
        (
            "<r><product><id>1</id><kit><product><id>x</id></product></kit></product><product><id>2</id></product></r>",
            ["1", "2"],
        ),
    ],
)
def test_the_record_element_is_found(tmp_path, text, names):
    assert [row["id"] for row in rows_of(text, tmp_path)] == names


def test_a_plain_element_wins_over_one_of_a_foreign_namespace(tmp_path):
    text = """<rss xmlns:media="urn:m"><item><media:title>photo</media:title><title>Boot</title><a:id>1</a:id>
    </item></rss>"""
    assert rows_of(text, tmp_path) == [{"title": "Boot", "id": "1"}]


def test_markup_inside_a_description_is_its_text(tmp_path):
    text = "<r><item><id>1</id><description><p>Soft <b>cotton</b></p> and more</description></item></r>"
    (row,) = rows_of(text, tmp_path)
    assert row["description"] == "<p>Soft <b>cotton</b></p> and more"


def test_bare_ampersands_entities_of_html_and_control_characters_cost_nothing(tmp_path):
    text = "<r><item><id>1</id><l>https://a.example/?a=1&b=2</l><t>Caf&eacute; &unknown; 2 <3 m\x0b</t></item></r>"
    tally = Tally()
    (row,) = rows_of(text, tmp_path, tally)
    assert row == {"id": "1", "l": "https://a.example/?a=1&b=2", "t": "Café &unknown; 2 <3 m"}
    assert tally.repaired == {"xml_escaped": 1}


def test_a_number_of_a_category_is_completed_by_its_path(tmp_path):
    text = """<yml_catalog><shop><categories><category id="1">Shoes</category><category id="2" parentId="1">Boots
    </category><category id="3" parentId="3">Loop</category></categories><offers>
    <offer id="a"><categoryId>2</categoryId></offer><offer id="b"><categoryId>9</categoryId></offer>
    <offer id="c"><categoryId>3</categoryId></offer></offers></shop></yml_catalog>"""
    first, second, third = rows_of(text, tmp_path)
    assert first == {"@id": "a", "categoryId": "2", "category": "Shoes > Boots"}
    assert second == {"@id": "b", "categoryId": "9"}
    assert third["category"] == "Loop"


def test_references_to_no_character_are_left_out(tmp_path):
    text = "<r><item><id>1</id><t>a&#xD800;b&#0;c&#9999999;d&#233;</t></item></r>"
    assert rows_of(text, tmp_path) == [{"id": "1", "t": "abcdé"}]


def test_a_cut_off_document_keeps_its_whole_records(tmp_path):
    whole = rows_of(RSS, tmp_path)
    *kept, error = rows_of(RSS[: RSS.index("&amp; bar")], tmp_path)
    assert kept == whole[:1]
    assert error == RecordError("malformed", "the document is cut off inside of <item>; wanted </item>")
    *kept, error = rows_of(RSS[: RSS.index("</channel>")], tmp_path)
    assert kept == whole
    assert error.detail == "the document is cut off; wanted </rss> at its end"


def test_damage_in_one_record_does_not_cost_the_others(tmp_path):
    text = "<r><item><id>1</id></item><item><id>2</b></id></item><item><id>3</id><item><id>4</id></item></r>"
    tally = Tally()
    found = rows_of(text, tmp_path, tally)
    assert [row["id"] for row in found] == ["1", "2", "3", "4"]
    assert tally.repaired == {"xml_damaged": 2}


def test_a_record_that_is_not_closed_ends_where_the_next_begins(tmp_path):
    text = "<r><item><id>1</id><item><id>2</id></item>" + "<item><id>3</id></item>" * 3 + "</r>"
    assert [row["id"] for row in rows_of(text, tmp_path)] == ["1", "2", "3", "3", "3"]


def test_entities_of_the_document_are_never_expanded(tmp_path):
    text = """<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>
    <r><item><id>1</id><t>&b;</t><u>&f;</u></item><item><id>2</id></item></r>"""
    first, _ = rows_of(text, tmp_path)
    assert first == {"id": "1", "t": "&b;", "u": "&f;"}


def test_records_are_found_across_the_chunks_of_a_long_document(tmp_path):
    items = "".join(f"<item><id>{number}</id><t>{'x' * 997} &gt;</t></item>\n" for number in range(1200))
    found = rows_of(f"<rss><channel>{items}</channel></rss>", tmp_path)
    assert [row["id"] for row in found] == [str(number) for number in range(1200)]
    assert {row["t"] for row in found} == {"x" * 997 + " >"}


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-16"])
def test_the_declared_encoding_is_used(tmp_path, encoding):
    text = f"<?xml version='1.0' encoding='{encoding}'?><r><item><id>1</id><t>Чай</t></item></r>"
    assert rows_of(text.encode(encoding), tmp_path) == [{"id": "1", "t": "Чай"}]


def test_a_document_without_records_is_named(tmp_path):
    (error,) = rows_of("<r>nothing</r>", tmp_path)
    assert error.reason == "malformed"
    assert error.detail == "no element with children; wanted a list of product elements"
