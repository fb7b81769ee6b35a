"""Small TF-Hub modules made on the spot, one for each medium, and where the real encoder of photos is."""

import os
import pathlib

import numpy as np
import tensorflow as tf

DATA = pathlib.Path(os.environ.get("VITRINE_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"))
MOBILENET = DATA / "encoders" / "mobilenet_v1_1.0_224"

Trackable = tf.__internal__.tracking.AutoTrackable  # unlike `tf.Module` it may have the list that TF-Hub looks for


class MeanColour(Trackable):
    """The mean colour of a photo in 0 to 1 through a trainable matrix."""

    def __init__(self):
        self.kernel = tf.Variable(np.diag([1.0, 10.0, 100.0]).astype(np.float32))
        self.trainable_variables = [self.kernel]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def __call__(self, photos):
        return tf.reduce_mean(photos, axis=[1, 2]) @ self.kernel


class ColourChange(Trackable):
    """Mean colour of the last frame of a clip in 0 to 1 less that of its first, times a trainable factor."""

    def __init__(self):
        self.factor = tf.Variable(2.0)
        self.trainable_variables = [self.factor]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None, 3])])
    def __call__(self, clips):
        return self.factor * tf.reduce_mean(clips[:, -1] - clips[:, 0], axis=[1, 2])


class Loudness(Trackable):
    """Mean and largest size of a wave form in -1 to 1, times a trainable factor."""

    def __init__(self):
        self.factor = tf.Variable(2.0)
        self.trainable_variables = [self.factor]

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def __call__(self, waves):
        sizes = tf.abs(waves)
        return self.factor * tf.stack([tf.reduce_mean(sizes, axis=1), tf.reduce_max(sizes, axis=1)], axis=1)


class WordCount(Trackable):
    """Words and letters of a text, times a trainable factor."""

    def __init__(self):
        self.factor = tf.Variable(1.0)
        self.trainable_variables = [self.factor]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.cast(tf.strings.split(texts).row_lengths(), tf.float32)
        letters = tf.cast(tf.strings.length(tf.strings.regex_replace(texts, r"\s", "")), tf.float32)
        return self.factor * tf.stack([words, letters], axis=1)


def saved(module: Trackable, folder: pathlib.Path) -> str:
    """Writes a module; its handle."""
    tf.saved_model.save(module, str(folder))
    return str(folder)
