import numpy as np
import tensorflow as tf

from trainer.nn.augment import augment
from trainer.nn.stateless_random import step_seed

RAMP = np.broadcast_to(np.linspace(-0.8, 0.8, 8, dtype=np.float32)[None, None, :, None], [200, 8, 8, 3])


def _changed(**more: object) -> np.ndarray:
    with step_seed(tf.constant([1, 2], tf.int64)):
        return augment(
            tf.constant(RAMP), **{"random_flip": False, "random_crop": 0.0, "color_jitter": 0.0, **more}
        ).numpy()


def test_without_options_nothing_changes():
    np.testing.assert_array_equal(_changed(), RAMP)


def test_about_half_of_the_photos_are_mirrored_and_the_rest_untouched():
    found = _changed(random_flip=True)
    mirrored = (found == RAMP[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(found[~mirrored], RAMP[~mirrored])


def test_a_crop_shows_a_part_of_the_photo_at_full_size():
    found = _changed(random_crop=0.5)
    span = found[:, 0, -1, 0] - found[:, 0, 0, 0]
    # The whole ramp spans 1.6; at least half of the side is left.
    assert span.min() >= 0.8 - 1e-5
    assert span.max() <= 1.6 + 1e-5
    assert span.std() > 0.1
    assert np.abs(found).max() <= 0.8 + 1e-5


def test_colours_change_within_bounds_and_differ_by_photo():
    found = _changed(color_jitter=0.2)
    assert np.abs(found).max() <= 1.0
    means = found.mean(axis=(1, 2))
    assert np.abs(means).max() <= 0.2 + 1e-5  # brightness alone moves the mean of a ramp around zero
    assert means.std(axis=0).min() > 0.05


def test_the_same_step_changes_photos_the_same_way():
    np.testing.assert_array_equal(
        _changed(random_flip=True, random_crop=0.3, color_jitter=0.1),
        _changed(random_flip=True, random_crop=0.3, color_jitter=0.1),
    )
