"""Pretrained photo encoders: small modules made on the spot, and the real MobileNet where the public data is."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support.hub_modules import MOBILENET, MeanColour, saved
from tests.support.layers import check_layer
from trainer.nn.encoders.pretrained_image import PretrainedImageEncoder

PX = 16
RANDOM = np.random.default_rng(3)
PHOTOS = {
    "image_pixels": RANDOM.integers(0, 256, [3, 2, PX, PX, 3], np.uint8),
    "image_present": np.array([[True, True], [True, False], [False, False]]),
}


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return saved(MeanColour(), tmp_path_factory.mktemp("hub") / "mean")


def _encoder(handle, **more):
    return PretrainedImageEncoder(handle=handle, px=PX, dim=5, dropout=0.0, **{"fine_tune": False, **more})


def test_a_hub_module_keeps_the_contract_of_layers(handle):
    check_layer(_encoder(handle), PHOTOS, shape=(3, 5))


def test_the_module_gets_photos_in_0_to_1(handle):
    pixels = np.full([2, PX, PX, 3], [0, 51, 255], np.uint8)
    found = _encoder(handle).features(tf.cast(pixels, tf.float32) / 127.5 - 1.0)
    np.testing.assert_allclose(found, [[0.0, 2.0, 100.0]] * 2, atol=1e-4)


def test_frozen_weights_have_no_gradient(handle):
    encoder = _encoder(handle)
    encoder(tf.nest.map_structure(tf.constant, PHOTOS))
    assert {variable.name.split("/")[-2] for variable in encoder.trainable_variables} == {"project", "attend"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("/nowhere/at/all", "cannot be used with photos of 16 pixels"),
        ("keras:NoSuchNet:imagenet", "wanted keras:NAME:WEIGHTS with NAME one of"),
        ("keras:MobileNetV2:/nowhere.h5", "cannot be used"),
    ],
)
def test_the_error_of_a_handle_that_does_not_load_has_the_remedy(broken, message):
    with pytest.raises(ValueError, match=message) as caught:
        _encoder(broken)
    assert "Give the folder of a SavedModel" in str(caught.value)


def test_a_module_of_another_shape_is_refused(tmp_path):
    class Map(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
        def __call__(self, photos):
            return photos

    tf.saved_model.save(Map(), str(tmp_path / "map"))
    with pytest.raises(ValueError, match=r"gives \(1, 16, 16, 3\) for one photo; wanted \[1, features\]"):
        _encoder(str(tmp_path / "map"))


@pytest.mark.slow
def test_a_keras_application_with_local_weights(tmp_path):
    made = tf.keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg", alpha=1.0
    )
    made.save_weights(str(tmp_path / "weights.h5"))
    encoder = PretrainedImageEncoder(
        handle=f"keras:MobileNetV2:{tmp_path}/weights.h5", px=32, dim=4, dropout=0.0, fine_tune=True
    )
    pixels = RANDOM.integers(0, 256, [2, 32, 32, 3], np.uint8)
    wanted = made(tf.keras.applications.mobilenet_v2.preprocess_input(pixels.astype(np.float32)), training=False)
    np.testing.assert_allclose(encoder.features(pixels / 127.5 - 1.0), wanted, atol=1e-4)
    assert len(encoder.trainable_variables) > 100


@pytest.mark.skipif(not MOBILENET.is_dir(), reason=f"no encoder at {MOBILENET}; set VITRINE_DATA to the public sets")
def test_the_real_mobilenet_distinguishes_photos():
    encoder = PretrainedImageEncoder(handle=str(MOBILENET), px=96, dim=4, dropout=0.0, fine_tune=False)
    photos = tf.constant(RANDOM.uniform(-1, 1, [2, 96, 96, 3]).astype(np.float32))
    found = encoder.features(photos)
    assert found.shape == (2, 1024)
    assert np.abs(found[0] - found[1]).max() > 0.01
