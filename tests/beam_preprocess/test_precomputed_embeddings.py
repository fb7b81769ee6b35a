"""Encoders in preprocessing: once for each content, with the vectors that the tower would compute itself."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from beam_preprocess import pipeline, precomputed_embeddings
from beam_preprocess.sources import open_source
from tests.beam_preprocess.little_shop import read_examples, write_shop
from tests.support import fake_media, presets, tiny_shop
from tests.support.hub_modules import MOBILENET, ColourChange, Loudness, MeanColour, saved
from trainer.model.build import build_model
from trainer.nn.encoders.pretrained_image import PretrainedImageEncoder
from trainer.ops import image
from trainer.ops.blocks import embeddings
from trainer.ops.examples import ModelOps, parse
from trainer.spec.config import Config, override
from trainer.spec.feature_list import EMBEDDINGS
from trainer.spec.features import Modality, Side
from trainer.spec.presets import tiny

CATALOG = [
    {"item_id": "cup", "title": "Cup", "images": ["a.jpg", "b.jpg"]},
    {"item_id": "mug", "title": "Mug", "images": ["copy.jpg"]},  # the same photo as the cup's first
    {"item_id": "pan", "title": "Pan"},
]


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return saved(MeanColour(), tmp_path_factory.mktemp("hub") / "mean")


def config_of(handle, **more) -> Config:
    values = {"wire.num_images": 2, "wire.image_embedding_dim": 3, "tower.vision.pretrained": handle, **more}
    return override(tiny(), [f"{key}={json.dumps(value)}" for key, value in values.items()])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    media = {name: fake_media.jpeg(colour) for name, colour in (("a.jpg", (200, 10, 30)), ("b.jpg", (0, 90, 250)))}
    return write_shop(tmp_path_factory.mktemp("shop"), catalog=CATALOG, media={**media, "copy.jpg": media["a.jpg"]})


def ingest(shop, config, folder):
    return pipeline.ingest_items(
        open_source(shop), config=config, output_dir=folder / "items", dead_letter_path=folder / "letters"
    )


def encoded_and_known(counts, modality=Modality.IMAGE):
    return counts.get(precomputed_embeddings.encoded_counter(modality), 0), counts.get(
        precomputed_embeddings.cached_counter(modality), 0
    )


def test_an_unchanged_photo_is_never_encoded_twice(shop, handle, tmp_path):
    config = config_of(handle, **{"data.embedding_cache_dir": str(tmp_path / "kept")})
    first = ingest(shop, config, tmp_path).counts
    assert encoded_and_known(first) == (2, 0)  # three photos, two of them the same
    rows = {row["item_id"][0]: row for row in read_examples(tmp_path / "items")}
    again = ingest(shop, config, tmp_path).counts
    assert encoded_and_known(again) == (0, 2)
    assert {row["item_id"][0]: row for row in read_examples(tmp_path / "items")} == rows
    other = shutil.copytree(shop, tmp_path / "other")
    (other / "b.jpg").write_bytes(fake_media.jpeg((1, 2, 3)))
    changed = ingest(other, config, tmp_path).counts
    assert encoded_and_known(changed) == (1, 1)
    vectors = {name: np.reshape(row["image_embeddings"], [2, 3]) for name, row in rows.items()}
    np.testing.assert_array_equal(vectors[b"mug"][0], vectors[b"cup"][0])
    np.testing.assert_array_equal(vectors[b"mug"][1], 0.0)
    np.testing.assert_array_equal(vectors[b"pan"], 0.0)
    same_as_in_the_tower(rows[b"cup"], config)
    same_item_vectors(tmp_path, config)


def same_as_in_the_tower(row, config):
    encoder = PretrainedImageEncoder(
        handle=config.tower.vision.pretrained, px=config.wire.image_px, fine_tune=False, dim=4, dropout=0.0
    )
    photos = image.to_model(tf.constant([row["images"]]), px=config.wire.image_px)
    inputs = {"image_pixels": photos.pixels, "image_present": photos.present}
    wire = {EMBEDDINGS[Modality.IMAGE]: tf.constant([row["image_embeddings"]])}
    made = embeddings.to_model(wire, sizes=config.wire)
    inside = encoder.raw_features(inputs)
    np.testing.assert_allclose(tf.reshape(made["image_embeddings"], inside.shape), inside, atol=1e-5)
    np.testing.assert_allclose(encoder({**inputs, **made}), encoder(inputs), atol=1e-5)
    only_first = {"image_embeddings": made["image_embeddings"] * [[[1.0], [0.0]]]}  # the other is encoded in the tower
    np.testing.assert_allclose(encoder({**inputs, **only_first}), encoder(inputs), atol=1e-5)


def same_item_vectors(folder, config):
    """The whole item tower on what was written, with the vectors that were made before and without them."""
    tiny_shop.write_transform_graph(folder)
    ops = ModelOps.load(config, folder)
    files = sorted(str(path) for path in (folder / "items").glob("*.tfrecord"))
    (serialized,) = tf.data.TFRecordDataset(files).batch(8)
    inputs = dict(ops.item_model_inputs(parse(serialized, sides=[Side.ITEM], wire=config.wire)))
    inputs.pop("status")
    model = build_model(config, num_subwords=len(ops.subwords))
    found = model.encode_items(inputs)["vector"]
    assert {EMBEDDINGS[modality] for modality in config.embedded} <= set(inputs)
    inside = model.encode_items({name: value for name, value in inputs.items() if name not in EMBEDDINGS.values()})
    np.testing.assert_allclose(found, inside["vector"], atol=1e-5)


@pytest.mark.slow  # importing KerasNLP takes long
def test_texts_clips_and_sounds_are_encoded_once_too(tmp_path):
    media = {"a.mp4": fake_media.clip(fake_media.grey_steps), "a.wav": fake_media.tone()}
    rows = [
        {"item_id": "cup", "title": "Red cup", "video": "a.mp4", "audio": "a.wav"},
        {"item_id": "mug", "title": "Red cup"},  # the same text as the cup
        {"item_id": "pan", "title": "Pan", "description": "Red cup"},
    ]
    shop = write_shop(tmp_path / "shop", catalog=rows, media=media)
    config = config_of(
        "",
        **{"wire.image_embedding_dim": 0, "data.embedding_cache_dir": str(tmp_path / "kept")},
        **{"wire.text_embedding_dim": 2 * presets.WIDTH, "tower.text.pretrained": presets.bert(tmp_path / "bert")},
        **{"wire.video_embedding_dim": 3, "tower.vision.clip_pretrained": saved(ColourChange(), tmp_path / "clips")},
        **{"wire.audio_embedding_dim": 2, "tower.audio.pretrained": saved(Loudness(), tmp_path / "sounds")},
    )
    counts = ingest(shop, config, tmp_path).counts
    assert encoded_and_known(counts, Modality.TEXT) == (2, 0)
    assert encoded_and_known(counts, Modality.VIDEO) == encoded_and_known(counts, Modality.AUDIO) == (1, 0)
    found = {row["item_id"][0]: row for row in read_examples(tmp_path / "items")}
    np.testing.assert_array_equal(found[b"mug"]["text_embedding"], found[b"cup"]["text_embedding"])
    assert found[b"pan"]["text_embedding"] != found[b"cup"]["text_embedding"]
    assert not np.any(found[b"pan"]["video_embedding"])
    assert np.any(found[b"cup"]["audio_embedding"])
    again = ingest(shop, config, tmp_path).counts
    assert encoded_and_known(again, Modality.TEXT) == (0, 2)
    assert encoded_and_known(again, Modality.VIDEO) == encoded_and_known(again, Modality.AUDIO) == (0, 1)
    same_item_vectors(tmp_path, config)


def test_a_precomputed_vector_is_not_computed_again(handle):
    encoder = PretrainedImageEncoder(handle=handle, px=8, fine_tune=False, dim=4, dropout=0.0)
    blank = {"image_pixels": np.zeros([1, 1, 8, 8, 3], np.uint8), "image_present": np.array([[True]])}
    given = encoder.raw_features({**blank, "image_embeddings": tf.constant([[[3.0, 1.0, 2.0]]])})
    np.testing.assert_array_equal(given, [[3.0, 1.0, 2.0]])


def test_an_encoder_that_cannot_be_used_stops_the_run_before_it_begins(shop, handle, tmp_path):
    with pytest.raises(ValueError, match="Image encoder '/nowhere' cannot be used with photos of 32 pixels") as caught:
        ingest(shop, config_of("/nowhere"), tmp_path)
    assert "Give the folder of a SavedModel" in str(caught.value)
    with pytest.raises(ValueError, match=r"gives vectors of 3 numbers; wire.image_embedding_dim is 5. Set it to 3."):
        ingest(shop, config_of(handle, **{"wire.image_embedding_dim": 5}), tmp_path)
    assert not (tmp_path / "items").exists()


@pytest.mark.parametrize(
    "change", [{"tower.vision.fine_tune": True}, {"tower.vision.pretrained": ""}, {"tower.vision.random_flip": True}]
)
def test_only_a_frozen_encoder_can_run_in_preprocessing(handle, change):
    with pytest.raises(ValueError, match="tower.vision.pretrained must then name an encoder that is not trained"):
        config_of(handle, **change)


def identity(config):
    return precomputed_embeddings.FrozenEncoder(config, Modality.IMAGE).identity()


def test_an_encoder_is_named_by_what_it_is(handle, tmp_path):
    named = identity(config_of(handle))
    copy = shutil.copytree(handle, tmp_path / "copy")
    assert identity(config_of(str(copy))) == named
    (copy / "saved_model.pb").write_bytes(b"another")
    assert identity(config_of(str(copy))) != named
    assert identity(config_of(handle, **{"wire.image_px": 64})) != named
    assert identity(config_of("https://example.com/encoder")) != identity(config_of("https://example.com/other"))


@pytest.mark.skipif(not MOBILENET.exists(), reason="the public data is not here")
def test_the_real_mobilenet_gives_the_vectors_of_the_tower(tmp_path):
    config = config_of(str(MOBILENET), **{"wire.image_px": 64, "wire.image_embedding_dim": 1024})
    encoder = precomputed_embeddings.FrozenEncoder(config, Modality.IMAGE)
    photos = [fake_media.jpeg((40, 90, 140)), fake_media.jpeg((250, 0, 9))]
    items = [
        tf.train.Example(features={"feature": {"images": {"bytes_list": {"value": [photo]}}}}).SerializeToString()
        for photo in photos
    ]
    batch = [content for item in items for content in precomputed_embeddings.contents(item, Modality.IMAGE)]
    made = np.stack([np.frombuffer(v, np.float32) for v in encoder.run_inference(batch, encoder.load_model())])
    inside = PretrainedImageEncoder(handle=str(MOBILENET), px=64, fine_tune=False, dim=4, dropout=0.0)
    np.testing.assert_allclose(
        made, inside.photo_features(image.to_model(tf.constant(photos), px=64).pixels, False), atol=1e-5
    )
