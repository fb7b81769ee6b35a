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


class Synonyms(Trackable):
    """The concepts of a text, of length 1: one of `colour3` and `hue3`, another of `thing2` and `object2`."""

    NUM_CONCEPTS = 10  # six colours and four things

    def __init__(self):
        self.trainable_variables = []

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts)
        known = tf.strings.regex_full_match(words.values, "(colour|hue)[0-5]|(thing|object)[0-3]")
        digits = tf.strings.regex_replace(tf.where(known, words.values, "0"), "[a-z]", "")
        is_thing = tf.strings.regex_full_match(words.values, "(thing|object).*")
        concepts = tf.one_hot(tf.strings.to_number(digits, tf.int32) + tf.where(is_thing, 6, 0), self.NUM_CONCEPTS)
        concepts *= tf.cast(known, tf.float32)[:, tf.newaxis]
        return tf.math.l2_normalize(tf.reduce_sum(words.with_values(concepts), axis=1), axis=-1)


def saved(module: Trackable, folder: pathlib.Path) -> str:
    """Writes a module; its handle."""
    tf.saved_model.save(module, str(folder))
    return str(folder)
