import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from serving.catalogue.catalogue import CatalogueItems, build_catalogue
from serving.engine import query_understanding
from tests.serving.conftest import TEXT, make_bundle
from trainer.spec.branches import branches_of
from trainer.spec.features import Side
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.tasks import DIVERSITY, INTENT_ADJUSTMENTS, QUERY_TASKS, SCORE_COMPONENTS

# In the fake towers the first three numbers of a text are the logits of buy, compare and consult, and the first one is
# the logit of positive, against its negative for negative.
BUY, COMPARE, CONSULT = b"9 0 0", b"0 9 0", b"0 0 9"


def test_subjectivity_is_what_a_text_adds_to_the_odds():
    sentiment = tf.constant([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2], [0.25, 0.5, 0.25]])
    # Even odds before: (0.5 - 0.2) / (0.5 + 0.2) = 0.4286, (0.6 - 0.2) / (0.6 + 0.2) = 0.5, and 0.
    even = query_understanding.subjectivity(sentiment, prior=tf.constant([[0.3, 0.4, 0.3]]))
    np.testing.assert_allclose(even, [0.4286, 0.5, 0.0], atol=1e-4)
    # Positive was 2.5 times as likely already: the first text adds nothing, the last takes odds 2.5 to 1:
    # (2.5 - 1) / (2.5 + 1) = 0.4286.
    praising = query_understanding.subjectivity(sentiment, prior=tf.constant([[0.2, 0.3, 0.5]]))
    np.testing.assert_allclose(praising.numpy()[[0, 2]], [0.0, 0.4286], atol=1e-4)


def test_a_probable_intent_shifts_weights_by_its_share(monkeypatch):
    table = {"buy": {"purchase": 2.0, "stock": 1.0}, "compare": {"diversity": 0.5}, "consult": {"lexical": 4.0}}
    monkeypatch.setattr(query_understanding, "INTENT_ADJUSTMENTS", table)
    shifts = {
        name: value.numpy()[0]
        for name, value in query_understanding.intent_adjustments(
            tf.constant([[0.5, 0.2, 0.3]]), (*SCORE_COMPONENTS, DIVERSITY)
        ).items()
    }
    changed = {name: pytest.approx(float(value)) for name, value in shifts.items() if value}
    assert changed == {"purchase": 1.0, "stock": 0.5, "diversity": 0.1, "lexical": 1.2}


def test_every_intent_shifts_what_is_there_to_be_shifted():
    (task,) = QUERY_TASKS
    assert set(INTENT_ADJUSTMENTS) == set(task.classes)
    assert {name for shifts in INTENT_ADJUSTMENTS.values() for name in shifts} <= {*SCORE_COMPONENTS, DIVERSITY}


def test_a_head_that_gives_nan_says_nothing():
    class Odd:
        def classify_queries(self, branches):
            return {"intent": tf.fill([tf.shape(branches)[0], 3], np.nan)}

        def classify_reviews(self, texts):
            return {"sentiment": tf.fill([tf.shape(texts)[0], 3], np.nan)}

    understanding = query_understanding.understand(Odd(), text=tf.constant([b"lamp"]), branches=tf.ones([1, 2, 4]))
    assert [value.numpy().ravel().tolist() for value in understanding] == [[0.0] * 3, [0.0] * 3, [0.0]]


@pytest.fixture(scope="module")
def twins(towers):
    """Items that no query tells apart: `a` is out of stock, reviews like `b` and dislike `c`."""
    branches = np.zeros([3, len(branches_of(Side.ITEM)), 16], np.float32)
    branches[:, TEXT, :4] = [0.5, 0.5, 0.5, 0.5]
    items = CatalogueItems(
        ids=[b"a", b"b", b"c"],
        groups=[b""] * 3,
        branches=branches,
        columns={"in_stock": np.array([0, 1, 1])},
        item_values={"sentiment": {b"b": 0.5, b"c": -0.5, b"gone": 1.0}},
    )
    catalogue = build_catalogue(items)
    return make_bundle(towers, catalogue)


def ask(bundle, text, **weights):
    given = {name: tf.constant([value], tf.float32) for name, value in weights.items()}
    return {name: value.numpy()[0] for name, value in bundle.search(query_text=tf.constant([text]), **given).items()}


def test_who_wants_to_buy_sees_first_what_can_be_bought(twins):
    off = {"weight_sentiment": 0.0}
    assert ask(twins, BUY, intent_weight=0.0, **off)["ids"][:3].tolist() == [b"a", b"b", b"c"]
    answer = ask(twins, BUY, intent_weight=1.0, **off)
    assert answer["ids"][:3].tolist() == [b"b", b"c", b"a"]
    np.testing.assert_allclose(answer["intent"], [0.9998, 0.0001, 0.0001], atol=1e-4)
    # All that differs is the stock.
    stock = answer["score_weights"][SCORE_COMPONENTS.index("stock")]
    assert answer["scores"][0] - answer["scores"][2] == pytest.approx(stock, abs=1e-5)


def test_who_asks_for_advice_is_answered_by_words(twins):
    usual, advised = (ask(twins, CONSULT, intent_weight=shift)["score_weights"] for shift in (0.0, 1.0))
    more = dict(zip(SCORE_COMPONENTS, advised - usual, strict=True))
    assert {part for part, value in more.items() if value > 0.01} == {"lexical", "relevance"}


def test_a_head_that_was_never_trained_moves_nothing(towers):
    branches = np.ones([2, len(branches_of(Side.ITEM)), 16], np.float32)
    columns = {"in_stock": np.array([0, 1])}
    items = CatalogueItems(ids=[b"a", b"b"], groups=[b""] * 2, branches=branches, columns=columns)
    catalogue = build_catalogue(items)
    answer = ask(make_bundle(dataclasses.replace(towers, has_intent_head=False), catalogue), BUY, intent_weight=1.0)
    assert not answer["intent"].any()
    assert answer["ids"][:2].tolist() == [b"a", b"b"]


def test_reviews_count_as_much_as_the_query_is_subjective(twins):
    # "1": odds e^1 to e^-1, tanh(1) = 0.7616. b is 0.5 and c -0.5; a, without reviews, is 0.
    answer = ask(twins, b"1", weight_sentiment=2.0, intent_weight=0.0)
    assert answer["ids"][:3].tolist() == [b"b", b"a", b"c"]
    assert answer["subjectivity"] == pytest.approx(0.7616, abs=1e-4)
    assert answer["scores"][0] - answer["scores"][1] == pytest.approx(2 * 0.7616 * 0.5, abs=1e-4)
    np.testing.assert_allclose(answer["score_sentiment"][:3], [0.5, 0.0, -0.5])
    odds = np.array([math.exp(-1), 1.0, math.exp(1)])
    np.testing.assert_allclose(answer["sentiment"], odds / odds.sum(), atol=1e-5)
    assert ask(twins, b"0 1", weight_sentiment=2.0, intent_weight=0.0)["ids"][0] == b"a"
    assert ask(twins, b"1", weight_sentiment=0.0, intent_weight=0.0)["ids"][0] == b"a"


def test_who_compares_sees_variety(towers):
    # Cosines with the query: a 1, b 0.995, c 0.707, so that relevance is 1, 0.983 and 0; with a: b 0.995, c 0.707.
    # After a, b comes as long as (1 - d) 0.983 - 0.995 d > -0.707 d, which is up to d = 0.77.
    branches = np.zeros([3, len(branches_of(Side.ITEM)), 16], np.float32)
    branches[:, TEXT, :3] = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.1], [0.0, 0.9, -0.9]]
    items = CatalogueItems(ids=[b"a", b"b", b"c"], groups=[b""] * 3, branches=branches)
    bundle = make_bundle(towers, build_catalogue(items))
    off = {"weight_sentiment": 0.0, "diversity": 0.5}
    assert ask(bundle, COMPARE, intent_weight=0.0, **off)["ids"][:3].tolist() == [b"a", b"b", b"c"]
    assert ask(bundle, COMPARE, intent_weight=2.0, **off)["ids"][:3].tolist() == [b"a", b"c", b"b"]


def test_what_explain_says_of_the_intent_is_what_the_intent_added(twins):
    item = tf.constant([b"b"])
    text = tf.constant([BUY])
    explained = {
        shift: {
            name: value.numpy()[0]
            for name, value in twins.explain(query_text=text, item_id=item, intent_weight=tf.constant([shift])).items()
        }
        for shift in (0.0, 1.0)
    }
    added = explained[1.0]["score"] - explained[0.0]["score"]
    assert added > 0.0
    assert explained[0.0]["contribution_intent"] == 0.0
    assert explained[1.0]["contribution_intent"] == pytest.approx(added, abs=1e-5)
    assert explained[1.0]["contribution_stock"] == 0.0


def test_nothing_is_read_from_what_holds_no_query(twins):
    similar = {name: value.numpy()[0] for name, value in twins.similar_items(item_id=tf.constant([b"a"])).items()}
    empty = ask(twins, b"")
    against = ask(twins, BUY, query_weight_text=-1.0)
    for answer in (similar, empty, against):
        assert not answer["intent"].any()
        assert not answer["sentiment"].any()
        assert answer["subjectivity"] == 0.0
    assert empty["query_status"] == QueryStatus.EMPTY


@pytest.mark.parametrize("shift", [np.nan, np.inf])
def test_an_intent_weight_that_is_not_finite_counts_as_none_and_is_said(twins, shift):
    answer = ask(twins, BUY, intent_weight=shift)
    assert answer["query_status"] == QueryStatus.NUMBER_REPLACED
    assert answer["ids"].tolist() == ask(twins, BUY, intent_weight=0.0)["ids"].tolist()
