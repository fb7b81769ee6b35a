"""Video: frames as JPEG or PNG bytes, in time order, to pixels."""

import tensorflow as tf

from trainer.ops import image


def to_model(frames: tf.Tensor, *, px: int) -> image.Pixels:
    """Decodes the frames of clips.

    Args:
      frames: [batch, frames] string, "" where absent.
      px: Side of the square, in pixels.

    Returns:
      Pixels [batch, frames, px, px, 3] and masks [batch, frames]. A clip with one unreadable frame is absent as a
      whole, because the time between its frames would no longer be known.
    """
    decoded = image.to_model(frames, px=px)
    whole = ~tf.reduce_any(decoded.unreadable, axis=-1, keepdims=True)
    present = decoded.present & whole
    return image.Pixels(pixels=decoded.pixels, present=present, unreadable=decoded.unreadable)
