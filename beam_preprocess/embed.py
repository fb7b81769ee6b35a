"""Photos through a frozen pretrained encoder, batched by RunInference, and kept by content.

A photo's vector depends on its wire form and on the encoder alone, so it is kept under the hash of both: a photo that
did not change is never encoded twice, in one run or in the next.
"""

import functools
import hashlib
import io
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads
from beam_preprocess import writing
from beam_preprocess.outcomes import Count
from beam_preprocess.stages import Ledger
from trainer.spec.config import Config
from trainer.spec.features import IMAGE_EMBEDDINGS, Modality, Side, features_of

KNOWN, ENCODED = "photos_known", "photos_encoded"
_MOST_AT_ONCE = 64
_SHARD_DIGITS = 2
_HOW = (
    "Give the folder of a SavedModel that takes [batch, height, width, 3] float32 in 0 to 1 and gives "
    "[batch, features], or a TF-Hub address that every worker can reach, and set wire.image_features to the number of "
    "features."
)
Row = tuple[int, writing.Sorted]


class FrozenEncoder(ModelHandler[bytes, bytes, Any]):
    """Photos in wire form to vectors, as the float32 bytes of [features]."""

    def __init__(self, handle: str, *, px: int, features: int) -> None:
        """Takes a TF-Hub handle, the side of a photo in pixels and the length that its vectors must have."""
        super().__init__(max_batch_size=_MOST_AT_ONCE)
        self.handle = handle
        self.px = px
        self.features = features

    def load_model(self) -> Any:
        """The module as a function of photos in 0 to 1.

        Raises:
          ValueError: It cannot be loaded, or gives something else than vectors of the length that was announced.
        """
        import tensorflow as tf
        import tensorflow_hub as hub

        try:
            layer = hub.KerasLayer(self.handle, trainable=False)
            shape = tuple(layer(tf.zeros([1, self.px, self.px, 3]), training=False).shape)
        except Exception as error:  # hub raises whatever its file systems and graphs do
            first = (str(error).strip().splitlines() or [""])[0][:300]
            raise ValueError(
                f"Image encoder {self.handle!r} cannot be used with photos of {self.px} pixels: "
                f"{type(error).__name__}: {first}. {_HOW}"
            ) from error
        if shape != (1, self.features):
            raise ValueError(
                f"Image encoder {self.handle!r} gives {shape} for one photo; wire.image_features wants "
                f"{(1, self.features)}. {_HOW}"
            )
        return functools.partial(layer, training=False)

    def run_inference(
        self, batch: Sequence[bytes], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        """The vectors of a batch; the pixels are those that the tower sees."""
        import tensorflow as tf

        from trainer.ops import image

        del inference_args
        pixels = image.to_model(tf.constant(list(batch)), px=self.px).pixels
        vectors = np.asarray(model(tf.cast(pixels, tf.float32) / 255.0), np.float32)
        return [vector.tobytes() for vector in vectors]

    def get_metrics_namespace(self) -> str:
        """Where Beam counts its batches."""
        return "vitrine_photos"


def encoder_of(config: Config) -> FrozenEncoder:
    """The encoder that the configuration names."""
    return FrozenEncoder(config.tower.vision.pretrained, px=config.wire.image_px, features=config.wire.image_features)


def encoder_id(encoder: FrozenEncoder) -> str:
    """Names an encoder by its content, where it is a folder, else by its handle; and the size of photos."""
    digest = hashlib.sha256(f"{encoder.px} {encoder.features}\n".encode())
    folder = pathlib.Path(encoder.handle)
    if not folder.is_dir():
        digest.update(encoder.handle.encode())
    else:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(folder)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


class Vectors:
    """Vectors of photos by the hash of their bytes, kept in one file for each first byte of it."""

    def __init__(self, directory: str) -> None:
        """Keeps them in `directory`, local or remote; "" keeps nothing."""
        self.directory = directory

    def read(self, shard: str) -> dict[str, bytes]:
        """{hash: vector} of the hashes that begin with `shard`."""
        path = self._path(shard)
        if not self.directory or not FileSystems.exists(path):
            return {}
        with FileSystems.open(path) as file:
            arrays = np.load(io.BytesIO(file.read()), allow_pickle=False)
            names, vectors = arrays["names"].tolist(), arrays["vectors"]
        return {name: vector.tobytes() for name, vector in zip(names, vectors, strict=True)}

    def add(self, shard: str, vectors: Mapping[str, bytes]) -> None:
        """Adds vectors; the file is written aside and renamed, so that it can be done again."""
        if not self.directory or not vectors:
            return
        everything = {**self.read(shard), **vectors}
        names = sorted(everything)
        packed = io.BytesIO()
        stacked = np.stack([np.frombuffer(everything[name], np.float32) for name in names])
        np.savez(packed, allow_pickle=False, names=np.array(names), vectors=stacked)
        writing.write_file(self._path(shard), packed.getvalue())

    def _path(self, shard: str) -> str:
        return os.path.join(self.directory, f"{shard}.npz")


def with_embeddings(rows: beam.PCollection, config: Config, ledger: Ledger) -> beam.PCollection:
    """Item Examples (shard, (name, Example)) with the vectors of their photos.

    Raises:
      ValueError: The encoder cannot be used; it is tried here, before anything runs.
    """
    encoder = encoder_of(config)
    encoder.load_model()
    kept = Vectors(os.path.join(config.data.embeddings, encoder_id(encoder)) if config.data.embeddings else "")
    texts, keyed = Tuple[str, bytes], Tuple[str, AnyType]
    photos = rows | "photos" >> beam.FlatMap(_photos).with_output_types(texts)
    copies = photos | "photos by content" >> beam.GroupByKey()
    once = copies | "each photo once" >> beam.MapTuple(_first_by_shard).with_output_types(keyed)
    shards = once | "by shard of content" >> beam.GroupByKey()
    looked = ledger.run(shards, "look up photos", functools.partial(look_up, kept=kept))
    known = looked | "known photos" >> beam.FlatMap(_known).with_output_types(texts)
    new = looked | "new photos" >> beam.FlatMap(_new).with_output_types(texts)
    made = new | "encode photos" >> RunInference(KeyedModelHandler(encoder))
    made = made | "new vectors" >> beam.MapTuple(lambda name, vector: (name, vector)).with_output_types(texts)
    fresh = made | "new vectors under shards" >> beam.MapTuple(_under_shard).with_output_types(keyed)
    together = fresh | "new vectors by shard" >> beam.GroupByKey()
    _ = together | "keep vectors" >> beam.MapTuple(lambda shard, vectors: kept.add(shard, dict(vectors)))
    every = (known, made) | "all vectors" >> beam.Flatten()
    wanted = rows | "wanted photos" >> beam.FlatMap(_wanted).with_output_types(Tuple[str, bytes])
    joined = {"wanted": wanted, "found": every} | "join vectors" >> beam.CoGroupByKey()
    vectors = joined | "vectors by item" >> beam.FlatMap(_for_items).with_output_types(Tuple[bytes, AnyType])
    named = rows | "items by name" >> beam.Map(lambda row: (row[1][0], row)).with_output_types(Tuple[bytes, AnyType])
    both = {"rows": named, "vectors": vectors} | "join items" >> beam.CoGroupByKey()
    return both | "with vectors" >> beam.FlatMap(_finished, features=config.wire.image_features).with_output_types(
        Tuple[int, AnyType]
    )


def look_up(group: tuple[str, Iterable[tuple[str, bytes]]], *, kept: Vectors) -> Iterator[Any]:
    """(hash, photo, vector) of the photos of one shard; the vector is None where none is kept."""
    shard, photos = group
    known = kept.read(shard)
    for name, photo in photos:
        yield Count(KNOWN if name in known else ENCODED)
        yield name, b"" if name in known else photo, known.get(name)


def _first_by_shard(name: str, photos: Iterable[bytes]) -> tuple[str, tuple[str, bytes]]:
    return _under_shard(name, next(iter(photos)))


def _under_shard(name: str, value: bytes) -> tuple[str, tuple[str, bytes]]:
    return name[:_SHARD_DIGITS], (name, value)


def _known(found: tuple[str, bytes, bytes | None]) -> list[tuple[str, bytes]]:
    return [] if found[2] is None else [(found[0], found[2])]


def _new(found: tuple[str, bytes, bytes | None]) -> list[tuple[str, bytes]]:
    return [(found[0], found[1])] if found[2] is None else []


def _images(serialized: bytes) -> list[bytes]:
    import tensorflow as tf

    photos, *_ = features_of(Side.ITEM, Modality.IMAGE)
    return list(tf.train.Example.FromString(serialized).features.feature[photos.name].bytes_list.value)


def _photos(row: Row) -> list[tuple[str, bytes]]:
    return [(hashlib.sha256(photo).hexdigest(), photo) for photo in _images(row[1][1]) if photo]


def _wanted(row: Row) -> list[tuple[str, bytes]]:
    return sorted({(name, row[1][0]) for name, _ in _photos(row)})


def _for_items(joined: tuple[str, Mapping[str, Iterable[bytes]]]) -> Iterator[tuple[bytes, tuple[str, bytes]]]:
    name, found = joined
    (vector,) = found["found"]
    for item in found["wanted"]:
        yield item, (name, vector)


def _finished(joined: tuple[bytes, Mapping[str, Iterable[Any]]], *, features: int) -> Iterator[Row]:
    """The Example of an item with the vectors of its photos in their order; zeros where there is no photo."""
    import tensorflow as tf

    vectors = dict(joined[1]["vectors"])
    for shard, (name, serialized) in joined[1]["rows"]:
        blank = bytes(4 * features)
        placed = [vectors[hashlib.sha256(photo).hexdigest()] if photo else blank for photo in _images(serialized)]
        example = tf.train.Example.FromString(serialized)
        target = example.features.feature[IMAGE_EMBEDDINGS].float_list.value
        target[:] = np.frombuffer(b"".join(placed), np.float32).tolist()
        yield shard, (name, example.SerializeToString(deterministic=True))
