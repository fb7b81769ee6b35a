import tensorflow as tf

from serving.engine import candidates


def merged(dense, lexical, *, dense_weight=1.0, lexical_weight=1.0):
    found = candidates.reciprocal_rank_fusion(
        [tf.constant([dense]), tf.constant([lexical])],
        weights=[tf.constant([dense_weight]), tf.constant([lexical_weight])],
    )
    return found.numpy()[0].tolist()


def test_rows_of_both_sides_come_first():
    # 1/61 + 1/63 for row 7, 1/61 for row 4, 1/62 for rows 5 and 6 (5 first, by row).
    assert merged([4, 5, 7], [7, 6, -1]) == [7, 4, 5]


def test_a_side_that_does_not_count_fills_up_what_the_other_leaves():
    assert merged([4, 5, -1], [6, 5, 8], lexical_weight=0.0) == [4, 5, 6]
    assert merged([4, 5, 9], [6, 8, -1], dense_weight=-1.0) == [6, 8, 4]
    assert merged([4, 5, 9], [6, 8, -1], dense_weight=0.0, lexical_weight=0.0) == [4, 6, 5]


def test_three_sides_add_up():
    lists = [tf.constant([rows]) for rows in ([4, 5, 6], [5, 7, 4], [4, 8, 5])]
    found = candidates.reciprocal_rank_fusion(lists, weights=[tf.constant([1.0])] * 3)
    # 4 has 1/61 + 1/63 + 1/61, 5 has 1/62 + 1/61 + 1/63; then rows 7 and 8 with 1/62 each, 7 by row.
    assert found.numpy()[0].tolist() == [4, 5, 7]


def test_nothing_retrieved():
    assert merged([-1, -1], [-1, -1]) == [-1, -1]
    assert merged([-1, -1], [3, -1]) == [3, -1]


def boosted(rows, values):
    return candidates.ScoreBonuses(rows=tf.constant([rows]), values=tf.constant([values]))


def test_a_boosted_item_becomes_a_candidate_once_if_it_may():
    given = [boosted([5, 2, 5], [1.0, 1.0, 1.0]), boosted([8, 9, -1], [-1.0, 1.0, 1.0])]
    everything = candidates.append_boosted(tf.constant([[2, 3, -1]]), given, allowed=None)
    assert everything.numpy().tolist() == [[2, 3, -1, 5, -1, -1, -1, 9, -1]]
    allowed = tf.constant([[True] * 9 + [False]])
    some = candidates.append_boosted(tf.constant([[2, 3, -1]]), given, allowed=allowed)
    assert some.numpy().tolist() == [[2, 3, -1, 5, -1, -1, -1, -1, -1]]


def test_no_row_passes_and_none_of_an_empty_catalogue():
    found = candidates.passes_filters(tf.constant([[1, -1, 0]]), tf.constant([[False, True]]))
    assert found.numpy().tolist() == [[True, False, False]]
    assert candidates.passes_filters(tf.constant([[-1]]), tf.zeros([1, 0], tf.bool)).numpy().tolist() == [[False]]


def test_boosts_add_up():
    given = boosted([5, 2, 5, 7], [1.0, 0.25, -3.0, 0.0])
    assert candidates.bonus_of(tf.constant([[2, 5, 7, -1, 4]]), given).numpy().tolist() == [[0.25, -2.0, 0.0, 0.0, 0.0]]
