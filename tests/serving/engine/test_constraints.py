"""Constraints in the words of a query: which item comes first, what the answer names, and what a request refuses."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from serving.catalogue.catalogue import CatalogueItems, build_catalogue
from tests.serving.conftest import TEXT, make_bundle
from trainer.spec.branches import branches_of
from trainer.spec.features import Side
from trainer.spec.serving.signatures import signatures
from trainer.spec.tasks import SCORE_COMPONENTS

# (id, title, brand, attributes, price, currency): every item has one vector, so that words alone decide.
SHOP = (
    ("red-nike", "Red running shoe", "Nike", ("color=red", "size=42"), 80.0, "EUR"),
    ("red-nike-cheap", "Red running shoe", "Nike", ("color=red", "size=41"), 40.0, "EUR"),
    ("blue-puma", "Blue running shoe", "Puma", ("color=navy blue", "size=42"), 45.0, "EUR"),
    ("card-42", "Card game 42", "", (), 10.0, "EUR"),
    ("cola", "Cola with sugar", "Fizz", (), 2.0, "EUR"),
    ("cola-zero", "Cola, sugar-free", "Fizz", (), 3.0, "EUR"),
    ("cola-classic", "Cola classic", "Fizz", (), 1.5, "USD"),
    ("sugar", "Cane sugar", "", (), 1.0, "EUR"),
    ("iphone-12", "iPhone 12", "Apple", (), 500.0, "EUR"),
    ("iphone-13", "iPhone 13", "Apple", (), 700.0, "EUR"),
    ("jacket", "Rain jacket", "The North Face", ("waterproof=yes",), -1.0, ""),
    ("shelf", "Shelf 50 cm", "", (), 90.0, "EUR"),
    ("limo", "Limo mit Zucker", "", (), 1.2, "EUR"),
    ("limo-zero", "Limo zuckerfrei", "", (), 3.0, "EUR"),
    ("kleid", "Rotes Kleid mit Ärmeln", "", ("größe=38",), 60.0, "EUR"),
    ("kleid-ärmellos", "Rotes Kleid ohne Ärmel", "", ("größe=40",), 30.0, "EUR"),
    ("可乐", "可乐 含糖", "", (), 5.0, "CNY"),
    ("可乐-无糖", "无糖可乐", "", (), 6.0, "CNY"),
    ("裙", "红色连衣裙", "", ("颜色=红色",), 200.0, "CNY"),
    ("裙-便宜", "红色连衣裙 夏季", "", ("颜色=红色",), 80.0, "CNY"),
    ("鞋", "运动鞋", "耐克", ("尺码=44",), 300.0, "CNY"),
)


def catalogue_of(items):
    ids, titles, brands, attributes, prices, currencies = zip(*items, strict=True)
    branches = np.zeros([len(ids), len(branches_of(Side.ITEM)), 16], np.float32)
    branches[:, TEXT, 0] = 1.0

    def column(values):
        found = np.empty(len(values), object)
        found[:] = values
        return found

    texts = {"title": titles, "brand": brands, "currency": currencies}
    columns = {name: column([value.encode() for value in values]) for name, values in texts.items()}
    padded = [[value.encode() for value in (*values, "", "")[:2]] for values in attributes]
    columns |= {"attributes": np.array(padded, object), "price": np.array(prices, np.float32)}
    names = [name.encode() for name in ids]
    return build_catalogue(CatalogueItems(ids=names, groups=[b""] * len(ids), branches=branches, columns=columns))


@pytest.fixture(scope="module")
def bundle(towers):
    search = dataclasses.replace(towers.config.search, languages="en,de,zh")
    config = dataclasses.replace(towers.config, search=search)
    return make_bundle(dataclasses.replace(towers, config=config), catalogue_of(SHOP))


def ask(bundle, texts, **inputs):
    """The answers to texts, a dictionary each."""
    wanted = {port.name: port.dtype.value for s in signatures(bundle.functions.config) for port in s.inputs}
    given = {"query_text": texts, **inputs}
    found = bundle.search(**{name: tf.constant(value, wanted[name]) for name, value in given.items()})
    return [{name: values.numpy()[row] for name, values in found.items()} for row in range(len(texts))]


def ids_of(found):
    return [name.decode() for name in found["ids"] if name]


def named(found):
    """{constraint: whether it holds}."""
    pairs = zip(found["constraints"], found["constraints_applied"], strict=True)
    return {name.decode(): int(holds) for name, holds in pairs if name}


# {query: (the first result, what the answer names)}.
UNDERSTOOD = {
    "red nike under 50": ("red-nike-cheap", {"price=:50", "brand=Nike", "color=red"}),
    "red nike over 50 euro": ("red-nike", {"price=50: EUR", "brand=Nike", "color=red"}),
    "shoe between 42 and 60": ("blue-puma", {"price=42:60"}),
    "shoe size 41": ("red-nike-cheap", {"size=41"}),
    "size 42": ("red-nike", {"size=42"}),  # and not the card game 42
    "navy blue shoe": ("blue-puma", {"color=navy blue"}),
    "cola without sugar": ("cola-zero", {"without=sugar"}),
    "sugar free cola": ("cola-zero", {"without=sugar"}),
    "cola no sugars": ("cola-zero", {"without=sugars"}),
    "waterproof jacket": ("jacket", {"waterproof=yes"}),
    "the north face": ("jacket", {"brand=The North Face"}),
    "iphone 13": ("iphone-13", set()),
    "iphone 12 under 600": ("iphone-12", {"price=:600"}),
    "shelf under 50 cm": ("shelf", set()),
    "Limo ohne Zucker": ("limo-zero", {"without=zucker"}),
    "Kleid ohne Ärmel": ("kleid-ärmellos", {"without=ärmel"}),
    "rotes Kleid unter 50 Euro": ("kleid-ärmellos", {"price=:50 EUR"}),
    "Kleid Größe 38": ("kleid", {"größe=38"}),
    "Kleid zwischen 50 und 70 €": ("kleid", {"price=50:70 EUR"}),
    "不含糖的可乐": ("可乐-无糖", {"without=糖"}),
    "100元以下的红色连衣裙": ("裙-便宜", {"price=:100 CNY", "颜色=红色"}),
    "性价比高的连衣裙": ("裙", {"good_value"}),
    "耐克44码": ("鞋", {"brand=耐克", "尺码=44"}),
}


@pytest.fixture(scope="module")
def answers(bundle):
    return dict(zip(UNDERSTOOD, ask(bundle, list(UNDERSTOOD)), strict=True))


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_the_right_item_comes_first_and_the_answer_names_what_was_understood(answers, text):
    first, names = UNDERSTOOD[text]
    assert ids_of(answers[text])[0] == first
    assert named(answers[text]) == dict.fromkeys(names, 1)


def test_filters_hold_for_every_result(answers):
    prices = {item[0]: item[4] for item in SHOP}
    assert all(0.0 <= prices[name] <= 50.0 for name in ids_of(answers["red nike under 50"]))
    # Every cola and limonade with sugar is gone, one that does not speak of it stays.
    found = ids_of(answers["cola without sugar"])
    assert "cola" not in found
    assert "cola-classic" in found
    # In euros or in no currency; what has no price is out.
    assert {"cola-classic", "jacket"}.isdisjoint(ids_of(answers["rotes Kleid unter 50 Euro"]))


@pytest.mark.parametrize(
    ("text", "plain", "dropped"),
    [("iphone under 5", "iphone", "price=:5"), ("cane without sugar", "cane without sugar", "without=sugar")],
)
def test_a_constraint_that_no_match_passes_does_not_hold_and_the_answer_says_so(bundle, text, plain, dropped):
    found, usual = ask(bundle, [text, plain], refused_constraints=[[""], ["*"]])
    assert ids_of(found) == ids_of(usual)
    assert named(found) == {dropped: 0}
    assert not named(usual)


def test_one_of_two_constraints_can_hold(bundle):
    (found,) = ask(bundle, ["cola without sugar under 1 euro"])
    assert named(found) == {"price=:1 EUR": 0, "without=sugar": 1}
    assert ids_of(found)[0] == "cola-zero"


def test_a_request_refuses_constraints_by_name(bundle):
    text = "red nike under 50"
    refused = [["", ""], ["price=:50", ""], ["brand=Nike", "color=red"], ["*", ""]]
    both, price, values, everything = ask(bundle, [text] * 4, refused_constraints=refused)
    assert "red-nike" not in ids_of(both)
    assert named(price) == {"brand=Nike": 1, "color=red": 1}
    assert ids_of(price)[:2] == ["red-nike", "red-nike-cheap"]
    assert named(values) == {"price=:50": 1}
    assert not named(everything)
    assert everything["total_matches"] == len(SHOP)


def test_a_constraint_and_a_filter_must_both_hold(bundle):
    # Under 50 there is no Nike of size 42.
    (found,) = ask(bundle, ["nike under 50"], filter_attributes=[["size=42"]])
    assert ids_of(found)[0] == "red-nike"
    assert named(found) == {"price=:50": 0, "brand=Nike": 1}


def test_a_price_alone_is_answered_by_popular_items_within_it(bundle):
    (found,) = ask(bundle, ["under 2 euro"])
    assert set(ids_of(found)) == {"sugar", "limo", "cola"}


def test_value_for_money_weighs_the_price_and_a_text_that_counts_less_is_not_read(bundle):
    usual, value, less = ask(
        bundle, ["连衣裙", "性价比高的连衣裙", "red nike under 50"], query_weight_text=[1.0, 1.0, -1.0]
    )
    place = SCORE_COMPONENTS.index("price_value")
    assert value["score_weights"][place] - usual["score_weights"][place] == pytest.approx(1.0)
    assert not named(less)


def test_what_an_item_matches_as_a_whole_is_explained(bundle):
    wanted = {port.name: port.dtype.value for s in signatures(bundle.functions.config) for port in s.inputs}
    given = {"query_text": ["navy blue"], "item_id": ["blue-puma"]}
    found = bundle.explain(**{name: tf.constant(value, wanted[name]) for name, value in given.items()})
    pairs = zip(found["words"][0].numpy(), found["word_contributions"][0].numpy(), strict=True)
    words = {word.decode(): float(value) for word, value in pairs if word}
    assert set(words) == {"navy", "blue", "color=navy blue"}
    assert sum(words.values()) == pytest.approx(float(found["contribution_lexical"][0]), abs=1e-5)
