"""Precomputed embeddings: media and texts of items through a frozen pretrained encoder, batched and cached by content.

A vector depends on the wire form of its content and on the encoder alone, so it is cached under the hash of both:
unchanged content is never encoded twice, in one run or in the next. The encoder is the tower's own, so both give equal
vectors.
"""

import functools
import hashlib
import io
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from beam_preprocess import batches, sharded_writer
from beam_preprocess.outcomes import Count
from beam_preprocess.steps import OutcomeCollector
from trainer.spec.config import Config, override
from trainer.spec.feature_list import EMBEDDINGS, input_features
from trainer.spec.features import Modality, Side

_MAX_BATCH_SIZE = 64
_SHARD_DIGITS = 2
# Sizes of the configuration that the model inputs of a modality depend on.
_SIZES: dict[Modality, Callable[[Config], Sequence[int]]] = {
    Modality.TEXT: lambda config: [config.tower.text.max_item_tokens],
    Modality.IMAGE: lambda config: [config.wire.image_px],
    Modality.VIDEO: lambda config: [config.wire.num_frames, config.wire.frame_px],
    Modality.AUDIO: lambda config: [config.wire.audio_ms],
}
ShardedExample = tuple[int, sharded_writer.Sorted]
Keyed = tuple[str, tuple[str, bytes]]  # shard of the cache, (hash, content or vector)


def cached_counter(modality: Modality) -> str:
    """Returns the counter of contents of a modality that were encoded in an earlier run."""
    return f"{modality.value}_embeddings_known"


def encoded_counter(modality: Modality) -> str:
    """Returns the counter of contents of a modality that were encoded in this run."""
    return f"{modality.value}_embeddings_made"


class FrozenEncoder(ModelHandler[bytes, bytes, Any]):
    """Model handler of a frozen encoder: contents of one modality to vectors, as the float32 bytes of [features]."""

    def __init__(self, config: Config, modality: Modality) -> None:
        """Takes the encoder that the tower of this configuration has for the modality."""
        super().__init__(max_batch_size=_MAX_BATCH_SIZE)
        self.config = override(config, ["wire.num_images=1"])  # each photo is a content of its own
        self.modality = modality
        self.features = config.wire.precomputed_dim(modality)

    def load_model(self) -> Callable[[Sequence[bytes]], np.ndarray]:
        """Returns the function from contents to vectors, [batch, features] float32.

        Raises:
          ValueError: The encoder cannot be loaded, or gives vectors of another length than configured.
        """
        import tensorflow as tf

        from trainer.model.pretrained import pretrained_encoder
        from trainer.ops import examples
        from trainer.ops.blocks import pretrained_text

        config, modality = self.config, self.modality
        layer: Any = pretrained_encoder(config, modality)
        is_text = modality is Modality.TEXT
        tokenizer = pretrained_text.tokenizer_of(config.tower.text.pretrained) if is_text else None

        def encode(batch: Sequence[bytes]) -> np.ndarray:
            wire = examples.parse(tf.constant(list(batch)), sides=[Side.ITEM], wire=config.wire)
            if tokenizer:
                texts, length = examples.texts_of(wire, Side.ITEM), config.tower.text.max_item_tokens
                inputs = {"text_tokens": tokenizer.to_model(texts, length=length)}
            else:
                inputs = examples.media_model_inputs(wire, Side.ITEM, config).tensors
            return np.asarray(layer.raw_features(inputs), np.float32)

        given = encode([b""]).shape[1]
        if given != self.features:
            name = modality.value
            raise ValueError(
                f"The {name} encoder {config.tower.pretrained(modality)!r} gives vectors of {given} numbers; "
                f"wire.{name}_embedding_dim is {self.features}. Set it to {given}."
            )
        return encode

    def run_inference(
        self,
        batch: Sequence[bytes],
        model: Callable[[Sequence[bytes]], np.ndarray],
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[bytes]:
        """Returns the vectors of a batch."""
        del inference_args
        return [vector.tobytes() for vector in model(batch)]

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of Beam's metrics of batches."""
        return f"vitrine_{self.modality.value}"

    def identity(self) -> str:
        """Returns a hash of the encoder's files, or of its handle where it has none, and of the sizes of its inputs."""
        kind, _, address = self.config.tower.pretrained(self.modality).rpartition(":")
        sizes, root = [*_SIZES[self.modality](self.config), self.features], pathlib.Path(address)
        digest = hashlib.sha256(f"{self.modality.value} {kind} {sizes}\n".encode())
        if not root.exists():
            digest.update(address.encode())
        for path in sorted(path for path in (root, *root.rglob("*")) if path.is_file()):
            digest.update(f"{path.relative_to(root)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:24]


def contents(serialized: bytes, modality: Modality) -> list[bytes]:
    """Returns the contents of an item to encode, each a small Example: every photo, or all text; b"" where absent."""
    import tensorflow as tf

    given = tf.train.Example.FromString(serialized).features.feature
    parts = {source.name: given[source.name].bytes_list.value for source in input_features(Side.ITEM, modality)}
    if modality is Modality.IMAGE:
        pieces = [{name: [photo]} for name, photos in parts.items() for photo in photos]
    else:
        pieces = [parts]
    found = []
    for piece in pieces:
        example = tf.train.Example()
        for name, values in piece.items():
            example.features.feature[name].bytes_list.value[:] = values
        is_there = any(value for values in piece.values() for value in values)
        found.append(example.SerializeToString(deterministic=True) if is_there else b"")
    return found


class VectorCache:
    """Cache of vectors by the hash of their content, in one file for each first byte of it."""

    def __init__(self, directory: str) -> None:
        """Opens the cache in `directory`, local or remote; "" caches nothing."""
        self.directory = directory

    def read(self, shard: str) -> dict[str, bytes]:
        """Returns {hash: vector} of the hashes that begin with `shard`."""
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
        sharded_writer.write_file(self._path(shard), packed.getvalue())

    def _path(self, shard: str) -> str:
        return os.path.join(self.directory, f"{shard}.npz")


def with_embeddings(
    rows: beam.PCollection, modality: Modality, config: Config, outcomes: OutcomeCollector
) -> beam.PCollection:
    """Returns batches of item Examples (shard, (name, Example)) with the vectors of their contents of a modality.

    Raises:
      ValueError: The encoder cannot be used; it is tried here, before anything runs.
    """
    encoder, of = FrozenEncoder(config, modality), modality.value
    encoder.load_model()
    num_vectors = getattr(config.wire, EMBEDDINGS[modality]) // encoder.features
    cache = VectorCache(
        os.path.join(config.data.embedding_cache_dir, encoder.identity()) if config.data.embedding_cache_dir else ""
    )
    texts, keyed = Tuple[str, bytes], Tuple[str, AnyType]
    rows = rows | f"each item with {of}" >> beam.FlatMap(batches.rows_of).with_output_types(Tuple[int, AnyType])
    every = rows | f"{of} of items" >> beam.FlatMap(_named, modality=modality).with_output_types(keyed)
    copies = every | f"{of} by content" >> beam.GroupByKey()
    wanted = copies | f"wanted {of}" >> beam.FlatMapTuple(_wanted).with_output_types(keyed)
    once = copies | f"each {of} once" >> beam.MapTuple(_first_by_shard).with_output_types(keyed)
    shards = once | f"{of} by shard of content" >> beam.GroupByKey()
    shards = shards | f"{of} by shard, one by one" >> beam.Map(batches.single).with_output_types(batches.Batch)
    looked = outcomes.run(shards, f"look up {of}", functools.partial(look_up, cache=cache, modality=modality))
    looked = looked | f"each {of} looked up" >> beam.FlatMap(batches.rows_of).with_output_types(AnyType)
    before = looked | f"known {of}" >> beam.FlatMap(_known).with_output_types(texts)
    new = looked | f"new {of}" >> beam.FlatMap(_new).with_output_types(texts)
    made = new | f"encode {of}" >> RunInference(KeyedModelHandler(encoder))
    made = made | f"new vectors of {of}" >> beam.MapTuple(lambda name, vector: (name, vector)).with_output_types(texts)
    fresh = made | f"new vectors of {of} under shards" >> beam.MapTuple(_under_shard).with_output_types(keyed)
    together = fresh | f"new vectors of {of} by shard" >> beam.GroupByKey()
    _ = together | f"cache vectors of {of}" >> beam.MapTuple(lambda shard, vectors: cache.add(shard, dict(vectors)))
    vectors = (before, made) | f"all vectors of {of}" >> beam.Flatten()
    joined = {"wanted": wanted, "found": vectors} | f"join vectors of {of}" >> beam.CoGroupByKey()
    by_item = joined | f"{of} vectors by item" >> beam.FlatMap(_for_items).with_output_types(Tuple[bytes, AnyType])
    named = rows | f"items with {of}" >> beam.Map(lambda row: (row[1][0], row)).with_output_types(Tuple[bytes, AnyType])
    both = {"rows": named, "vectors": by_item} | f"join items with {of}" >> beam.CoGroupByKey()
    finish = functools.partial(_finished, name=EMBEDDINGS[modality], shape=(num_vectors, encoder.features))
    return both | f"with vectors of {of}" >> beam.Map(finish).with_output_types(batches.Batch)


def look_up(group: tuple[str, Iterable[tuple[str, bytes]]], *, cache: VectorCache, modality: Modality) -> Iterator[Any]:
    """Yields (hash, content, vector) of the contents of one shard; the vector is None where none is cached."""
    shard, found = group
    vectors = cache.read(shard)
    for name, content in found:
        yield Count(cached_counter(modality) if name in vectors else encoded_counter(modality))
        yield name, b"" if name in vectors else content, vectors.get(name)


def _named(row: ShardedExample, *, modality: Modality) -> list[tuple[str, tuple[bytes, int, bytes]]]:
    """(hash, (item, index, content)) of the contents of an item."""
    item, serialized = row[1]
    found = enumerate(contents(serialized, modality))
    return [(hashlib.sha256(content).hexdigest(), (item, index, content)) for index, content in found if content]


def _wanted(name: str, copies: Iterable[tuple[bytes, int, bytes]]) -> Iterator[tuple[str, tuple[bytes, int]]]:
    return ((name, (item, index)) for item, index, _ in copies)


def _first_by_shard(name: str, copies: Iterable[tuple[bytes, int, bytes]]) -> Keyed:
    return _under_shard(name, next(content for _, _, content in copies))


def _under_shard(name: str, value: bytes) -> Keyed:
    return name[:_SHARD_DIGITS], (name, value)


def _known(found: tuple[str, bytes, bytes | None]) -> list[tuple[str, bytes]]:
    return [] if found[2] is None else [(found[0], found[2])]


def _new(found: tuple[str, bytes, bytes | None]) -> list[tuple[str, bytes]]:
    return [(found[0], found[1])] if found[2] is None else []


def _for_items(joined: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    (vector,) = joined[1]["found"]
    for item, index in joined[1]["wanted"]:
        yield item, (index, vector)


def _finished(joined: tuple[bytes, Mapping[str, Iterable[Any]]], *, name: str, shape: tuple[int, int]) -> batches.Batch:
    """The Example of an item with a feature `name`: its vectors by index, zeros for absent contents."""
    import tensorflow as tf

    placed = np.zeros(shape, np.float32)
    for index, vector in joined[1]["vectors"]:
        placed[index] = np.frombuffer(vector, np.float32)
    rows = batches.Batch()
    for shard, (item, serialized) in joined[1]["rows"]:
        example = tf.train.Example.FromString(serialized)
        example.features.feature[name].float_list.value[:] = placed.ravel().tolist()
        rows.append((shard, (item, example.SerializeToString(deterministic=True))))
    return rows
