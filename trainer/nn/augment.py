"""Random augmentation of photos while training: flip, crop and colour jitter."""

import tensorflow as tf

from trainer.nn.stateless_random import uniform


def augment(photos: tf.Tensor, *, random_flip: bool, random_crop: float, color_jitter: float) -> tf.Tensor:
    """Mirrors, crops and recolours each photo at random.

    Args:
      photos: [photo, height, width, 3] float32 in -1 to 1.
      random_flip: Whether every other photo is mirrored left to right.
      random_crop: Largest share of the side that is cut away; what is left is brought back to size.
      color_jitter: Largest change: brightness by as much, contrast and each colour by as large a factor.

    Returns:
      The same shape and range.
    """
    count = tf.shape(photos)[0]
    height, width = photos.shape[1:3]
    if random_crop > 0.0:
        draws = uniform(tf.stack([count, 3]))
        side = 1.0 - random_crop * draws[:, 0]
        top, left = (1.0 - side) * draws[:, 1], (1.0 - side) * draws[:, 2]
        boxes = tf.stack([top, left, top + side, left + side], axis=1)
        photos = tf.image.crop_and_resize(photos, boxes, tf.range(count), [height, width])
    if random_flip:
        mirrored = uniform(tf.stack([count])) < 0.5
        photos = tf.where(mirrored[:, tf.newaxis, tf.newaxis, tf.newaxis], tf.reverse(photos, [2]), photos)
    if color_jitter > 0.0:
        draws = color_jitter * (2.0 * uniform(tf.stack([count, 1, 1, 5])) - 1.0)
        mean = tf.reduce_mean(photos, axis=[1, 2, 3], keepdims=True)
        photos = (mean + (photos - mean) * (1.0 + draws[..., :1])) * (1.0 + draws[..., 1:4]) + draws[..., 4:]
        photos = tf.clip_by_value(photos, -1.0, 1.0)
    return photos
