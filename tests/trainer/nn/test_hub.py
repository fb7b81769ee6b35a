"""TF-Hub modules for text, clips and sounds: small ones made on the spot."""

import numpy as np
import pytest
import tensorflow as tf

from beam_preprocess.examples import serialize
from tests.support import fake_media, tiny_shop
from tests.support.hub_modules import ColourChange, Loudness, MeanColour, WordCount, saved
from tests.support.layers import check_layer
from trainer.model.build import build_model
from trainer.nn.encoders.hub import HubAudioEncoder, HubTextEncoder, HubVideoEncoder
from trainer.ops import audio
from trainer.ops.blocks.pretrained_text import tokenizer_of
from trainer.ops.examples import ModelOps, parse
from trainer.spec.branches import branches_of
from trainer.spec.config import WireConfig, override
from trainer.spec.features import Modality, Side

RANDOM = np.random.default_rng(5)
MODULES = {"text": WordCount, "video": ColourChange, "audio": Loudness, "photo": MeanColour}
SHAPES = {"text": {}, "video": {"frames": 3, "px": 8}, "audio": {"samples": 40}}
ENCODERS = {"text": HubTextEncoder, "video": HubVideoEncoder, "audio": HubAudioEncoder}
INPUTS = {
    "text": {"text_tokens": np.array([[98, 33, 99], [100, 0, 0], [0, 0, 0]], np.int32)},
    "video": {
        "video_pixels": RANDOM.integers(0, 256, [3, 3, 8, 8, 3], np.uint8),
        "video_present": np.array([[True] * 3, [True, True, False], [False] * 3]),
    },
    "audio": {
        "audio_samples": RANDOM.integers(-30_000, 30_000, [3, 2, 40]).astype(np.int16),
        "audio_present": np.array([[True, True], [True, False], [False, False]]),
    },
}


@pytest.fixture(scope="module")
def handles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    return {name: saved(module(), folder / name) for name, module in MODULES.items()}


def encoder(kind, handle, **more):
    return ENCODERS[kind](handle=handle, dim=5, dropout=0.0, **{"fine_tune": False, **SHAPES[kind], **more})


@pytest.mark.parametrize("fine_tune", [False, True])
@pytest.mark.parametrize("kind", list(ENCODERS))
def test_every_module_keeps_the_contract_of_layers(handles, kind, fine_tune):
    layer = encoder(kind, handles[kind], fine_tune=fine_tune)
    check_layer(layer, INPUTS[kind], shape=(3, 5))
    names = {variable.name.split("/")[-1] for variable in layer.trainable_variables}
    assert ("Variable:0" in names) is fine_tune
    assert len(layer.pretrained_variables) == fine_tune


def seen(layer, inputs):
    """What the module makes of inputs: the projection undone."""
    layer(inputs)
    layer.project.kernel.assign(np.eye(*layer.project.kernel.shape))
    return layer(inputs)


def test_a_text_module_reads_the_text_as_it_was_typed(handles):
    tokens = tokenizer_of("hub:anything").to_model([tf.constant(["Größe 7", ""])], length=12)
    assert tokens.numpy()[0, :4].tolist() == [ord("G") + 1, ord("r") + 1, ord("ö") + 1, ord("ß") + 1]
    # "Größe 7": 2 words, 5 + 1 letters of 7 + 1 bytes, since ö and ß have two each; the empty text is all padding.
    found = seen(encoder("text", handles["text"]), {"text_tokens": tokens})
    np.testing.assert_allclose(found[:, :2], [[2.0, 8.0], [0.0, 0.0]])
    assert not tokens.numpy()[1].any()


def test_a_clip_module_gets_frames_in_0_to_1(handles):
    pixels = np.zeros([1, 3, 8, 8, 3], np.uint8)
    pixels[0, 2] = [255, 51, 0]
    found = seen(encoder("video", handles["video"]), {"video_pixels": pixels, "video_present": np.array([[True] * 3])})
    np.testing.assert_allclose(found[0, :3], [2.0, 0.4, 0.0], atol=1e-5)


def test_a_sound_module_gets_the_wave_form(handles):
    samples = np.zeros([1, 2, 40], np.int16)
    samples[0, 0, :10] = -16_384
    found = seen(
        encoder("audio", handles["audio"]), {"audio_samples": samples, "audio_present": np.array([[True, False]])}
    )
    # A quarter of the samples at half of the range: mean 1/8, largest 1/2, times 2.
    np.testing.assert_allclose(found[0, :2], [0.25, 1.0], atol=1e-5)


def test_samples_are_those_of_the_file():
    wave = np.array([0, 1, -1, 32_767, -32_768], np.int16)
    sound = tf.audio.encode_wav(wave[:, np.newaxis].astype(np.float32) / 32_768.0, 16_000)
    found = audio.to_samples(tf.stack([[sound], [b""], [b"RIFFxxxxWAVEbroken"]]), wire=WireConfig(audio_ms=100))
    assert found.samples.shape == (3, 1, 1600)
    np.testing.assert_array_equal(found.samples[0, 0, :6], [*wave, 0])
    assert found.present.numpy()[:, 0].tolist() == [True, False, False]
    assert found.unreadable.numpy()[:, 0].tolist() == [False, False, True]


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_the_error_of_a_handle_that_does_not_load_has_the_remedy(handles, kind):
    with pytest.raises(ValueError, match=f"{kind.title()} encoder '/nowhere' cannot be used") as caught:
        encoder(kind, "/nowhere")
    assert "Give the folder of a SavedModel that takes" in str(caught.value)
    with pytest.raises(ValueError, match=f"{kind.title()} encoder .* cannot be used"):
        encoder(kind, handles["photo"])  # one that reads something else


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_an_exported_encoder_needs_the_handle_no_more(tmp_path, kind):
    handle = saved(MODULES[kind](), tmp_path / "module")
    layer = encoder(kind, handle)
    inputs = {name: tf.constant(values) for name, values in INPUTS[kind].items()}
    wanted = layer(inputs)
    exported = tf.Module()
    exported.layer = layer
    specs = {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype) for name, values in inputs.items()}
    exported.encode = tf.function(lambda given: layer(given), input_signature=[specs])
    tf.saved_model.save(exported, str(tmp_path / "exported"))
    (tmp_path / "module").rename(tmp_path / "gone")
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(loaded.encode(inputs), wanted, atol=1e-6)


def test_wire_form_reaches_the_modules_of_the_towers(handles, tmp_path):
    changes = {
        "tower.text.pretrained": f"hub:{handles['text']}",
        "tower.audio.pretrained": handles["audio"],
        "tower.vision.clip_pretrained": handles["video"],
    }
    config = override(tiny_shop.CONFIG, [f"{key}={value}" for key, value in changes.items()])
    tiny_shop.write_transform_graph(tmp_path)
    ops = ModelOps.load(config, tmp_path)
    frames = [fake_media.jpeg((200, 0, 0), width=16, height=16)] * 2
    item = {"item_id": "a", "title": "Red lamp", "video": frames, "audio": fake_media.tone(seconds=0.2)}
    wire = parse(
        tf.constant([serialize(item, sides=(Side.ITEM,), wire=config.wire)]), sides=[Side.ITEM], wire=config.wire
    )
    inputs = ops.item_model_inputs(wire)
    inputs.pop("status")
    out = build_model(config, num_subwords=len(ops.subwords)).encode_items(inputs)
    there = dict(zip(branches_of(Side.ITEM), out["weights"][0].numpy() > 0, strict=True))
    assert there[Modality.TEXT]
    assert there[Modality.VIDEO]
    assert there[Modality.AUDIO]
    assert not there[Modality.IMAGE]
