"""Item Examples to what a catalogue keeps of them, through the item tower where it is not known yet."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from serving.similarity import Similarity
from serving.towers import LoadedTowers, query_specs
from trainer.ops.example_reader import matching_files, serialized_batches
from trainer.ops.examples import axis_lengths, parse
from trainer.spec.branches import branches_of, content_features
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of, input_features
from trainer.spec.features import Dtype, Modality, Side
from trainer.spec.serving.signatures import TowerOutput

RELATIONS = ("relation_ids", "relation_types")
COLUMNS = ("title", "description", "attributes", "category", "brand", "price", "currency", "in_stock")
_NUMBER_DTYPES = {Dtype.FLOAT: np.float32, Dtype.INT: np.int64}
_BATCH_SIZE = 64
_MAX_TITLE_QUERIES = 400
_TITLE_QUERY_WORDS = 3
Wire = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedItems:
    """Items as they were read, in the order of the files.

    Attributes:
      ids: [n] item ids.
      group_ids: [n] group ids.
      columns: {name of `COLUMNS`: [n] or [n, entry]}.
      relations: {name of `RELATIONS`: [n, relation]}.
      tower_hashes: [n, 32] uint8, SHA-256 of what the item tower reads of each item.
      is_encoded: [n] bool, True for the items that went through the tower.
      branches: [encoded, branch, dim] float32, for those; the changing ones are absent.
      contents: [encoded, branch, dim] float32, what `embed_day` reads of them.
      items_id: SHA-256 of all Examples, in any order.
    """

    ids: list[bytes]
    group_ids: list[bytes]
    columns: Mapping[str, np.ndarray]
    relations: Mapping[str, np.ndarray]
    tower_hashes: np.ndarray
    is_encoded: np.ndarray
    branches: np.ndarray
    contents: np.ndarray
    items_id: str


def encode_items(
    towers: LoadedTowers, items_pattern: str, *, is_known: Callable[[bytes, bytes], bool] = lambda name, digest: False
) -> EncodedItems:
    """Reads item Examples and encodes those that are not known.

    Args:
      towers: Their item tower.
      items_pattern: Glob of TFRecord files of item Examples.
      is_known: Whether the branch vectors are known already, by item id and tower hash.

    Raises:
      ValueError: No file matches, or the towers' vectors are not the sum of their branches.
    """
    ids: list[bytes] = []
    group_ids: list[bytes] = []
    digests: list[bytes] = []
    prints: list[bytes] = []
    is_encoded: list[bool] = []
    columns = {name: [nothing] for name, nothing in absent_columns(0, towers.config.wire, RELATIONS + COLUMNS).items()}
    tower = _ItemTower(towers)
    for serialized in _batches(items_pattern):
        parsed = parse(serialized, sides=[Side.ITEM], wire=towers.config.wire)
        wire = {name: values.numpy() for name, values in parsed.items()}
        hashes = tower_hashes(wire)
        fresh = [not is_known(*pair) for pair in zip(wire["item_id"].tolist(), hashes, strict=True)]
        tower.add({feature.name: wire[feature.name][fresh] for feature in content_features()})
        ids += wire["item_id"].tolist()
        group_ids += wire["group_id"].tolist()
        digests += hashes
        is_encoded += fresh
        prints += [hashlib.sha256(example).digest() for example in serialized.numpy()]
        for name, parts in columns.items():
            parts.append(wire[name])
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    branches, contents = tower.finish()
    return EncodedItems(
        ids=ids,
        group_ids=group_ids,
        columns={name: joined[name] for name in COLUMNS},
        relations={name: joined[name] for name in RELATIONS},
        tower_hashes=np.frombuffer(b"".join(digests), np.uint8).reshape(len(ids), -1 if ids else 32),
        is_encoded=np.array(is_encoded, bool),
        branches=branches,
        contents=contents,
        items_id=hashlib.sha256(b"".join(sorted(prints))).hexdigest(),
    )


def title_queries(towers: LoadedTowers, titles: Sequence[bytes]) -> np.ndarray:
    """[query, dim] float32: what a search for the first words of some titles is to the query tower; none empty."""
    (text,) = input_features(Side.QUERY, Modality.TEXT)
    named = [title for title in titles if title]
    words = [
        b" ".join(title.split()[:_TITLE_QUERY_WORDS]) for title in named[:: max(1, len(named) // _MAX_TITLE_QUERIES)]
    ]
    found = [np.zeros([0, towers.config.tower.dim], np.float32)]
    for start in range(0, len(words), _BATCH_SIZE):
        batch = words[start : start + _BATCH_SIZE]
        inputs = {
            name: tf.zeros([len(batch), *spec.shape[1:]], spec.dtype)
            for name, spec in query_specs(towers.config).items()
        }
        inputs[text.name] = tf.constant(batch)
        found.append(towers.module.embed_query(inputs)[TowerOutput.VECTOR.value].numpy())
    vectors = np.concatenate(found)
    return vectors[np.isfinite(vectors).all(axis=1) & (np.linalg.norm(vectors, axis=1) > 1e-6)]


def absent_columns(
    num_items: int, wire: WireConfig | None = None, names: Sequence[str] = COLUMNS
) -> dict[str, np.ndarray]:
    """The columns of `num_items` items that say nothing about themselves."""
    features = {feature.name: feature for feature in features_of(Side.ITEM)}
    return {
        name: np.full(
            [num_items, *axis_lengths(features[name], wire or WireConfig())],
            features[name].default,
            _NUMBER_DTYPES.get(features[name].dtype, object),
        )
        for name in names
    }


def tower_hashes(wire: Mapping[str, np.ndarray]) -> list[bytes]:
    """SHA-256 of each item's features that the item tower reads, in wire form, with those of its relations."""
    digests = [hashlib.sha256() for _ in range(len(wire["item_id"]))]
    for feature in features_of(Side.ITEM):
        if feature.modality is None:
            continue
        values = wire[feature.name]
        for digest, value in zip(digests, values.reshape(len(values), -1).tolist(), strict=True):
            for part in value:
                raw = part if isinstance(part, bytes) else repr(part).encode()
                digest.update(len(raw).to_bytes(8, "little") + raw)
    return [digest.digest() for digest in digests]


class _ItemTower:
    """The item tower, fed in full batches."""

    def __init__(self, towers: LoadedTowers) -> None:
        self._embed = towers.module.embed_item
        self._unit_length = Similarity(towers).unit_length
        self._waiting: list[Wire] = []
        self._branches = [np.zeros([0, len(branches_of(Side.ITEM)), towers.config.tower.dim], np.float32)]
        self._contents = list(self._branches)

    def add(self, wire: Wire) -> None:
        self._waiting.append(wire)
        if sum(len(batch["title"]) for batch in self._waiting) >= _BATCH_SIZE:
            self._encode_full_batches()

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Branches and contents of everything that was added."""
        self._encode_full_batches()
        if self._waiting and len(self._waiting[0]["title"]):
            self._encode(self._waiting[0])
        return np.concatenate(self._branches), np.concatenate(self._contents)

    def _encode_full_batches(self) -> None:
        if not self._waiting:
            return
        wire = {name: np.concatenate([batch[name] for batch in self._waiting]) for name in self._waiting[0]}
        full = len(wire["title"]) // _BATCH_SIZE * _BATCH_SIZE
        for start in range(0, full, _BATCH_SIZE):
            self._encode({name: values[start : start + _BATCH_SIZE] for name, values in wire.items()})
        self._waiting = [{name: values[full:] for name, values in wire.items()}]

    def _encode(self, wire: Wire) -> None:
        outputs = self._embed({name: tf.constant(values, _dtype_of(values)) for name, values in wire.items()})
        branches = outputs[TowerOutput.BRANCHES.value].numpy()
        _check_sum(outputs[TowerOutput.VECTOR.value].numpy(), branches, unit_length=self._unit_length)
        self._branches.append(branches)
        self._contents.append(outputs[TowerOutput.ENCODED.value].numpy())


def _dtype_of(values: np.ndarray) -> tf.DType:
    return tf.string if values.dtype == object else tf.as_dtype(values.dtype)


def _batches(items_pattern: str) -> Iterator[tf.Tensor]:
    paths = matching_files(items_pattern)
    if not paths:
        raise ValueError(f"No items match {items_pattern!r}; wanted TFRecord files of Examples. Preprocess first.")
    return iter(serialized_batches(paths).prefetch(2))


def _check_sum(vectors: np.ndarray, branches: np.ndarray, *, unit_length: bool) -> None:
    """The contract on which every served score rests: the branches add up to the vector, or to a multiple of it."""
    sums = branches.sum(axis=1)
    lengths = np.linalg.norm(sums, axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        off = np.abs(vectors - (sums / np.maximum(lengths, 1e-6) if unit_length else sums))
    off = off[np.isfinite(off).all(axis=-1) & (lengths[:, 0] > 1e-6)]
    if off.size and off.max() > 1e-3:
        raise ValueError(
            f"Item vectors differ from the sum of their branches{' over its length' if unit_length else ''} by "
            f"{off.max():.3g}; wanted < 0.001. "
            "Check the fusion of the item tower."
        )
