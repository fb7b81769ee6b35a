import math

import numpy as np
import pytest

from serving.evaluation import judgments
from serving.evaluation.eval_requests import JudgedRequest, read_judged, read_texts
from serving.evaluation.judgments import QueryMetrics, comparison_table, paired_bootstrap, query_metrics
from tests.support.tiny_shop import CONFIG, example, write_records
from trainer.spec.features import Side

GRADES = {b"a": 3.0, b"b": 1.0, b"c": 2.0, b"d": 0.0}


def metrics_of(ranked, grades):
    found = query_metrics([ranked], [JudgedRequest(query={}, grades=grades)])
    return found.ndcg[0], found.recall[0]


def test_ndcg_by_hand():
    # Gains 7, 1, 3 for a, b, c. Ideal a c b: 7 + 3 / log2(3) + 1 / 2 = 9.3928.
    # Found b, x (unjudged), a: 1 + 0 + 7 / 2 = 4.5.
    assert metrics_of([b"b", b"x", b"a"], GRADES)[0] == pytest.approx(4.5 / 9.3928, abs=1e-4)
    assert metrics_of([b"a", b"c", b"b"], GRADES)[0] == pytest.approx(1.0)
    assert metrics_of([b"x"] * 10 + [b"a"], GRADES)[0] == 0.0
    assert math.isnan(metrics_of([b"d"], {b"d": 0.0})[0])


def test_recall_counts_grades_two_and_three_within_a_hundred():
    assert metrics_of([b"b", b"c"], GRADES)[1] == 0.5
    assert metrics_of([b"a", *[b"x"] * 99, b"c"], GRADES)[1] == 0.5
    assert math.isnan(metrics_of([b"b"], {b"b": 1.0})[1])


def test_a_difference_comes_with_its_interval():
    ours, theirs = np.array([0.5, 0.7, np.nan, 0.9]), np.array([0.4, 0.6, np.nan, 0.8])
    assert paired_bootstrap(ours, theirs) == pytest.approx((0.1, 0.1, 0.1))
    mean, low, high = paired_bootstrap(np.array([1.0, 0.0] * 50), np.zeros(100))
    # The mean of 100 draws of 0 or 1 has a standard deviation of 0.05: about 0.5 - 1.96 * 0.05 and 0.5 + 1.96 * 0.05.
    assert (mean, low, high) == (0.5, pytest.approx(0.40, abs=0.02), pytest.approx(0.60, abs=0.02))


def test_the_table_names_every_retriever_and_the_differences_to_the_first():
    figures = {
        "hybrid": QueryMetrics(ndcg=np.array([1.0, 0.5]), recall=np.array([1.0, np.nan])),
        "lexical alone": QueryMetrics(ndcg=np.array([0.5, 0.5]), recall=np.array([0.0, np.nan])),
    }
    text = comparison_table(figures)
    assert "hybrid            0.750       1.000" in text
    assert "hybrid - lexical alone, ndcg: +0.250 [+0.000, +0.500]" in text
    assert "hybrid - lexical alone, recall: +1.000" in text


@pytest.fixture
def folders(tmp_path):
    rows = [
        {"request_id": "q1", "event_item_id": "a", "query_text": "red lamp", "label_grade": 3.0},
        {"request_id": "q1", "event_item_id": "b", "query_text": "red lamp", "label_grade": 0.0},
        {"request_id": "q0", "event_item_id": "c", "query_text": "shade", "label_grade": 2.0},
        {"request_id": "q2", "event_item_id": "c", "query_text": "not judged"},
    ]
    items = [{"item_id": "a", "title": "Lamp"}, {"item_id": "b", "title": "red shade", "brand": "Lampmaker"}]
    items.append({"item_id": "c", "title": "Red lamp"})
    write_records(tmp_path / "events/part.tfrecord", [example(row, Side.QUERY, Side.EVENT) for row in rows])
    write_records(tmp_path / "items/part.tfrecord", [example(row, Side.ITEM) for row in items])
    return tmp_path


def test_judged_requests_are_read_by_request(folders):
    found = read_judged(str(folders / "events"), wire=CONFIG.wire)
    assert [dict(request.grades) for request in found] == [{b"c": 2.0}, {b"a": 3.0, b"b": 0.0}]
    assert [request.query["query_text"] for request in found] == [b"shade", b"red lamp"]
    assert read_texts(str(folders / "items"), "title")["title"] == [b"Lamp", b"red shade", b"Red lamp"]


def test_plain_bm25_ranks_by_one_text_per_item(folders):
    requests = read_judged(str(folders / "events"), wire=CONFIG.wire)
    answers = judgments.run_bm25(str(folders / "items"), requests)
    # "shade" is only in b. "red lamp": c has both, a is shorter than b and "lamp" is as rare as "red".
    assert answers == [[b"b"], [b"c", b"a", b"b"]]
    found = query_metrics(answers, requests)
    assert found.recall.tolist() == [0.0, 1.0]


def test_lexical_results_end_where_no_term_matches(folders, monkeypatch):
    class Model:
        signatures = {"search": None}

    def predict(model, signature, given):
        size = len(given["query_text"])
        ids = np.array([[b"a", b"b", b"c", b""]] * size, object)
        if (given["page"] > 1).any():
            return {"ids": ids, "num_results": np.zeros(size, int), "scores": np.zeros([size, 4])}
        return {"ids": ids, "num_results": np.full(size, 3), "scores": np.array([[0.5, 0.1, 0.0, 0.0]] * size)}

    monkeypatch.setattr(judgments, "predict_arrays", predict)
    requests = [JudgedRequest(query={"query_text": b"red"}, grades={b"a": 1.0})]
    assert judgments.run_queries(Model(), requests, {}) == [[b"a", b"b", b"c"]]
    assert judgments.run_queries(Model(), requests, {"dense": 0.0, "lexical": 1.0}) == [[b"a", b"b"]]
    assert judgments.run_queries(Model(), requests, {"dense": 1.0, "lexical": 0.0}) == [[b"a", b"b", b"c"]]
