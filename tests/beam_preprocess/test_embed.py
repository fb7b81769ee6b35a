"""Photos encoded in preprocessing: once, by content, and with the vectors that the tower would compute itself."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from beam_preprocess import embed, pipeline
from beam_preprocess.sources import open_source
from tests.beam_preprocess.little_shop import read_examples, write_shop
from tests.support import fake_media, tiny_shop
from tests.support.hub_modules import MOBILENET, MeanColour, saved
from trainer.model.build import build_model
from trainer.nn.encoders.pretrained_image import PretrainedImageEncoder
from trainer.ops import image
from trainer.ops.examples import ModelOps, parse
from trainer.spec.config import Config, override
from trainer.spec.features import Side
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
    values = {"wire.images": 2, "wire.image_features": 3, "tower.vision.pretrained": handle, **more}
    return override(tiny(), [f"{key}={json.dumps(value)}" for key, value in values.items()])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    media = {name: fake_media.jpeg(colour) for name, colour in (("a.jpg", (200, 10, 30)), ("b.jpg", (0, 90, 250)))}
    return write_shop(tmp_path_factory.mktemp("shop"), catalog=CATALOG, media={**media, "copy.jpg": media["a.jpg"]})


def ingest(shop, config, folder):
    return pipeline.ingest_items(
        open_source(shop), config=config, output_dir=folder / "items", dead_letter_path=folder / "letters"
    )


def test_an_unchanged_photo_is_never_encoded_twice(shop, handle, tmp_path):
    config = config_of(handle, **{"data.embeddings": str(tmp_path / "kept")})
    first = ingest(shop, config, tmp_path).counts
    assert (first[embed.ENCODED], first.get(embed.KNOWN, 0)) == (2, 0)  # three photos, two of them the same
    rows = {row["item_id"][0]: row for row in read_examples(tmp_path / "items")}
    again = ingest(shop, config, tmp_path).counts
    assert (again.get(embed.ENCODED, 0), again[embed.KNOWN]) == (0, 2)
    assert {row["item_id"][0]: row for row in read_examples(tmp_path / "items")} == rows
    other = shutil.copytree(shop, tmp_path / "other")
    (other / "b.jpg").write_bytes(fake_media.jpeg((1, 2, 3)))
    changed = ingest(other, config, tmp_path).counts
    assert (changed[embed.ENCODED], changed[embed.KNOWN]) == (1, 1)
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
    made = image.embeddings_to_model(tf.constant([row["image_embeddings"]]), wire=config.wire)
    inside = encoder.all_features(inputs, training=False)
    np.testing.assert_allclose(tf.reshape(made["image_embeddings"], inside.shape), inside, atol=1e-5)
    np.testing.assert_allclose(encoder({**inputs, **made}), encoder(inputs), atol=1e-5)
    only_first = {"image_embeddings": made["image_embeddings"] * [[[1.0], [0.0]]]}  # the other is encoded in the tower
    np.testing.assert_allclose(encoder({**inputs, **only_first}), encoder(inputs), atol=1e-5)


def same_item_vectors(folder, config):
    """The whole item tower on what was written, with the vectors of photos and without them."""
    tiny_shop.write_transform_graph(folder)
    ops = ModelOps.load(config, folder)
    files = sorted(str(path) for path in (folder / "items").glob("*.tfrecord"))
    (serialized,) = tf.data.TFRecordDataset(files).batch(8)
    inputs = dict(ops.item_model_inputs(parse(serialized, sides=[Side.ITEM], wire=config.wire)))
    inputs.pop("status")
    model = build_model(config, num_subwords=len(ops.subwords))
    found = model.encode_items(inputs)["vector"]
    assert "image_embeddings" in inputs
    inside = model.encode_items({name: values for name, values in inputs.items() if name != "image_embeddings"})
    np.testing.assert_allclose(found, inside["vector"], atol=1e-5)


def test_what_was_made_before_is_not_looked_at_again(handle):
    encoder = PretrainedImageEncoder(handle=handle, px=8, fine_tune=False, dim=4, dropout=0.0)
    blank = {"image_pixels": np.zeros([1, 1, 8, 8, 3], np.uint8), "image_present": np.array([[True]])}
    given = encoder.all_features({**blank, "image_embeddings": tf.constant([[[3.0, 1.0, 2.0]]])}, training=False)
    np.testing.assert_array_equal(given, [[3.0, 1.0, 2.0]])


def test_an_encoder_that_cannot_be_used_stops_the_run_before_it_begins(shop, handle, tmp_path):
    with pytest.raises(ValueError, match="Image encoder '/nowhere' cannot be used with photos of 32 pixels") as caught:
        ingest(shop, config_of("/nowhere"), tmp_path)
    assert "Give the folder of a SavedModel" in str(caught.value)
    with pytest.raises(ValueError, match=r"gives \(1, 3\) for one photo; wire.image_features wants \(1, 5\)"):
        ingest(shop, config_of(handle, **{"wire.image_features": 5}), tmp_path)
    assert not (tmp_path / "items").exists()


@pytest.mark.parametrize(
    "change", [{"tower.vision.fine_tune": True}, {"tower.vision.pretrained": ""}, {"tower.vision.flip": True}]
)
def test_only_a_frozen_module_can_run_in_preprocessing(handle, change):
    with pytest.raises(ValueError, match="tower.vision.pretrained must then be a TF-Hub handle, with fine_tune, flip"):
        config_of(handle, **change)


def test_an_encoder_is_named_by_what_it_is(handle, tmp_path):
    encoder = embed.encoder_of(config_of(handle))
    copy = shutil.copytree(handle, tmp_path / "copy")
    assert embed.encoder_id(embed.encoder_of(config_of(str(copy)))) == embed.encoder_id(encoder)
    (copy / "saved_model.pb").write_bytes(b"another")
    assert embed.encoder_id(embed.encoder_of(config_of(str(copy)))) != embed.encoder_id(encoder)
    larger = dataclasses.replace(config_of(handle).wire, image_px=64)
    assert embed.encoder_id(embed.encoder_of(dataclasses.replace(config_of(handle), wire=larger))) != (
        embed.encoder_id(encoder)
    )


@pytest.mark.skipif(not MOBILENET.exists(), reason="the public data is not here")
def test_the_real_mobilenet_gives_the_vectors_of_the_tower(tmp_path):
    encoder = embed.FrozenEncoder(str(MOBILENET), px=64, features=1024)
    photos = [fake_media.jpeg((40, 90, 140)), fake_media.jpeg((250, 0, 9))]
    made = np.stack([np.frombuffer(v, np.float32) for v in encoder.run_inference(photos, encoder.load_model())])
    inside = PretrainedImageEncoder(handle=str(MOBILENET), px=64, fine_tune=False, dim=4, dropout=0.0)
    np.testing.assert_allclose(made, inside.seen(image.to_model(tf.constant(photos), px=64).pixels, False), atol=1e-5)
