"""Import of a catalogue from the drafts of its kind."""

from beam_preprocess.feeds.catalog_import import import_catalog
from beam_preprocess.feeds.feed import ImportOptions, feed_of_records


def test_upsells_by_sku_or_id_become_relations_to_items_wherever_these_stand():
    row = {"Type": "simple", "Published": "1", "Visibility in catalog": "visible", "Regular price": "5"}
    rows = [row | {"ID": "1", "Name": "Mug", "Upsells": "pot, id:3, tee"}]
    rows += [row | {"ID": "2", "SKU": "pot", "Name": "Pot"}]
    rows += [row | {"ID": "3", "Name": "Cup"}, row | {"ID": "4", "Type": "variable", "SKU": "tee", "Name": "Tee"}]
    rows += [row | {"ID": "5", "Type": "variation", "SKU": "tee-s", "Name": "Tee S", "Parent": "tee"}]
    feed = feed_of_records("shop.csv", lambda: iter(rows), "catalog", kind="woocommerce")
    written = []
    reports, figures = import_catalog([feed], ImportOptions(), written.append)
    assert [record["item_id"] for record in written] == ["1", "2", "3", "5"]
    assert [edge["item_id"] for edge in written[0]["relations"]] == ["2", "3", "5"]
    assert (reports[0].rows, figures.variants) == (5, 4)
