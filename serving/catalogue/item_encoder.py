"""Item encoder: item Examples to columns, hashes and branch vectors; known items do not pass the item tower again."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.similarity import is_unit_length, sum_branches, vector_lengths
from serving.towers import LoadedTowers
from trainer.ops.example_reader import matching_files, serialized_batches
from trainer.ops.examples import axis_lengths, parse
from trainer.spec.branches import branches_of, content_features
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import EMBEDDINGS, ITEM_COLUMNS, features_of, input_features
from trainer.spec.features import Dtype, Modality, Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tower import SimilarityKind

_ID_COLUMNS = ("item_id", "group_id")
RELATIONS = ("relation_ids", "relation_types")
TEXT_VECTORS = EMBEDDINGS[Modality.TEXT]
_NUMBER_DTYPES = {Dtype.FLOAT: np.float32, Dtype.INT: np.int64}
_BATCH_SIZE = 64
_MAX_TITLE_QUERIES = 400
_TITLE_QUERY_WORDS = 3
Wire = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedItems:
    """Encoded items in the order of the files.

    Attributes:
      ids: [n] item ids.
      group_ids: [n] group ids.
      columns: {name of `kept_columns`: [n] or [n, entry]}.
      relations: {name of `RELATIONS`: [n, relation]}.
      tower_hashes: [n, 32] uint8, SHA-256 of what the item tower reads of each item.
      is_encoded: [n] bool, True for the items that went through the tower.
      branches: [encoded, branch, dim] float32, for those; the daily ones are absent.
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
    """Reads item Examples and encodes those that are not known yet.

    Args:
      towers: Their item tower.
      items_pattern: Glob of TFRecord files of item Examples.
      is_known: Whether the branch vectors are known already, by item id and tower hash.

    Raises:
      ValueError: No file matches, or the towers' vectors are not the sum of their branches.
    """
    batches: list[_ItemBatch] = []
    tower = _ItemTower(towers)
    for serialized in _batches(items_pattern):
        parsed = parse(serialized, sides=[Side.ITEM], wire=towers.config.wire)
        wire = {name: values.numpy() for name, values in parsed.items()}
        hashes = tower_hashes(wire)
        fresh = [not is_known(*pair) for pair in zip(wire["item_id"].tolist(), hashes, strict=True)]
        tower.add({feature.name: wire[feature.name][fresh] for feature in content_features()})
        fingerprints = [hashlib.sha256(example).digest() for example in serialized.numpy()]
        kept = {name: wire[name] for name in (*_ID_COLUMNS, *RELATIONS, *kept_columns(towers.config.wire))}
        batches.append(_ItemBatch(columns=kept, hashes=hashes, is_encoded=fresh, fingerprints=fingerprints))
    return _join_batches(batches, tower.finish(), wire=towers.config.wire)


class _ItemBatch(NamedTuple):
    """Items of one batch: columns in wire form, tower hashes, whether each is encoded, and hashes of the Examples."""

    columns: dict[str, np.ndarray]
    hashes: list[bytes]
    is_encoded: list[bool]
    fingerprints: list[bytes]


def _join_batches(batches: Sequence[_ItemBatch], result: "_TowerResult", *, wire: WireConfig) -> EncodedItems:
    kept = kept_columns(wire)
    blank = absent_columns(0, wire, (*_ID_COLUMNS, *RELATIONS, *kept))
    columns = {name: np.concatenate([empty, *(b.columns[name] for b in batches)]) for name, empty in blank.items()}
    hashes = [digest for batch in batches for digest in batch.hashes]
    fingerprints = sorted(digest for batch in batches for digest in batch.fingerprints)
    return EncodedItems(
        ids=columns["item_id"].tolist(),
        group_ids=columns["group_id"].tolist(),
        columns={name: columns[name] for name in kept},
        relations={name: columns[name] for name in RELATIONS},
        tower_hashes=np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1 if hashes else 32),
        is_encoded=np.array([fresh for batch in batches for fresh in batch.is_encoded], bool),
        **result._asdict(),
        items_id=hashlib.sha256(b"".join(fingerprints)).hexdigest(),
    )


def title_queries(towers: LoadedTowers, titles: Sequence[bytes]) -> np.ndarray:
    """Returns query vectors [query, dim] float32 of searches for the first words of some titles; none is zero."""
    (text,) = input_features(Side.QUERY, Modality.TEXT)
    named = [title for title in titles if title]
    words = [
        b" ".join(title.split()[:_TITLE_QUERY_WORDS]) for title in named[:: max(1, len(named) // _MAX_TITLE_QUERIES)]
    ]
    found = [np.zeros([0, towers.config.tower.dim], np.float32)]
    for start in range(0, len(words), _BATCH_SIZE):
        batch = words[start : start + _BATCH_SIZE]
        found.append(towers.module.embed_text({text.name: tf.constant(batch)})[TowerOutput.VECTOR.value].numpy())
    vectors = np.concatenate(found)
    return vectors[np.isfinite(vectors).all(axis=1) & (np.linalg.norm(vectors, axis=1) > 1e-6)]


def kept_columns(wire: WireConfig) -> tuple[str, ...]:
    """Returns the features of items that a bundle keeps: `ITEM_COLUMNS`, and the vectors of a frozen text encoder."""
    return (*ITEM_COLUMNS, TEXT_VECTORS) if wire.text_embedding_dim else ITEM_COLUMNS


def absent_columns(
    num_items: int, wire: WireConfig | None = None, names: Sequence[str] = ITEM_COLUMNS
) -> dict[str, np.ndarray]:
    """Returns the columns of `num_items` items without any content."""
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
    """Returns the SHA-256 of each item's features that the item tower reads, in wire form, with its relations."""
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


class _TowerResult(NamedTuple):
    """Outputs of the item tower: `branches` and `contents` as in `EncodedItems`."""

    branches: np.ndarray
    contents: np.ndarray


class _ItemTower:
    """Item tower that is fed in full batches."""

    def __init__(self, towers: LoadedTowers) -> None:
        self._embed = towers.module.embed_item
        self._similarity = towers.config.tower.similarity
        self._pending: list[Wire] = []
        self._branches = [np.zeros([0, len(branches_of(Side.ITEM)), towers.config.tower.dim], np.float32)]
        self._contents = list(self._branches)

    def add(self, wire: Wire) -> None:
        self._pending.append(wire)
        if sum(len(batch["title"]) for batch in self._pending) >= _BATCH_SIZE:
            self._encode_full_batches()

    def finish(self) -> "_TowerResult":
        """Encodes the rest and returns the results of everything that was added."""
        self._encode_full_batches()
        if self._pending and len(self._pending[0]["title"]):
            self._encode(self._pending[0])
        return _TowerResult(branches=np.concatenate(self._branches), contents=np.concatenate(self._contents))

    def _encode_full_batches(self) -> None:
        if not self._pending:
            return
        wire = {name: np.concatenate([batch[name] for batch in self._pending]) for name in self._pending[0]}
        full = len(wire["title"]) // _BATCH_SIZE * _BATCH_SIZE
        for start in range(0, full, _BATCH_SIZE):
            self._encode({name: values[start : start + _BATCH_SIZE] for name, values in wire.items()})
        self._pending = [{name: values[full:] for name, values in wire.items()}]

    def _encode(self, wire: Wire) -> None:
        outputs = self._embed({name: tf.constant(values, _dtype_of(values)) for name, values in wire.items()})
        branches = outputs[TowerOutput.BRANCHES.value].numpy()
        _check_sum(outputs[TowerOutput.VECTOR.value].numpy(), branches, self._similarity)
        self._branches.append(branches)
        self._contents.append(outputs[TowerOutput.ENCODED.value].numpy())


def _dtype_of(values: np.ndarray) -> tf.DType:
    return tf.string if values.dtype == object else tf.as_dtype(values.dtype)


def _batches(items_pattern: str) -> Iterator[tf.Tensor]:
    paths = matching_files(items_pattern)
    if not paths:
        raise ValueError(f"No items match {items_pattern!r}; wanted TFRecord files of Examples. Preprocess first.")
    return iter(serialized_batches(paths).prefetch(2))


def _check_sum(vectors: np.ndarray, branches: np.ndarray, similarity: SimilarityKind) -> None:
    """Checks the contract of every served score: branches add up to the vector, or to a multiple of it."""
    with np.errstate(all="ignore"):
        off = np.abs(vectors - sum_branches(np, branches, similarity))
        lengths = vector_lengths(branches.sum(axis=1))
    off = off[np.isfinite(off).all(axis=-1) & (lengths > 1e-6)]
    if off.size and off.max() > 1e-3:
        over_length = " over its length" if is_unit_length(similarity) else ""
        raise ValueError(
            f"Item vectors differ from the sum of their branches{over_length} by {off.max():.3g}; wanted < 0.001. "
            "Check the fusion of the item tower."
        )
