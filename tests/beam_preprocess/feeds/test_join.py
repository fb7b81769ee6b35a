"""Items by the names that other rows of an export use for them."""

import pytest

from beam_preprocess.feeds.join import CatalogueIndex, RelationTargets


@pytest.fixture
def targets():
    found = RelationTargets()
    for item_id, sku, group in (("1", "mug-red", "mug"), ("2", "mug-blue", "mug"), ("3", "1", "pot"), ("a", "", "")):
        found.add({"item_id": item_id, "sku": sku, "group_id": group})
    return found


@pytest.mark.parametrize(
    ("name", "item_id"),
    [
        ("2", "2"),
        ("mug-blue", "2"),
        (" Mug-Blue", "2"),
        ("mug", "1"),
        ("1", "1"),
        ("A", "A"),
        ("elsewhere", "elsewhere"),
    ],
)
def test_a_relation_names_an_item_by_its_id_else_by_sku_else_by_group(targets, name, item_id):
    record = {"item_id": "9", "relations": [{"type": "up_sell", "item_id": name}]}
    targets.resolve(record)
    assert record["relations"] == [{"type": "up_sell", "item_id": item_id}]


def test_an_item_is_related_to_each_other_item_once_and_never_to_itself(targets):
    edges = [{"type": "related", "item_id": name} for name in ("mug", "mug-red", "mug-blue")]
    record = {"item_id": "2", "relations": edges}
    targets.resolve(record)
    assert record["relations"] == [{"type": "related", "item_id": "1"}]
    alone = {"item_id": "1", "relations": [{"type": "related", "item_id": "mug"}]}
    targets.resolve(alone)
    assert alone == {"item_id": "1"}


@pytest.fixture
def index():
    found = CatalogueIndex()
    for size in ("39", "40", "41"):
        attributes = {"sku": "B-1", "Size": size, "Colour": "Rouge", "tags": "winter, " * 20}
        found.add(
            {"item_id": f"boot/{size}", "group_id": "boot", "title": "Boot - 40 -35- Rouge", "attributes": attributes}
        )
    found.add({"item_id": "mug", "title": "Mug", "attributes": {"sku": "M-1"}})
    return found


@pytest.mark.parametrize(
    ("references", "item_id"),
    [
        ({"sku": "B-1", "item_name": "Boot - 35- Rouge - 41 / ROUGE"}, "boot/41"),
        ({"sku": "b-1", "item_name": "Boot (40, Rouge)"}, "boot/40"),
        ({"sku": "B-1", "item_name": "Boot"}, "boot/39"),
        ({"sku": "B-1"}, "boot/39"),
        ({"sku": "B-1", "item_name": 41}, "boot/39"),
        ({"sku": "M-1", "item_name": "Mug - 41"}, "mug"),
        ({"sku": "X"}, None),
    ],
)
def test_of_several_variants_of_one_sku_the_name_of_the_order_line_decides(index, references, item_id):
    assert index.find("sku", references) == item_id
