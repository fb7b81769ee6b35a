import pytest

from serving.evaluation.eval_requests import LoggedSearch
from serving.evaluation.synonyms import candidates, main
from tests.support import tiny_shop
from trainer.spec.features import Side


def searches(text, items, previous="", age_days=0.0):
    return [LoggedSearch(text, item.encode(), previous, age_days) for item in items]


def found(*logged, languages=("en",), minimum_shared=2, minimum_similarity=0.3):
    return candidates(
        [search for some in logged for search in some],
        languages=languages,
        minimum_shared=minimum_shared,
        minimum_similarity=minimum_similarity,
    )


def test_words_that_lead_to_the_same_items_are_candidates():
    (one,) = found(
        searches("Red sofa", "aab"), searches("red couch", "abc", "red sofa", 0.01), searches("red couch", "d")
    )
    # Counts (2, 1, 0, 0) and (1, 1, 1, 1): 3 / sqrt(5 * 4); two events of the rarer side are shared.
    assert one.phrases == ("couch", "sofa")
    assert one.similarity == pytest.approx(3 / 20**0.5)
    assert (one.shared, one.reformulations) == (2, 3)


def test_a_search_of_another_day_is_no_reformulation():
    (one,) = found(searches("sofa", "ab"), searches("couch", "ab", "sofa", 1.0))
    assert one.reformulations == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sofa", "red sofa"),  # narrower
        ("sofa", "sofas"),  # a form of the word
        ("smartphone", "smartphnoe"),  # misspelt
        ("garden pump", "pump garden"),  # in another order
        ("a b c d", "e f g h"),  # too long
    ],
)
def test_what_is_no_synonym_is_no_candidate(one, other):
    assert found(searches(one, "aabb"), searches(other, "aabb")) == []


def test_candidates_need_evidence():
    pair = searches("sofa", "ab"), searches("couch", "abcdefgh")
    assert found(*pair, minimum_similarity=0.6) == []  # 2 / sqrt(2 * 8) = 0.5
    assert len(found(*pair)) == 1
    assert found(*pair, minimum_shared=3) == []
    assert found(searches("sofa", "aa"), searches("table", "bb")) == []


def test_the_command_prints_comments_to_accept(tmp_path, capsys):
    rows = [
        {"query_text": text, "event_item_id": f"item-{number % 2}", "request_id": f"{text}-{number}", "positive": 1.0}
        for text in ("sofa", "couch", "lamp")
        for number in range(4)
        if text != "lamp" or number == 0
    ]
    events = [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in rows]
    tiny_shop.write_records(tmp_path / "events" / "events-00000-of-00001.tfrecord", events)
    length = f"--search_history_length={tiny_shop.CONFIG.wire.search_history_length}"
    main(["--events", str(tmp_path / "events"), length])
    assert capsys.readouterr().out == "# similarity 1.00, 4 shared events, 0 reformulations\n# couch, sofa\n"
    known = tmp_path / "synonyms.txt"
    known.write_text("couch, sofa\n", encoding="utf-8")
    main(["--events", str(tmp_path / "events"), length, "--known", str(known)])
    assert capsys.readouterr().out == ""
