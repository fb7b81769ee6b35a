import numpy as np

from benchmarks.words import cross_validated, default_bm25, drawn_settings
from serving.evaluation.judgments import QueryMetrics


def metrics(*ndcg):
    return QueryMetrics(ndcg=np.array(ndcg), recall=1.0 - np.array(ndcg))


def test_a_setting_is_never_chosen_on_the_query_that_it_is_measured_on():
    # One setting for each query, perfect there and slightly worse than the last setting elsewhere: chosen on the same
    # queries each would look perfect; on those of other folds the last one always wins.
    lucky = [metrics(*np.where(np.arange(10) == query, 1.0, 0.4)) for query in range(10)]
    found = cross_validated([*lucky, metrics(*[0.6] * 10)])
    np.testing.assert_allclose(found.ndcg, [0.6] * 10)
    np.testing.assert_allclose(found.recall, [0.4] * 10)


def test_queries_with_nothing_to_find_choose_nothing():
    found = cross_validated([metrics(0.2, 0.2, 0.2, 0.2, 0.2, np.nan), metrics(0.3, 0.3, 0.3, 0.3, 0.3, np.nan)])
    np.testing.assert_allclose(found.ndcg, [0.3] * 5 + [np.nan])


def test_drawn_settings_begin_with_the_default_and_are_always_the_same():
    default = default_bm25({"title": [], "attributes": []})
    first, second = drawn_settings(default, 20), drawn_settings(default, 20)
    assert first[0] == default
    assert first == second
    assert all(set(setting.weights) == {"title", "attributes"} for setting in first)
