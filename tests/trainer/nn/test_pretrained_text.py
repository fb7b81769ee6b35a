"""Pretrained text encoders: a tiny BERT preset made on the spot, through tokenizer, tower layer and SavedModel."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.support import presets
from tests.support.hub_modules import DATA
from trainer.nn.encoders.pretrained_text import Pooling, PretrainedTextEncoder
from trainer.ops.blocks.pretrained_text import PretrainedTokenizer

MINILM = DATA / "encoders" / "all-MiniLM-L6-v2"

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


def sentence_transformer(folder, *, modes, modules=("Transformer", "Pooling", "Normalize")):
    """The preset with the statement of Sentence Transformers about its pooling."""
    handle = presets.hugging_face_bert(folder)
    stated = [{"type": f"sentence_transformers.models.{name}", "path": f"{i}_{name}"} for i, name in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(stated))
    (folder / "1_Pooling").mkdir()
    names = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    config = {"word_embedding_dimension": presets.WIDTH, **{f"pooling_mode_{name}": name in modes for name in names}}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    return handle


def test_a_folder_in_hugging_face_form_is_pooled_as_it_states(tmp_path):
    handle = sentence_transformer(tmp_path / "bert", modes=["mean_tokens"])
    tokens = PretrainedTokenizer(handle).to_model([tf.constant(["red lamps", "blue"])], length=6)
    assert tokens.numpy().tolist() == [[3, 6, 7, 9, 4, 0], [3, 8, 4, 0, 0, 0]]
    encoder = PretrainedTextEncoder(handle=handle, fine_tune=False, dim=5, dropout=0.0)
    features = encoder.raw_features({"text_tokens": tokens}).numpy()
    sequence = encoder.backbone(tf.maximum(tokens - 1, 0), tokens > 0).numpy()
    for row, length in enumerate([5, 3]):
        mean = sequence[row, :length].mean(axis=0)
        np.testing.assert_allclose(features[row], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize(
    ("modes", "modules", "want"),
    [
        (["mean_tokens"], ("Transformer", "Pooling"), Pooling(modes=("mean",))),
        (
            ["cls_token", "max_tokens"],
            ("Transformer", "Pooling", "Normalize"),
            Pooling(modes=("cls", "max"), unit_length=True),
        ),
    ],
)
def test_the_pooling_is_the_stated_one(tmp_path, modes, modules, want):
    assert Pooling.of_preset(sentence_transformer(tmp_path / "bert", modes=modes, modules=modules)) == want


def test_a_folder_that_states_nothing_is_pooled_by_maximum_and_mean(preset):
    assert Pooling.of_preset(preset) == Pooling(modes=("max", "mean"), unit_length=False)


@pytest.mark.parametrize(
    ("modes", "modules", "message"),
    [
        (["mean_sqrt_len_tokens"], ("Transformer", "Pooling"), r"pools by \['pooling_mode_mean_sqrt_len_tokens'\]"),
        ([], ("Transformer", "Pooling"), r"pools by \[\]; wanted some of"),
        (
            ["mean_tokens"],
            ("Transformer", "Pooling", "Dense"),
            r"has the modules \['Dense', 'Pooling', 'Transformer'\]",
        ),
    ],
)
def test_another_pooling_is_refused(tmp_path, modes, modules, message):
    with pytest.raises(ValueError, match=message):
        Pooling.of_preset(sentence_transformer(tmp_path / "bert", modes=modes, modules=modules))


@pytest.mark.skipif(not MINILM.is_dir(), reason=f"no encoder at {MINILM}; set VITRINE_DATA to the public sets")
def test_the_real_encoder_knows_that_two_words_mean_the_same():
    encoder = PretrainedTextEncoder(handle=str(MINILM), fine_tune=False, dim=5, dropout=0.0)
    texts = tf.constant(["a sofa for two", "couch with two seats", "stainless steel kettle"])
    tokens = PretrainedTokenizer(encoder.handle).to_model([texts], length=16)
    vectors = encoder.raw_features({"text_tokens": tokens}).numpy()
    assert vectors.shape == (3, 384)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.5 > 0.3 > far
