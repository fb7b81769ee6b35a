"""Import of whole exports: catalogue, events, limits and the mapping report, from files to what is written."""

import json

import pytest

from beam_preprocess.feeds.contract import tally
from beam_preprocess.feeds.feed import ImportOptions, feed_of_records
from beam_preprocess.feeds.importer import ImportStopped, ShopFeeds, check_limits, import_shop
from beam_preprocess.feeds.request import ImportRequest
from beam_preprocess.outcomes import SourceRef
from beam_preprocess.sources import open_source
from tests.beam_preprocess.feeds.conftest import DAY, NOW
from trainer.spec.config import DataConfig

CANARIES = ("canary@shop.example", "Canary Person", "+49 30 12345678", "Canary Street 7", "canaryville")


def views(item="A", user="u1", count=1, **values):
    return [
        {"timestamp": NOW - DAY - n, "type": "view", "item_id": item, "user_id": user, **values} for n in range(count)
    ]


def test_a_value_that_cannot_be_read_costs_itself_and_never_its_item(run):
    rows = [
        {"item_id": 123, "title": "Shirt", "price": "19.90"},
        {"item_id": "B", "title": "Shoe", "price": "on request"},
        {"item_id": "C", "price": "N/A", "images": 7, "attributes": 3, "in_stock": "perhaps", "relations": "x"},
        {"item_id": "D", "title": None, "category": {"a": 1}, "price": [1]},
        {"title": "without an id"},
    ]
    found = run([rows])
    assert [item["item_id"] for item in found.items] == ["123", "B", "C", "D"]
    assert found.item("123")["price"] == 19.9
    assert all("price" not in found.item(name) for name in "BCD")
    catalog = found.report.catalog
    assert (catalog["rows"], catalog["kept"], catalog["dropped"]) == (5, 4, {"missing_field": 1})
    assert catalog["repaired"]["field_dropped/price"] == 2
    assert catalog["examples"]["field_dropped/price"] == "records:2: 'on request' -> 'unknown (text without a figure)'"


def test_an_example_shows_a_price_as_a_person_writes_it(run):
    found = run(["item_id;title;price\nA;Mug;19,90 €\nB;Bowl;5,00 €\n"])
    assert found.report.catalog["examples"]["price_with_currency"] == "catalog-0.txt:2: '19,90 €' -> '19.9 EUR'"


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"item_id,Title ,PRICE\nA,K\xc3\xa4se,19.90\n", ("utf-8", ",")),
        (b"\xef\xbb\xbfitem_id;title;price\r\nA;K\xc3\xa4se;19,90\r\n", ("utf-8-sig", ";")),
        (b"item_id;title;price\rA;K\xe4se;19,90\r", ("cp1252", ";")),
        ("item_id\ttitle\tprice\nA\tKäse\t19.90\n".encode("utf-16"), ("utf-16", "\t")),
        ("item_id|title|price\nA|Käse|19.90\n".encode("utf-16-le"), ("utf-16-le", "|")),
        (b'sep=;\n"item_id";"title";"price"\n"A";"K\xc3\xa4se";"19,90"\n', ("utf-8", ";")),
        (b"\n\n Item-ID , TITLE ,Price\n\nA,K\xc3\xa4se,19.90\n", ("utf-8", ",")),
        (b"item_id,title,price\n\x00A,K\xc3\xa4\x00se,19.90\n", ("utf-8", ",")),
        (b"item_id,title,price,\nA,K\xc3\xa4se,19.90,,,\n", ("utf-8", ",")),
    ],
)
def test_a_dialect_is_known_by_the_file(run, content, facts):
    found = run([content])
    (item,) = found.items
    assert (item["item_id"], item["title"], item["price"]) == ("A", "Käse", 19.9)
    (shown,) = found.report.catalog["files"].values()
    assert (shown["encoding"], shown["separator"]) == facts


def test_rows_of_one_id_complete_each_other_and_are_counted(run):
    csv = 'item_id,title,price,images\ntee,Organic Tee,19.90,"[""front.jpg""]"\ntee,,,"[""back.jpg""]"\n'
    found = run([csv])
    assert found.items == [
        {"item_id": "tee", "title": "Organic Tee", "price": 19.9, "images": ["front.jpg", "back.jpg"]}
    ]
    assert found.report.catalog["repaired"] == {"merged_duplicate": 1}
    assert (found.report.catalog["rows"], found.report.catalog["kept"], found.report.catalog["variants"]) == (2, 2, 1)


def test_a_later_feed_completes_an_earlier_one(run):
    found = run([[{"item_id": "A", "title": "Mug"}], [{"item_id": "A", "price": 5}, {"item_id": "B"}]])
    assert sorted(found.items, key=lambda item: item["item_id"]) == [
        {"item_id": "A", "title": "Mug", "price": 5.0},
        {"item_id": "B"},
    ]


def test_options_of_variants_are_the_first_attributes_then_keys_then_all_others(run):
    header = "Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Barcode,Tags"
    fields = ",".join(f"Fact {number} (product.metafields.custom.f{number})" for number in range(8))
    row = "tee,Tee,Soft,Zuschnitt,Slim,T-1,5,4006381333931,summer"
    found = run([f"{header},{fields}\n{row},{','.join('abcdefgh')}\ntee,,,,Wide,T-2,5,,,{',' * 7}\n"])
    first = list(found.item("T-1")["attributes"].items())
    assert first[:3] == [("Zuschnitt", "Slim"), ("gtin", "4006381333931"), ("tags", "summer")]
    assert len(first) == 11


def test_names_of_options_come_first_where_no_export_tells_them(run):
    row = {"item_id": "A", "title": "x", "sku": "S", "attributes": {"fabric": "linen", "Größe": "M", "color": "red"}}
    assert list(run([[row]]).item("A")["attributes"]) == ["Größe", "color", "sku", "fabric"]


def test_the_notes_of_a_kind_are_in_the_report(run):
    found = run(["name,price,brand\nBoot,5,Acme\nShoe,6,Acme\n"])
    note = "made from the title, because there is no column of ids"
    assert found.report.catalog["notes"] == {"item_id": note}
    assert f"  item id: {note}\n" in found.report.text()


def test_a_sale_counts_by_the_moment_of_the_import(run):
    row = {"item_id": "A", "price": "20", "sale_price": "15", "sale_start": "2024-03-01", "sale_end": "2024-03-09"}
    for as_of, price, on_sale in ((NOW, 15.0, 1), (NOW - 30 * DAY, 20.0, 0), (NOW + DAY, 20.0, 0)):
        found = run([[row]], as_of=as_of)
        assert (found.items[0]["price"], found.report.catalog["on_sale"]) == (price, on_sale)


def test_moments_and_ratings_are_read_from_the_columns_that_have_them(run):
    rows = [
        {"item_id": "A", "available_from": "2024-03-01", "rating": "4,5"},
        {"item_id": "B", "available_from": "soon", "attributes": {"Average rating": "3.5"}},
        {"item_id": "C", "rating": "87"},  # of another scale
        {"item_id": "D", "rating": "0"},  # nobody has rated it
    ]
    items = run([rows]).items
    assert [item.get("available_from") for item in items] == [1_709_251_200.0, None, None, None]
    assert [item.get("rating") for item in items] == [4.5, 3.5, None, None]


def test_a_return_is_a_sale_of_less_than_nothing_and_a_sale_of_nothing_is_none(run):
    sale = {"timestamp": NOW - DAY, "type": "purchase", "item_id": "A", "user_id": "u"}
    found = run([[{"item_id": "A", "title": "x"}]], [[sale | {"quantity": n} for n in (-1, 0, "2", "1,00")]])
    assert [(event["type"], event["quantity"]) for event in found.events] == [
        ("return", 1.0),
        ("purchase", 2.0),
        ("purchase", 1.0),
    ]
    assert found.report.events["dropped"] == {"not_a_sale": 1}


def test_events_of_no_item_of_the_future_and_of_a_lost_clock_are_counted_and_cost_nothing(run):
    rows = [
        *views(count=40),
        *views("elsewhere"),
        *views(timestamp=0),
        *views(timestamp=NOW + 3 * DAY),
        *views(timestamp="0001-01-01"),
        *views(timestamp=NOW - 9000 * DAY),
        *views(type="hover"),
        {"timestamp": NOW - DAY, "type": "view", "user_id": "u1"},
    ]
    found = run([[{"item_id": "A", "title": "x"}]], [rows])
    assert len(found.events) == 40
    events = found.report.events
    assert events["dropped"] == {
        "unknown_item": 1,
        "lost_clock": 2,
        "future": 1,
        "outside_the_log": 1,
        "unknown_type": 1,
        "missing_field": 1,
    }
    assert events["rows"] == events["kept"] + sum(events["dropped"].values())


def test_a_user_of_impossible_volume_is_capped_and_named_by_pseudonym(run):
    rows = [*views(user="robot-user", count=300), *views(user="person", count=30)]
    found = run([[{"item_id": "A", "title": "x"}]], [rows], data=DataConfig(maximum_user_events_per_day=100))
    assert len(found.events) == 100 + 30 or len(found.events) == 200 + 30  # the 300 seconds may span midnight
    ((robot, count),) = found.report.events["robots"].items()
    assert (len(robot), count) == (64, 300)
    assert "robot-user" not in found.text
    assert f"robot: {robot[:12]}" in found.report.text()


@pytest.mark.parametrize(
    ("item", "reference", "key"),
    [
        ({"item_id": "A"}, {"item_id": "a "}, "id"),
        ({"item_id": "A", "sku": "S-1"}, {"item_id": "s-1"}, "sku"),
        ({"item_id": "A", "gtin": "4006381333931"}, {"item_id": "04006381333931"}, "gtin"),
        ({"item_id": "A", "group_id": "G"}, {"item_id": "G"}, "group"),
        ({"item_id": "A", "title": "Red Mug"}, {"item_id": "red  mug"}, "title"),
        ({"item_id": "17"}, {"item_id": 17.0}, "id"),
    ],
)
def test_events_join_by_the_key_that_finds_most_of_their_items(run, item, reference, key):
    found = run([[item | {"brand": "x"}]], [[event | reference for event in views(count=3)]])
    assert {event["item_id"] for event in found.events} == {item["item_id"]}
    assert found.report.events["joined_by"] == key
    assert found.report.events["join"][key] == 1.0


def test_events_without_a_catalogue_keep_the_ids_of_the_log(run):
    found = run([], [views("anything", count=2)])
    assert [event["item_id"] for event in found.events] == ["anything", "anything"]
    assert found.report.catalog == {}


def test_a_column_of_ones_own_is_named_by_a_mapping(run):
    found = run(
        ["item_id;title;Verkaufspreis\nA;Mug;19,90\n"],
        mapping={"price": "verkaufspreis"},
    )
    assert found.items[0]["price"] == 19.9
    assert found.report.catalog["columns"]["price"] == "Verkaufspreis"


def test_ids_of_users_are_pseudonyms_in_whatever_is_written(run):
    found = run([[{"item_id": "A", "title": "x"}]], [views(user="canary@shop.example", session_id="canary-session")])
    assert len(found.events[0]["user_id"]) == len(found.events[0]["session_id"]) == 64
    assert "canary" not in found.text


def test_personal_data_of_an_order_file_reach_nothing_that_is_written(run):
    header = (
        "Name,Email,Financial Status,Currency,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku"
    )
    order = "#1001,canary@shop.example,paid,EUR,2024-03-08 12:00:00 +0100,2,Tee,19.90,A"
    personal = "Billing Name,Billing Phone,Billing Street,Billing City,Notes"
    orders = (
        f'{header},{personal}\n{order},Canary Person,+49 30 12345678,Canary Street 7,canaryville,"for canaryville"\n'
    )
    broken = (
        orders.splitlines()[1].replace("2024-03-08 12:00:00 +0100", "canaryville").replace("19.90", "Canary Person")
    )
    found = run([[{"item_id": "A", "title": "Tee"}]], [f"{orders}{broken}\n"])
    assert found.events[0]["item_id"] == "A"
    for canary in CANARIES:
        assert canary not in found.text


def test_unknown_columns_reach_neither_the_catalogue_nor_the_samples(run):
    found = run([[{"item_id": "A", "title": "x", "owner": "Canary Person", "mail": "canary@shop.example"}]])
    assert "anary" not in found.text
    assert found.report.catalog["ignored"] == ["owner", "mail"]


def test_an_export_of_which_most_is_dropped_stops_with_what_to_do(run):
    found = run([[{"item_id": "A", "title": "x"}, *({"title": str(n)} for n in range(9))]])
    with pytest.raises(ImportStopped, match=r"9 are dropped \(missing_field 9\).*--map"):
        check_limits(found.report, DataConfig(maximum_drop_rate=0.5))


def test_events_of_another_shop_stop_with_the_join_rates(run):
    found = run([[{"item_id": "A", "title": "x"}]], [views("other", count=20)])
    with pytest.raises(ImportStopped, match="by id 0%, sku 0%.*minimum_join_rate"):
        check_limits(found.report, DataConfig(minimum_join_rate=0.5))


def test_an_import_without_an_output_writes_nothing(tmp_path):
    feed = feed_of_records("records", lambda: iter([{"item_id": "A", "title": "x"}]), "catalog", kind="shop")
    report = import_shop(ShopFeeds(catalog=[feed]), None, options=ImportOptions(), data=DataConfig())
    assert report.catalog["products"] == 1
    assert not list(tmp_path.iterdir())


def test_an_export_without_a_usable_row_is_reported(run):
    found = run([[{"title": "x"}]])
    assert (found.items, found.report.catalog["products"]) == ([], 0)


def test_a_dead_letter_names_file_and_row_and_no_person(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title,price\nA,Tee,5\n,Without an id,6\nB,Cup\n", encoding="utf-8")
    header = "Name,Email,Financial Status,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku"
    orders = f"{header},Billing Name,Billing Phone,Notes\n"
    rows = (("A", "2024-03-08"), ("gone", "2024-03-08"), ("A", "Canary Person"), ("A", "0001-01-01"))
    for number, (sku, day) in enumerate(rows):
        orders += (
            f"#{number},canary@shop.example,paid,{day},1,Canary Street 7,5,{sku},Canary Person,+49 30 12345678,x\n"
        )
    orders += '"Canary Person\n'
    (tmp_path / "orders.csv").write_text(orders, encoding="utf-8")
    request = ImportRequest(catalog=(f"shop:{tmp_path / 'items.csv'}",), events=(f"shopify:{tmp_path / 'orders.csv'}",))
    report = request.run(tmp_path / "out", data=DataConfig(maximum_drop_rate=1.0, minimum_join_rate=0.0), now=NOW)
    written = (tmp_path / "out" / "dead_letters.jsonl").read_text(encoding="utf-8")
    letters = [json.loads(line) for line in written.splitlines()]
    assert letters[0] == {"source": "items.csv:3", "rows": 1, "reason": "missing_field", "detail": "item_id is missing"}
    assert {letter["source"] for letter in letters[1:]} == {f"orders.csv:{line}" for line in (3, 4, 5, 6)}
    for part, other in ((report.catalog, "not_products"), (report.events, "not_events")):
        assert part["rows"] == part["kept"] + part[other] + sum(part["dropped"].values())
    dropped = sum(sum(part["dropped"].values()) for part in (report.catalog, report.events))
    assert sum(letter["rows"] for letter in letters) == dropped == 5
    everything = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()) + report.text()
    for canary in CANARIES:
        assert canary not in everything


def test_of_one_reason_the_first_dead_letters_are_written(monkeypatch):
    monkeypatch.setattr(tally, "_MOST_LETTERS", 2)
    letters = []
    counts = tally.Tally(write=letters.append)
    for row in range(1, 5):
        counts.skip("malformed", SourceRef("f", row), "of mail@shop.example")
        counts.skip("not_an_event", SourceRef("f", row))
    assert [letter["source"] for letter in letters] == ["f:1", "f:2"]
    assert letters[0]["detail"] == "of [e-mail]"
    assert counts.skipped == {"malformed": 4, "not_an_event": 4}


@pytest.mark.parametrize("name", ["shop [2024]", "shop?"])
def test_folders_with_wildcards_in_their_names_are_imported_and_written_to(tmp_path, name):
    for folder, title in (("shop2", "Of another shop"), (name, "Mug")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "catalog.csv").write_text(f"item_id,title\n{title},{title}\n", encoding="utf-8")
        (tmp_path / folder / "events.csv").write_text("timestamp,type,item_id\n1709900000,view,Mug\n", encoding="utf-8")
    (tmp_path / "out v").mkdir()
    report = ImportRequest(source=str(tmp_path / name)).run(tmp_path / "out [v2]", data=DataConfig())
    assert (report.catalog["rows"], report.events["kept"]) == (1, 1)
    assert json.loads((tmp_path / "out [v2]" / "catalog.jsonl").read_text()) == {"item_id": "Mug", "title": "Mug"}
    assert not list((tmp_path / "out v").iterdir())
    source = open_source(str(tmp_path / "out [v2]"), "imported")
    assert [row.values["item_id"] for shard in source.shards("catalog") for row in source.read(shard)] == ["Mug"]
