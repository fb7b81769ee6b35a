"""The grocery adapter on a set of two products in its own format."""

import pytest

from beam_preprocess.outcomes import RecordError
from beam_preprocess.sources import open_source, read_all

CLASSES = """Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),Product Description Path (str)
Pink-Lady,0,Apple,0,/iconic/Fruit/Apple/Pink-Lady/Pink-Lady_Iconic.jpg,/iconic/Fruit/Apple/Pink-Lady/Pink-Lady_Description.txt
Oat-Milk,1,Oat-Milk,1,/iconic/Packages/Oat-Milk/Oat-Milk_Iconic.jpg,/iconic/none.txt
"""  # noqa: E501


@pytest.fixture
def grocery(tmp_path):
    (tmp_path / "classes.csv").write_text(CLASSES)
    (tmp_path / "train.txt").write_text("train/Fruit/Apple/1.jpg, 0, 0\ntrain/bad.jpg, 9, 0\n")
    (tmp_path / "val.txt").write_text("val/Packages/1.jpg, 1, 1\n")
    description = tmp_path / "iconic" / "Fruit" / "Apple" / "Pink-Lady" / "Pink-Lady_Description.txt"
    description.parent.mkdir(parents=True)
    description.write_text("Sweet and crisp.\n")
    return open_source(tmp_path, "grocery")


def test_products_have_photo_description_and_path(grocery):
    apple, milk = (row.values for row in read_all(grocery, "catalog"))
    assert apple == {
        "item_id": "Pink-Lady",
        "title": "Pink Lady",
        "description": "Sweet and crisp.",
        "category": ["Fruit", "Apple"],
        "attributes": {"kind": "Apple"},
        "images": ["iconic/Fruit/Apple/Pink-Lady/Pink-Lady_Iconic.jpg"],
    }
    assert (milk["title"], milk["description"], milk["category"]) == ("Oat Milk", "", ["Packages", "Oat Milk"])


def test_train_photos_are_clicks_val_photos_and_names_are_judgments(grocery):
    events = [row.values for row in read_all(grocery, "events")]
    click, bad, judged, *names = events
    assert (click["type"], click["item_id"], click["query"]) == (
        "click",
        "Pink-Lady",
        {"image": "train/Fruit/Apple/1.jpg"},
    )
    assert "grade" not in click
    assert isinstance(bad, RecordError)
    assert (judged["type"], judged["item_id"], judged["grade"]) == ("judgment", "Oat-Milk", 3)
    assert [(name["query"], name["item_id"], name["type"]) for name in names] == [
        ({"text": "Pink Lady"}, "Pink-Lady", "judgment"),
        ({"text": "Oat Milk"}, "Oat-Milk", "judgment"),
    ]
    assert grocery.has_official_split
    assert len({event["request_id"] for event in events if not isinstance(event, RecordError)}) == 4
