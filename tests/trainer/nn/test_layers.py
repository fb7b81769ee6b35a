import numpy as np
import pytest
import tensorflow as tf

from tests.support.layers import check_layer
from trainer.nn import losses
from trainer.nn.encoders.audio import AudioEncoder
from trainer.nn.encoders.history import HistoryEncoder
from trainer.nn.encoders.image import ImageEncoder
from trainer.nn.encoders.tabular import TabularEncoder
from trainer.nn.encoders.text import TextEncoder
from trainer.nn.encoders.video import VideoEncoder
from trainer.nn.fusion import GatedFusion, SumFusion
from trainer.nn.heads import PairHead

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
        TextEncoder(vocabulary_size=9, embedding_dim=4, lstm_units=3, dim=5, dropout=0.0),
        {"text_tokens": np.array([[1, 2, 3], [4, 0, 0], [0, 0, 0]], np.int32)},
    ),
    "image": (ImageEncoder(widths=(4, 6), patch_px=2, dim=5, dropout=0.0), PHOTOS),
    "video": (VideoEncoder(widths=(4, 6), patch_px=2, lstm_units=3, dim=5, dropout=0.0), CLIPS),
    "audio": (AudioEncoder(widths=(4, 6), dim=5, dropout=0.0), SOUNDS),
    "tabular": (
        TabularEncoder(num_categories=9, num_brands=4, embedding_dim=3, dim=5, dropout=0.0),
        {
            "category_ids": np.array([[1, 2], [3, 0], [0, 0]], np.int32),
            "brand_id": np.array([1, 2, 0], np.int32),
            "price_scaled": np.array([0.5, -1.0, 0.0], np.float32),
            "price_present": np.array([1.0, 1.0, 0.0], np.float32),
        },
    ),
    "history": (
        HistoryEncoder(dim=5, dropout=0.0),
        {
            "history_vectors": RANDOM.normal(size=[3, 2, 4]).astype(np.float32),
            "history_ages": np.array([[1.0, 2.0], [5.0, 0.0], [0.0, 0.0]], np.float32),
            "history_present": np.array([[True, True], [True, False], [False, False]]),
        },
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_encoder_keeps_the_contract_of_layers(name):
    layer, inputs = LAYERS[name]
    check_layer(layer, inputs, shape=(3, 5))


def test_a_clip_played_backwards_has_another_vector():
    layer, inputs = LAYERS["video"]
    backwards = {**inputs, "video_pixels": inputs["video_pixels"][:, ::-1]}
    assert np.abs(layer(inputs)[0] - layer(backwards)[0]).max() > 1e-3


def test_absent_photos_do_not_touch_the_vector():
    layer, inputs = LAYERS["image"]
    other = inputs["image_pixels"].copy()
    other[1, 1] = 255 - other[1, 1]
    np.testing.assert_allclose(layer({**inputs, "image_pixels": other})[1], layer(inputs)[1], atol=1e-6)


def test_gates_start_equal_and_leave_out_the_absent():
    branches = tf.constant(RANDOM.normal(size=[2, 3, 4]).astype(np.float32))
    present = tf.constant([[True, False, True], [False, False, False]])
    # The gate starts with a zero kernel: the two present branches get one half each.
    np.testing.assert_allclose(GatedFusion()(branches, present=present), [[0.5, 0.0, 0.5], [0.0] * 3], atol=1e-6)
    np.testing.assert_allclose(SumFusion()(branches, present=present), [[1.0, 0.0, 1.0], [0.0] * 3])


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
    assert float(losses.binary(labels, logits)) == pytest.approx(0.6931, abs=1e-4)
    assert float(losses.binary(tf.constant([-1.0]), tf.constant([3.0]))) == 0.0


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


def test_softmax_takes_the_popularity_of_candidates_off():
    # logQ: 2 - ln 0.8 against 0 - ln 0.2, so -ln(e^2/0.8 / (e^2/0.8 + 1/0.2)) = 0.4327
    assert float(_softmax_loss([1.0, 0.0], probability=(0.8, 0.2))) == pytest.approx(0.4327, abs=1e-4)
