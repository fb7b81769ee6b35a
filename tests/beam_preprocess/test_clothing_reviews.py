"""The adapter of clothing reviews on a few lines in its own format."""

import gzip

import pytest

from beam_preprocess.outcomes import Reason, RecordError
from beam_preprocess.sources import open_source, read_all

LINES = """,Clothing ID,Age,Title,Review Text,Rating,Recommended IND,Positive Feedback Count,Division Name,Department Name,Class Name
0,767,33,,Silky and soft,4,1,0,Initmates,Intimate,Intimates
1,767,34,Oh no,"Bad, I sent it back",2,0,4,Initmates,Intimate,Intimates
2,12,34,,,5,1,4,General,Dresses,Dresses
3,12,34,,Fine,five,1,4,General,Dresses,Dresses
"""  # noqa: E501


@pytest.fixture
def reviews(tmp_path):
    (tmp_path / "reviews.csv.gz").write_bytes(gzip.compress(LINES.encode()))
    return open_source(tmp_path, "clothing_reviews")


def test_every_garment_comes_once_with_its_path(reviews):
    assert [row.values for row in read_all(reviews, "catalog")] == [
        {"item_id": "767", "title": "Intimates 767", "category": ["Initmates", "Intimate", "Intimates"]},
        {"item_id": "12", "title": "Dresses 12", "category": ["General", "Dresses", "Dresses"]},
    ]


def test_a_review_says_whether_it_recommends(reviews):
    one, two, three, broken = (row.values for row in read_all(reviews, "events"))
    assert (one["text"], one["rating"], one["sentiment"]) == ("Silky and soft", 4.0, "positive")
    assert (two["text"], two["sentiment"]) == ("Oh no Bad, I sent it back", "negative")
    assert three["text"] == ""
    assert isinstance(broken, RecordError)
    assert broken.reason == Reason.MALFORMED


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no set of clothing reviews"):
        open_source(tmp_path, "clothing_reviews")
