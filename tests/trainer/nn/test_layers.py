import math

import numpy as np
import pytest
import tensorflow as tf

from tests.support.layers import check_layer
from trainer.nn import losses
from trainer.nn.encoders.audio import AudioEncoder
from trainer.nn.encoders.graph import GraphEncoder
from trainer.nn.encoders.history import HistoryEncoder
from trainer.nn.encoders.identity import IdentityEncoder
from trainer.nn.encoders.image import ImageEncoder
from trainer.nn.encoders.profile import ProfileEncoder
from trainer.nn.encoders.searches import SearchesEncoder
from trainer.nn.encoders.tabular import TabularEncoder
from trainer.nn.encoders.text import TextEncoder, drop_tokens
from trainer.nn.encoders.trend import TrendEncoder
from trainer.nn.encoders.video import VideoEncoder
from trainer.nn.fusion import AttentionFusion, ConcatFusion, GatedFusion, SumFusion
from trainer.nn.heads import ItemHead, PairHead, QueryClassHead, ReviewHead

RANDOM = np.random.default_rng(7)
PHOTOS = {
    "image_pixels": RANDOM.integers(0, 256, [3, 2, 16, 16, 3], np.uint8),
    "image_present": np.array([[True, True], [True, False], [False, False]]),
}
CLIPS = {
    "video_pixels": RANDOM.integers(0, 256, [3, 4, 16, 16, 3], np.uint8),
    "video_present": np.array([[True] * 4, [True, True, False, False], [False] * 4]),
}
SOUNDS = {
    "audio_mel": RANDOM.integers(0, 256, [3, 2, 20, 16], np.uint8),
    "audio_present": np.array([[True, True], [True, False], [False, False]]),
}
LAYERS = {
    "text": (
        TextEncoder(vocab_size=9, embedding_dim=4, lstm_units=3, dim=5, dropout=0.0),
        {"text_tokens": np.array([[1, 2, 3], [4, 0, 0], [0, 0, 0]], np.int32)},
    ),
    "image": (ImageEncoder(channels=(4, 6), patch_px=2, dim=5, dropout=0.0), PHOTOS),
    "video": (VideoEncoder(channels=(4, 6), patch_px=2, lstm_units=3, dim=5, dropout=0.0), CLIPS),
    "video by convolutions": (
        VideoEncoder(channels=(4, 6), patch_px=2, lstm_units=3, dim=5, dropout=0.0, temporal_encoder="cnn"),
        CLIPS,
    ),
    "audio": (AudioEncoder(channels=(4, 6), dim=5, dropout=0.0), SOUNDS),
    "tabular": (
        TabularEncoder(num_categories=9, num_brands=4, embedding_dim=3, dim=5, dropout=0.0),
        {
            "category_ids": np.array([[1, 2], [3, 0], [0, 0]], np.int32),
            "brand_id": np.array([1, 2, 0], np.int32),
            "price_scaled": np.array([0.5, -1.0, 0.0], np.float32),
            "price_present": np.array([1.0, 1.0, 0.0], np.float32),
        },
    ),
    "identity": (IdentityEncoder(num_items=4, dim=5), {"item_number": np.array([1, 4, 9], np.int32)}),
    "graph": (
        GraphEncoder(num_relation_types=6, dim=5, dropout=0.0),
        {
            "neighbour_vectors": RANDOM.normal(size=[3, 2, 5]).astype(np.float32),
            "neighbour_types": np.array([[1, 2], [5, 0], [0, 99]], np.int32),
            "neighbour_present": np.array([[True, True], [True, False], [False, False]]),
        },
    ),
    "trend": (
        TrendEncoder(lstm_units=3, dim=5, dropout=0.0),
        {
            "trend": RANDOM.normal(size=[3, 6, 2]).astype(np.float32),
            "popularity": np.array([0.0, 2.0, 5.0], np.float32),
        },
    ),
    "searches": (
        SearchesEncoder(num_hash_buckets=9, embedding_dim=4, gru_units=3, dim=5, dropout=0.0),
        {
            "search_words": np.array([[[1, 2], [3, 0]], [[4, 0], [0, 0]], [[0, 0], [0, 0]]], np.int32),
            "search_history_age_days": np.array([[1.0, 2.0], [5.0, 0.0], [0.0, 0.0]], np.float32),
        },
    ),
    "profile": (
        ProfileEncoder(num_hash_buckets=9, dim=5, dropout=0.0),
        {"profile_ids": np.array([[1, 9], [2, 0], [0, 0]], np.int32)},
    ),
    "history": (
        HistoryEncoder(dim=5, dropout=0.0),
        {
            "history_vectors": RANDOM.normal(size=[3, 2, 4]).astype(np.float32),
            "history_age_days": np.array([[1.0, 2.0], [5.0, 0.0], [0.0, 0.0]], np.float32),
            "history_present": np.array([[True, True], [True, False], [False, False]]),
        },
    ),
}


LAYERS["history by a GRU"] = (HistoryEncoder(dim=5, dropout=0.0, gru_units=3), LAYERS["history"][1])


@pytest.mark.parametrize("name", LAYERS)
def test_every_encoder_keeps_the_contract_of_layers(name):
    layer, inputs = LAYERS[name]
    check_layer(layer, inputs, shape=(3, 5))


def test_daily_branches_start_at_zero():
    for layer in (
        GraphEncoder(num_relation_types=6, dim=5, dropout=0.0),
        TrendEncoder(lstm_units=3, dim=5, dropout=0.0),
    ):
        name = "graph" if isinstance(layer, GraphEncoder) else "trend"
        np.testing.assert_array_equal(layer(LAYERS[name][1]), 0.0)


def test_a_forecast_starts_at_its_baseline():
    head = ItemHead(dropout=0.5)
    branches, known = tf.ones([2, 3, 4]), tf.ones([2, 5])
    base = tf.constant([0.5, -1.0])
    np.testing.assert_array_equal(head(branches, facts=known, baseline=base), base)


def test_poisson_loss_is_the_mean_over_known_labels():
    # exp(0) - 2 * 0 = 1 and exp(ln 3) - 1 * ln 3 = 3 - ln 3; the third is not known.
    loss = losses.poisson_loss(tf.constant([2.0, 1.0, np.nan]), tf.constant([0.0, np.log(3.0), 50.0]))
    assert float(loss) == pytest.approx((1.0 + 3.0 - np.log(3.0)) / 2.0, rel=1e-6)
    assert float(losses.poisson_loss(tf.constant([np.nan]), tf.constant([1.0]))) == 0.0


def test_huber_loss_is_the_mean_over_known_labels():
    # Off by 0.05: 0.0125; off by 3: 2.95.
    loss = losses.huber_loss(tf.constant([0.05, -1.0, np.nan]), tf.constant([0.0, 2.0, 7.0]))
    assert float(loss) == pytest.approx((0.0125 + 2.95) / 2.0, rel=1e-5)


def test_an_unknown_label_gives_no_gradient():
    predicted = tf.Variable([1.0, 2.0])
    for loss in (losses.poisson_loss, losses.huber_loss):
        with tf.GradientTape() as tape:
            value = loss(tf.constant([0.0, np.nan]), predicted)
        gradient = tape.gradient(value, predicted).numpy()
        assert gradient[0] > 0.0
        assert gradient[1] == 0.0


@pytest.mark.parametrize("name", ["video", "video by convolutions"])
def test_a_clip_played_backwards_has_another_vector(name):
    layer, inputs = LAYERS[name]
    backwards = {**inputs, "video_pixels": inputs["video_pixels"][:, ::-1]}
    assert np.abs(layer(inputs)[0] - layer(backwards)[0]).max() > 1e-3


def test_earlier_searches_count_by_their_order_and_absent_ones_not_at_all():
    layer, inputs = LAYERS["searches"]
    vectors = layer(inputs).numpy()
    swapped = layer({**inputs, "search_words": inputs["search_words"][:, ::-1]}).numpy()
    assert np.abs(vectors[0] - swapped[0]).max() > 1e-3
    other = {
        **inputs,
        "search_history_age_days": inputs["search_history_age_days"]
        + np.array([[0.0, 0.0], [0.0, 9.0], [0.0, 0.0]], np.float32),
    }
    np.testing.assert_array_equal(layer(other)[1], vectors[1])


def test_a_profile_is_the_mean_of_its_entries():
    layer, _ = LAYERS["profile"]
    first, second, both = (
        layer({"profile_ids": np.array([ids], np.int32)}).numpy() for ids in ([1, 0], [2, 0], [1, 2])
    )
    np.testing.assert_allclose(both, (first + second) / 2.0, rtol=1e-5, atol=1e-6)


def test_an_unknown_temporal_encoder_is_refused():
    with pytest.raises(ValueError, match="The temporal encoder is 'gru'; wanted lstm or cnn"):
        VideoEncoder(channels=(4,), patch_px=2, lstm_units=3, dim=5, dropout=0.0, temporal_encoder="gru")


@pytest.mark.parametrize("name", ["history", "history by a GRU"])
def test_absent_history_entries_change_nothing(name):
    layer, inputs = LAYERS[name]
    other = {**inputs, "history_vectors": inputs["history_vectors"] + ~inputs["history_present"][..., np.newaxis] * 9.0}
    np.testing.assert_allclose(layer(other)[:2], layer(inputs)[:2], atol=1e-6)


def test_a_gru_depends_on_the_order_of_the_history():
    vectors, ages = RANDOM.normal(size=[1, 2, 4]).astype(np.float32), np.ones([1, 2], np.float32)
    first = {"history_vectors": vectors, "history_age_days": ages, "history_present": np.ones([1, 2], bool)}
    turned = {**first, "history_vectors": vectors[:, ::-1]}
    plain, layer = LAYERS["history"][0], LAYERS["history by a GRU"][0]
    np.testing.assert_allclose(plain(first), plain(turned), atol=1e-6)
    assert np.abs(layer(first) - layer(turned)).max() > 1e-4


def test_absent_photos_do_not_change_the_vector():
    layer, inputs = LAYERS["image"]
    other = inputs["image_pixels"].copy()
    other[1, 1] = 255 - other[1, 1]
    np.testing.assert_allclose(layer({**inputs, "image_pixels": other})[1], layer(inputs)[1], atol=1e-6)


FUSIONS = {"gated": GatedFusion, "sum": SumFusion, "concat": ConcatFusion, "attention": AttentionFusion}


@pytest.mark.parametrize("name", FUSIONS)
def test_every_fusion_ignores_absent_branches_and_gives_the_contribution_of_each(name):
    branches = tf.constant(RANDOM.normal(size=[2, 3, 4]).astype(np.float32))
    present = tf.constant([[True, False, True], [False, False, False]])
    added, weights = FUSIONS[name]()(tf.where(present[..., tf.newaxis], branches, 0.0), present=present)
    assert added.shape == (2, 3, 4)
    np.testing.assert_array_equal(weights.numpy() > 0, present)
    np.testing.assert_array_equal(added.numpy().any(axis=-1), present)
    if name != "sum":
        np.testing.assert_allclose(tf.reduce_sum(weights, axis=1), [1.0, 0.0], atol=1e-6)


def test_fusions_start_with_every_branch_counting():
    branches = tf.constant([[[3.0, 0.0], [0.0, 1.0]]])
    present = tf.constant([[True, True]])
    np.testing.assert_allclose(GatedFusion()(branches, present=present)[0], branches / 2)
    np.testing.assert_allclose(SumFusion()(branches, present=present)[0], branches)
    added, weights = ConcatFusion()(branches, present=present)
    np.testing.assert_allclose(added, branches)
    np.testing.assert_allclose(weights, [[0.75, 0.25]])


def test_concatenation_is_one_matrix_over_all_branches():
    fusion = ConcatFusion()
    branches, present = tf.constant([[[1.0, 2.0], [3.0, 4.0]]]), tf.constant([[True, True]])
    fusion(branches, present=present)
    kernel = RANDOM.normal(size=[2, 2, 2]).astype(np.float32)
    fusion.kernel.assign(kernel)
    side_by_side = np.array([1.0, 2.0, 3.0, 4.0]) @ kernel.reshape(4, 2)
    np.testing.assert_allclose(tf.reduce_sum(fusion(branches, present=present)[0], axis=1)[0], side_by_side, rtol=1e-5)


def test_attention_weighs_a_branch_by_itself():
    fusion = AttentionFusion(hidden_dim=1)
    branches, present = tf.constant([[[1.0, 0.0], [0.0, 0.0]]]), tf.constant([[True, True]])
    fusion(branches, present=present)
    fusion.kernel.assign([[100.0], [0.0]])  # tanh(100) = 1, tanh(0) = 0
    fusion.key.assign(tf.zeros_like(fusion.key))
    fusion.query.assign([np.log(3.0)])
    np.testing.assert_allclose(fusion(branches, present=present)[1], [[0.75, 0.25]], rtol=1e-5)


def test_pair_head_scores_every_item_of_a_page_as_it_scores_it_alone():
    head = PairHead(hidden_dim=4)
    query = tf.constant(RANDOM.normal(size=[2, 5]).astype(np.float32))
    items = tf.constant(RANDOM.normal(size=[2, 3, 5]).astype(np.float32))
    page = head(query[:, tf.newaxis], items)
    assert page.shape == (2, 3)
    np.testing.assert_allclose(page[:, 1], head(query, items[:, 1]), atol=1e-6)


def test_binary_loss_is_the_mean_over_known_labels():
    labels, logits = tf.constant([1.0, 0.0, -1.0]), tf.constant([0.0, 0.0, 50.0])
    # Two known labels at logit 0 cost ln 2 each; the third is not known.
    assert float(losses.binary_cross_entropy(labels, logits)) == pytest.approx(0.6931, abs=1e-4)
    assert float(losses.binary_cross_entropy(tf.constant([-1.0]), tf.constant([3.0]))) == 0.0


def _softmax_loss(weights, *, probability=(0.5, 0.5)):
    return losses.SampledSoftmax(temperature=0.5)(
        tf.constant([[1.0, 0.0], [1.0, 0.0]]),
        tf.constant([[1.0, 0.0], [0.0, 1.0]]),
        item_index=tf.constant([0, 1]),
        item_rows=tf.constant([70, 71]),
        probability=tf.constant(probability),
        weights=tf.constant(weights),
    )


def test_softmax_by_hand_with_the_positive_counted_once():
    # Row 0: logits are 1/0.5 = 2 for its item and 0 for the other; its second copy is an accidental hit and goes.
    # -ln(e^2 / (e^2 + 1)) = 0.1269
    assert float(_softmax_loss([1.0, 0.0])) == pytest.approx(0.1269, abs=1e-4)
    # Row 1 is about the other item: -ln(1 / (1 + e^2)) = 2.1269; the mean of both rows, weighted 3 to 1, is 0.6269.
    assert float(_softmax_loss([3.0, 1.0])) == pytest.approx(0.6269, abs=1e-4)
    assert float(_softmax_loss([0.0, 0.0])) == 0.0


def test_softmax_corrects_for_the_popularity_of_candidates():
    # logQ: 2 - ln 0.8 against 0 - ln 0.2, so -ln(e^2/0.8 / (e^2/0.8 + 1/0.2)) = 0.4327
    assert float(_softmax_loss([1.0, 0.0], probability=(0.8, 0.2))) == pytest.approx(0.4327, abs=1e-4)


def test_class_heads_keep_the_contract_of_layers():
    branches = RANDOM.normal(size=[3, 2, 4]).astype(np.float32)
    check_layer(QueryClassHead(num_classes=3), branches, shape=(3, 3))
    head = ReviewHead(num_hash_buckets=9, embedding_dim=4, filters=3, num_classes=3, dropout=0.0)
    words = np.array([[1, 2, 3, 4], [5, 0, 0, 0], [0, 0, 0, 0]], np.int32)
    check_layer(head, words, shape=(3, 3))
    np.testing.assert_array_equal(head(words)[2], 0.0)


def test_padding_changes_no_review():
    head = ReviewHead(num_hash_buckets=9, embedding_dim=4, filters=3, num_classes=3, dropout=0.0)
    short, long = np.array([[1, 2, 3]], np.int32), np.array([[1, 2, 3, 0, 0]], np.int32)
    np.testing.assert_allclose(head(short), head(long), atol=1e-6)


def test_word_order_changes_a_review():
    head = ReviewHead(num_hash_buckets=9, embedding_dim=4, filters=3, num_classes=3, dropout=0.0)
    assert np.abs(head(np.array([[1, 2, 3]], np.int32)) - head(np.array([[3, 2, 1]], np.int32))).max() > 1e-4


def test_pairwise_loss_compares_rows_of_one_request_with_unequal_grades():
    labels = tf.constant([3.0, 1.0, 1.0, -1.0, 2.0])
    logits = tf.constant([2.0, 0.5, 1.0, 9.0, 0.0])
    groups = tf.constant([7, 7, 7, 7, 8])
    # Pairs (3, 1) and (3, 1) of request 7: softplus(0.5 - 2) and softplus(1 - 2); row 3 has no grade, row 4 no partner.
    wanted = (np.log1p(np.exp(-1.5)) + np.log1p(np.exp(-1.0))) / 2
    np.testing.assert_allclose(losses.pairwise_logistic_loss(labels, logits, groups), wanted, rtol=1e-6)
    assert losses.pairwise_logistic_loss(labels[3:], logits[3:], groups[3:]) == 0.0


def test_class_loss_is_the_mean_over_known_classes():
    logits = tf.math.log([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]])
    # Rows 0 and 2 are known: -ln 0.5 and -ln 0.4.
    np.testing.assert_allclose(
        losses.categorical_cross_entropy(tf.constant([2.0, -1.0, 0.0]), logits),
        -(np.log(0.5) + np.log(0.4)) / 2,
        rtol=1e-6,
    )
    assert losses.categorical_cross_entropy(tf.constant([-1.0]), logits[:1]) == 0.0


def _two_row_loss(**more):
    layer = losses.SampledSoftmax(temperature=0.5, **more)
    queries = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    loss = layer(
        queries,
        tf.constant([[0.8, 0.6], [0.0, 1.0]]),
        item_index=tf.constant([0, 1]),
        item_rows=tf.constant([4, 9]),
        probability=tf.constant([0.5, 0.5]),
        weights=tf.constant([1.0, 1.0]),
    )
    return layer, float(loss)


def test_temperature_is_learned_only_if_configured():
    fixed, loss = _two_row_loss()
    learned, same = _two_row_loss(learn_temperature=True)
    assert (len(fixed.trainable_variables), len(learned.trainable_variables)) == (0, 1)
    assert same == pytest.approx(loss)
    # Logits over 0.5: row 0 (1.6, 0), row 1 (1.2, 2).
    assert loss == pytest.approx((np.log1p(np.exp(-1.6)) + np.log1p(np.exp(-0.8))) / 2, rel=1e-5)


def test_label_smoothing_gives_the_others_a_share():
    _, loss = _two_row_loss(label_smoothing=0.2)
    # 0.9 of the weight on the positive, 0.1 on the other: softmax log-probabilities of the logits above.
    rows = np.array([[1.6, 0.0], [2.0, 1.2]])
    logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    assert loss == pytest.approx(-(logs @ [0.9, 0.1]).mean(), rel=1e-5)


def test_a_row_never_loses_all_of_its_tokens():
    tokens = tf.constant([[3, 0, 0]] * 50 + [[1, 2, 3]] * 50)
    kept = drop_tokens(tokens, 0.7).numpy()
    assert (kept > 0).any(axis=1).all()
    assert (kept[50:] == 0).any()


def test_mean_and_maximum_of_every_level_of_a_photo_are_features():
    photo = np.full([1, 4, 4, 3], -1.0, np.float32)
    photo[0, 2:, 2:] = 1.0
    encoder = ImageEncoder(channels=(1, 2), patch_px=2, dim=5, dropout=0.0)
    assert encoder.features(photo).shape == [1, 2 * (1 + 2)]
    encoder.stack.convolutions[0].set_weights([np.full([2, 2, 3, 1], 1.0 / 12.0), np.zeros(1)])
    # Four patches of -1, -1, -1, 1: mean -0.5, deviation sqrt(0.75). Normalised and cut at 0 they are 0, 0, 0, sqrt(3).
    first_level = encoder.features(photo)[0, :2]
    np.testing.assert_allclose(first_level, [math.sqrt(3.0) / 4.0, math.sqrt(3.0)], rtol=2e-3)
