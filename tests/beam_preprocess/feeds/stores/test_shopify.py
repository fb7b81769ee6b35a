"""Shopify's product export: both headers, continuation rows, variants, photos, stock."""

import pytest

from beam_preprocess.feeds.stores.shopify import SHOPIFY
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow
from tests.support.feed_exports import items_of, shared_file, table

OLD = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
OLD += "Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,"
OLD += "Variant Compare At Price,Variant Barcode,Image Src,Image Position,Variant Image,Status"
SHIRT = f"""{OLD}
shirt,Shirt,<p>Soft</p>,Acme,Tops,"a, b",true,Colour,Red,Size,M,S-1,shopify,3,deny,10,12,'4006381333931,b.jpg,2,red.jpg,
shirt,,,,,,,,Red,,L,S-2,shopify,0,deny,11.00,,,a.jpg,1,,
shirt,,,,,,,,,,,,,,,,,,c.jpg,3,,
"""
NEW = "Title,URL handle,Description,Product category,Type,Published on online store,Status,SKU,Barcode,Option1 name,"
NEW += "Option1 value,Price,Compare-at price,Inventory tracker,Inventory quantity,"
NEW += "Continue selling when out of stock,Product image URL,Gift card,Shade (product.metafields.shopify.color-pattern)"


def test_a_continuation_row_is_a_variant_with_the_fields_of_its_product():
    read = items_of(SHOPIFY, table(SHIRT))
    first, second = read.items
    assert (first["item_id"], second["item_id"]) == ("S-1", "S-2")
    assert first["group_id"] == second["group_id"] == "shirt"
    assert second["title"] == "Shirt"
    assert second["brand"] == "Acme"
    assert second["description"] == "<p>Soft</p>"
    assert first["attributes"] == {"Colour": "Red", "Size": "M", "tags": "a, b"}
    assert second["attributes"]["Size"] == "L"
    assert (first["price"], first["list_price"], second["price"]) == ("10", "12", "11.00")
    assert "list_price" not in second
    assert first["gtin"] == "4006381333931", "without the apostrophe that guards it from a spreadsheet"


def test_a_photo_row_belongs_to_its_products_first_item_and_photos_stand_by_position_behind_the_variants_own():
    read = items_of(SHOPIFY, table(SHIRT))
    assert [len(draft.refs) for draft in read.drafts] == [2, 1]
    assert read.item("S-1")["images"] == ["red.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert read.item("S-2")["images"] == ["a.jpg", "b.jpg", "c.jpg"]


def test_the_newer_header_gives_the_same_fields():
    read = items_of(
        SHOPIFY,
        table(
            f"{NEW}\nMug,mug,Big,Home > Mugs,Cups,TRUE,Active,M-1,,Title,Default Title,5,6,,,DENY,m.jpg,FALSE,blue\n"
        ),
    )
    mug = read.item("M-1")
    assert mug["category"] == "Home > Mugs"
    assert mug["description"] == "Big"
    assert mug["list_price"] == "6"
    assert mug["attributes"] == {"type": "Cups", "Shade": "blue"}, "the only variant of a product has no option"
    assert not {"in_stock", "stock_quantity"} & mug.keys(), "stock that is not tracked is not short"


def test_a_sku_that_several_variants_share_names_none_of_them():
    rows = [{"Handle": "boot", "Title": "Boot", "Option1 Name": "Size", "Option1 Value": "40", "Variant SKU": "B"}]
    rows += [{"Handle": "boot", "Option1 Value": "41 EU", "Variant SKU": "B"}]
    rows += [{"Handle": "copy", "Title": "Copy", "Option1 Value": "40", "Variant SKU": "C"}]
    rows += [{"Handle": "other", "Title": "Other", "Option1 Value": "40", "Variant SKU": "C"}]
    read = items_of(SHOPIFY, rows)
    assert read.ids() == ["boot/40", "boot/41-eu", "C", "other/40"]
    assert [item["sku"] for item in read.items] == ["B", "B", "C", "C"]


def test_a_variant_without_a_sku_is_named_by_handle_and_options():
    rows = [{"Handle": "bike", "Title": "Bike", "Option1 Name": "Title", "Option1 Value": "Default Title"}]
    assert items_of(SHOPIFY, rows).ids() == ["bike"]


@pytest.mark.parametrize(
    ("cells", "stock"),
    [
        ({"Status": "archived", "Variant Inventory Qty": "5"}, {"in_stock": False}),
        ({"Status": "draft"}, {"in_stock": False}),
        ({"Status": "active", "Published": "FALSCH"}, {"in_stock": False}),
        ({"Variant Inventory Tracker": "shopify", "Variant Inventory Qty": "0"}, {"stock_quantity": "0"}),
        ({"Variant Inventory Tracker": "", "Variant Inventory Qty": "0"}, {}),
        ({"Variant Inventory Policy": "continue", "Variant Inventory Qty": "-4"}, {"in_stock": True}),
        ({"Continue selling when out of stock": "DENY", "Inventory quantity": "2"}, {"stock_quantity": "2"}),
    ],
)  # fmt: skip
def test_stock_is_by_status_policy_and_count(cells, stock):
    item = items_of(SHOPIFY, [{"Handle": "h", "Title": "T", "Variant Price": "1", **cells}]).item("h")
    assert {field: item[field] for field in ("in_stock", "stock_quantity") if field in item} == stock
    assert ("status" in item.get("attributes", {})) == (stock == {"in_stock": False})


def test_rows_of_a_product_that_a_sorted_file_tore_apart_are_completed():
    rows = [{"Handle": "a", "Title": "A", "Option1 Name": "Size", "Option1 Value": "S", "Variant SKU": "A1"}]
    rows += [{"Handle": "b", "Title": "B", "Variant SKU": "B1", "Variant Price": "2"}]
    rows += [{"Handle": "a", "Option1 Value": "M", "Variant SKU": "A2"}, {"Handle": "b", "Image Src": "b.jpg"}]
    read = items_of(SHOPIFY, rows)
    assert read.ids() == ["A1", "B1", "A2", "B1"]
    assert read.item("A2")["title"] == "A"
    assert read.item("A2")["attributes"] == {"Size": "M"}
    assert read.items[-1]["images"] == ["b.jpg"]


def test_recommended_products_are_relations_and_prices_of_markets_are_noted():
    name = "Related (product.metafields.shopify--discovery--product_recommendation.related_products)"
    read = items_of(
        SHOPIFY, [{"Handle": "a", "Title": "A", name: "b; c", "Price / Canada": "9", "Included / EU": "true"}]
    )
    assert read.item("a")["relations"] == [{"type": "related", "item_id": "b"}, {"type": "related", "item_id": "c"}]
    assert read.notes == {"markets": "Canada, EU", "currency": "CAD"}
    assert "Price / Canada" in read.columns.ignored()


@pytest.mark.parametrize(
    ("markets", "currency"),
    [(("International",), None), (("Schweiz",), "CHF"), (("Canada", "United States"), None), (("États-Unis",), "USD")],
)
def test_the_currency_is_that_of_the_only_country_among_the_markets(markets, currency):
    row = {"Handle": "a", "Title": "A"} | {f"Price / {market}": "" for market in markets}
    assert items_of(SHOPIFY, [row]).notes.get("currency") == currency


def test_a_category_is_the_shops_else_googles_else_the_type():
    google = "Google Shopping / Google Product Category"
    rows = [{"Handle": "a", "Title": "A", "Product Category": "Home > Cups", "Type": "Cup", google: "500"}]
    rows += [{"Handle": "b", "Title": "B", "Type": "Cup", google: "Home > Cups"}]
    rows += [{"Handle": "c", "Title": "C", "Type": "Cup", google: "500"}]
    read = items_of(SHOPIFY, rows)
    assert [item["category"] for item in read.items] == ["Home > Cups", "Home > Cups", "Cup"]
    assert [item.get("attributes") for item in read.items] == [{"type": "Cup"}, {"type": "Cup"}, None]


def test_cells_of_any_type_and_broken_rows_cost_nothing_else():
    broken = SourceRow(SourceRef("f", 9), RecordError("malformed", "one cell"))
    rows = [{"Handle": 12.0, "Title": None, "Variant Price": 5, "Variant SKU": ["x"]}, broken, {"Handle": None}, {}]
    read = items_of(SHOPIFY, rows)
    assert read.items[0]["group_id"] == "12"


def test_a_row_without_handle_belongs_to_the_product_above_or_is_named_by_its_title():
    rows = [{"Title": "Tea Pot", "Variant Price": "5", "Image Src": "1.jpg"}, {"Title": "", "Image Src": "2.jpg"}]
    read = items_of(SHOPIFY, rows)
    assert read.ids() == ["tea-pot"]
    assert read.item("tea-pot")["images"] == ["1.jpg", "2.jpg"]


def on_sale(read):
    prices = [(float(i["price"]), float(i.get("list_price") or 0)) for i in read.items]
    return sum(before > price for price, before in prices)


@pytest.mark.parametrize(
    ("name", "rows", "products", "variants", "images", "sale", "categories"),
    [
        ("bibiwatson_products_frca_part1.csv", 1499, 130, 842, 1494, 308, 0),
        ("velofant_products_sv.csv", 48, 14, 19, 48, 6, 10),
        ("shopify_template_newheader_en.csv", 15, 2, 15, 1, 13, 2),
        ("arlena_newheader_ragged_en.csv", 30, 1, 30, 0, 30, 1),
    ],
)
def test_public_exports(name, rows, products, variants, images, sale, categories):
    read = items_of(SHOPIFY, shared_file(f"feeds/shopify/{name}"))
    assert (read.rows, read.confidence) == (rows, 0.95)
    assert (len(read.distinct("group_id")), len(set(read.ids())), len(read.items)) == (products, variants, variants)
    assert read.notes.get("currency") == ("CAD" if name.startswith("bibiwatson") else None)
    assert (len(read.distinct("images")), on_sale(read), len(read.distinct("category"))) == (images, sale, categories)
    assert not read.skipped


def test_archived_products_of_a_public_export_are_items_that_cannot_be_bought():
    read = items_of(SHOPIFY, shared_file("feeds/shopify/velofant_products_sv.csv"))
    sold = [item for item in read.items if item.get("in_stock") is not False]
    assert len({item["group_id"] for item in sold}) == 12
    assert sum("sku" not in item for item in read.items) == 5
