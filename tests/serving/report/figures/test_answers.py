"""Answers of a model whose scores are worked out by hand: a word counts its letters, a photo its red corner."""

import io
import types

import numpy as np
import pytest
from PIL import Image

from serving.evaluation.eval_requests import EvalRequest
from serving.report.figures import answers
from serving.report.figures.answers import (
    answer_requests,
    choose_requests,
    occluded_regions,
    occluded_words,
    query_parts,
    reasons_of,
)
from tests.support import fake_media
from trainer.spec.feature_list import features_of
from trainer.spec.features import Dtype, Side
from trainer.spec.tasks import SCORE_COMPONENTS


def query(**given):
    """A query in wire form; a list of two where the wire has an axis."""
    empty = {}
    for feature in features_of(Side.QUERY):
        if feature.modality is not None:
            value = b"" if feature.dtype is Dtype.BYTES else 0.0
            dtype = object if feature.dtype is Dtype.BYTES else np.float32
            empty[feature.name] = np.array([value, value], dtype) if feature.axes else value
    return {**empty, **given}


def request(*, relevant=(b"i1",), **given):
    return EvalRequest(query=query(**given), relevant=frozenset(relevant))


def explained(*, row=None):
    """`score` 2.5 = text-text 1.0, text-image -0.25, word "red" 1.5, purchase 0.2, and 0.05 too small to show."""
    components, branches = np.array([b"text", b"image"], object), np.array([b"text", b"image"], object)
    values = {
        "query_components": components,
        "item_branches": branches,
        "contribution_matrix": np.array([[1.0, -0.25], [0.0, 0.0]], np.float32),
        "words": np.array([b"red", b""], object),
        "word_contributions": np.array([1.5, 0.0], np.float32),
        **{f"contribution_{name}": np.float32(0.0) for name in (*SCORE_COMPONENTS, "intent", "boost")},
        "contribution_purchase": np.float32(0.2),
        "score": np.float32(2.5),
    }
    return values if row is None else {name: np.stack([value] * row) for name, value in values.items()}


@pytest.fixture
def model(monkeypatch):
    calls = []

    def predict(model, signature, given):
        calls.append(signature)
        rows = len(given["query_text"])
        if signature == "search":
            return {"ids": np.array([[b"i1", b"i2", b""]], object), "scores": np.array([[2.5, 1.0, 0.0]], np.float32)}
        scores = np.array(
            [
                len(bytes(text).replace(b" ", b"")) + _red(photo)
                for text, photo in zip(given["query_text"], given["query_image"], strict=True)
            ]
        )
        if signature == "rank":
            assert given["item_ids"].tolist() == [[b"i1"]] * rows
            return {"scores": scores[:, np.newaxis]}
        if given["item_id"].tolist() == [b"i1", b"i2"]:
            return explained(row=rows)
        assert given["item_id"].tolist() == [b"i1"] * rows
        return {"score": scores}

    monkeypatch.setattr(answers, "predict_arrays", predict)
    return types.SimpleNamespace(signatures={name: name for name in ("search", "explain", "rank")}, calls=calls)


def _red(photo):
    """Share of red pixels, in sixteenths of the photo; 0 without one."""
    if not bytes(photo):
        return 0.0
    with Image.open(io.BytesIO(bytes(photo))) as opened:
        pixels = np.asarray(opened.convert("RGB"), int)
    is_red = (pixels[..., 0] > 150) & (pixels[..., 1] < 90)
    return 16.0 * is_red.mean()


def test_the_parts_of_a_query_are_its_modalities():
    assert query_parts(query()) == ()
    given = query(query_text=b"mug", history_ids=np.array([b"i7", b""], object))
    assert query_parts(given) == ("text", "history")


def test_the_sample_has_every_kind_of_query():
    texts = [request(query_text=b"one"), request(query_text=b"two"), request(query_text=b"three")]
    photo = request(query_image=b"jpeg")
    assert choose_requests([*texts, photo], number=3) == [texts[0], photo, texts[1]]
    assert choose_requests([*texts, photo], number=9) == [texts[0], photo, texts[1], texts[2]]
    assert choose_requests([]) == []


def test_a_query_is_answered_and_explained(model):
    history = np.array([b"i7", b""], object)
    (found,) = answer_requests(model, [request(query_text=b"red mug", history_ids=history)])
    assert (found.parts, found.text, found.history) == (("text", "history"), "red mug", [b"i7"])
    assert [(hit.item, hit.score, hit.is_relevant) for hit in found.results] == [
        (b"i1", 2.5, True),
        (b"i2", 1.0, False),
    ]
    assert found.items == {b"i1", b"i2", b"i7"}
    assert found.milliseconds > 0.0
    assert found.results[0].reasons[0] == ("word “red”", 1.5)
    assert found.words == [("red", 3.0), ("mug", 3.0)]
    assert list(found.regions) == []
    assert model.calls == ["search", "search", "explain", "explain"]  # the first search warms the model up


def test_a_bundle_that_does_not_explain_has_no_reasons(model):
    del model.signatures["explain"]
    (found,) = answer_requests(model, [request(query_text=b"mug")])
    assert [list(hit.reasons) for hit in found.results] == [[], []]
    assert found.words == [("mug", 3.0)]  # by the signature that ranks
    assert model.calls == ["search", "search", "rank"]


def test_reasons_add_up_to_the_score():
    found = reasons_of(explained())
    assert found == [
        ("word “red”", pytest.approx(1.5)),
        ("text of the query, text of the item", pytest.approx(1.0)),
        ("text of the query, image of the item", pytest.approx(-0.25)),
        ("purchase", pytest.approx(0.2)),
        ("other", pytest.approx(0.05)),
    ]
    assert sum(amount for _, amount in found) == pytest.approx(2.5)


def test_the_effect_of_a_word_is_the_loss_without_it(model):
    assert occluded_words(model, query(query_text=b"a red mug"), b"i1") == [("a", 1.0), ("red", 3.0), ("mug", 3.0)]
    assert occluded_words(model, query(), b"i1") == []


def test_the_effect_of_a_region_is_the_loss_when_it_is_covered(model):
    # A red quarter at the top left: it covers four of the sixteen regions, each of which is lost when it is covered.
    photo = fake_media.encoded(fake_media.quadrants(width=64, height=64), "JPEG", quality=95, subsampling=0)
    regions = np.array(occluded_regions(model, query(query_image=photo), b"i1"))
    wanted = np.zeros([4, 4])
    wanted[:2, :2] = 1.0
    np.testing.assert_allclose(regions, wanted, atol=0.15)  # JPEG blurs the edges
    assert occluded_regions(model, query(), b"i1") == []
    assert occluded_regions(model, query(query_image=b"not a photo"), b"i1") == []
