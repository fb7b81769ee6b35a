"""Earlier searches as model inputs."""

import numpy as np
import pytest

from tests.support.runs import RUNS
from trainer.ops import hashing, searches
from trainer.spec.tower import SearchesConfig

CONFIG = SearchesConfig(max_words=3, num_hash_buckets=1000)


@pytest.mark.parametrize("run", RUNS)
def test_each_search_has_its_words_and_its_age(run):
    texts = np.array([[b"Good lamp", b""], [b"a b c d", b"good"]], dtype=object)
    ages = np.array([[1.0, np.nan], [-3.0, 9999.0]], np.float32)

    def op(texts, ages):
        found = searches.to_model(texts, ages, config=CONFIG)
        return found["search_words"], found["search_history_age_days"]

    words, days = run(op, texts, ages)
    assert words.shape == (2, 2, 3)
    assert (
        words[0, 0, 0] == words[1, 1, 0] == hashing.hash_words([b"good"], length=1, num_hash_buckets=1000).numpy()[0, 0]
    )
    assert (words[0, 1] == 0).all()
    assert (words[1, 0] > 0).all()
    np.testing.assert_array_equal(days, [[1.0, 0.0], [0.0, 3650.0]])
