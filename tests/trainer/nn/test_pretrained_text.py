"""Pretrained text encoders: a tiny BERT preset made on the spot, through tokenizer, tower layer and SavedModel."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import presets
from trainer.nn.encoders.pretrained_text import PretrainedTextEncoder
from trainer.ops.blocks.pretrained_text import PretrainedTokenizer

pytestmark = pytest.mark.slow  # importing KerasNLP takes long


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return presets.bert(tmp_path_factory.mktemp("preset") / "bert")


def test_tokens_are_those_of_the_preset_between_its_own_marks(preset):
    tokenizer = PretrainedTokenizer(preset)
    parts = [tf.constant(["Red lamps", "", "blue red lamp blue"]), tf.constant(["blue", "", ""])]
    found = tokenizer.to_model(parts, length=6)
    # [CLS] red lamp ##s blue [SEP], each plus 1; an empty text stays empty; a long one keeps its end mark.
    assert found.numpy().tolist() == [[3, 6, 7, 9, 8, 4], [0] * 6, [3, 8, 6, 7, 8, 4]]
    assert tokenizer.to_model(parts, length=4).numpy()[2].tolist() == [3, 8, 6, 4]


@pytest.mark.parametrize("fine_tune", [False, True])
def test_the_backbone_is_fine_tuned_if_configured_and_survives_a_saved_model(preset, fine_tune, tmp_path):
    encoder = PretrainedTextEncoder(handle=preset, fine_tune=fine_tune, dim=5, dropout=0.0)
    tokens = tf.constant([[3, 6, 7, 4, 0], [3, 8, 4, 0, 0], [0, 0, 0, 0, 0]])
    with tf.GradientTape() as tape:
        vectors = encoder({"text_tokens": tokens})
        loss = tf.reduce_sum(tf.square(vectors + 0.1))
    gradients = tape.gradient(loss, encoder.trainable_variables)
    assert vectors.shape == (3, 5)
    assert len(encoder.trainable_variables) == 2 + len(encoder.pretrained_variables)
    assert (len(encoder.pretrained_variables) > 10) is fine_tune
    reached = sum(gradient is not None for gradient in gradients)
    assert reached >= 2 if not fine_tune else reached > 10
    # Padding changes nothing.
    np.testing.assert_allclose(encoder({"text_tokens": tokens[:, :4]}), vectors, atol=1e-5)
    module = tf.Module()
    module.encoder = encoder
    module.embed = tf.function(
        lambda text_tokens: encoder({"text_tokens": text_tokens}),
        input_signature=[tf.TensorSpec([None, 5], tf.int32)],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.embed(tokens), vectors, atol=1e-5)


def test_the_error_of_a_preset_that_does_not_load_has_the_remedy(tmp_path):
    with pytest.raises(ValueError, match=r"Text encoder .* cannot be loaded: .*Give the folder of a KerasNLP preset"):
        PretrainedTextEncoder(handle=str(tmp_path / "none"), fine_tune=False, dim=5, dropout=0.0)
    with pytest.raises(ValueError, match=r"Tokenizer .* cannot be loaded: .*Give the folder of a KerasNLP preset"):
        PretrainedTokenizer(str(tmp_path / "none"))
