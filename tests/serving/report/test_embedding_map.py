import numpy as np
import pytest

from serving.report.blocks import Text
from serving.report.embedding_map import map_section, project
from serving.report.figures.catalogue import ItemCard
from tests.support import fake_media


def test_the_first_components_are_the_directions_of_the_largest_variance():
    # Variances 8 along the second axis, 2 along the first, 0 along the third.
    vectors = np.array([[1.0, 0.0, 5.0], [-1.0, 0.0, 5.0], [0.0, 2.0, 5.0], [0.0, -2.0, 5.0]])
    found = project(vectors)
    np.testing.assert_allclose(found.points, [[0, 1], [0, -1], [2, 0], [-2, 0]], atol=1e-9)
    assert found.explained == pytest.approx(1.0)


def test_the_rest_of_the_variance_is_not_shown():
    # Variances 18, 8 and 2: the two largest are 26 of 28.
    vectors = np.diag([3.0, 2.0, 1.0])
    found = project(np.concatenate([vectors, -vectors]))
    assert found.explained == pytest.approx(26 / 28)


@pytest.mark.parametrize("vectors", [np.zeros([0, 2]), np.eye(2), np.ones([5, 3])])
def test_too_few_or_equal_vectors_have_no_map(vectors):
    assert project(vectors) is None
    (block,) = map_section([b"i"] * len(vectors), vectors, {}).blocks
    assert isinstance(block, Text)


def test_points_have_title_category_and_picture():
    cards = {
        b"a": ItemCard(title="A mug", price="", category="mugs", photo=fake_media.jpeg()),
        b"b": ItemCard(title="", price="", category="", photo=b""),
    }
    (figure,) = map_section([b"a", b"b", b"c"], np.eye(3), cards).blocks
    [rows] = figure.spec["datasets"].values()
    assert [(row["title"], row["series"], "image" in row) for row in rows] == [
        ("A mug", "mugs", True),
        ("b", "other", False),
        ("c", "other", False),
    ]
    assert figure.alt == "Scatter plot of 3 items; categories with a colour of their own: mugs."
