"""A catalogue encoded by the item tower: ids, groups and branch vectors, in the row order of a bundle."""

import dataclasses
import glob
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving.towers import LoadedTowers, item_features
from trainer.ops.examples import axis_lengths, parse
from trainer.spec.config import WireConfig, to_dict
from trainer.spec.features import Dtype, Side, branches_of, features_of
from trainer.spec.signatures import TowerOutput

COLUMNS = ("title", "description", "attributes", "category", "brand", "price", "currency", "in_stock")
_NUMBERS = {Dtype.FLOAT: np.float32, Dtype.INT: np.int64}
_BATCH = 64
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every item of a bundle. Rows: first the `num_indexed` items that search can find, then the rest, each by id.

    Attributes:
      ids: [n] item ids.
      groups: [n] int32, equal for variants of one product.
      branches: [n, branch, dim] float32; an item's vector is their sum over its length.
      vectors: [n, dim] float32, of length 1; zeros for an item that is not indexed.
      num_indexed: Items with a usable vector.
      popularity: [n] float32, larger first; what an empty query is answered by.
      columns: {name of `COLUMNS`: [n] or [n, entry]} in wire form: texts as objects of type bytes, price float32,
        in_stock int64.
      content_id: SHA-256 of the items as they were read.
    """

    ids: tuple[bytes, ...]
    groups: np.ndarray
    branches: np.ndarray
    vectors: np.ndarray
    num_indexed: int
    popularity: np.ndarray
    columns: Mapping[str, np.ndarray]
    content_id: str

    @property
    def quarantined(self) -> tuple[bytes, ...]:
        """Items whose vector is zero or not a number; only the popularity order shows them."""
        return self.ids[self.num_indexed :]


def make_catalogue(
    ids: list[bytes],
    *,
    groups: list[bytes],
    branches: np.ndarray,
    popularity: Mapping[bytes, float] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    content_id: str = "",
) -> Catalogue:
    """Puts encoded items into row order and sets aside those that no index may hold.

    Args:
      ids: [n] item ids, in any order.
      groups: [n] group ids; an empty one is a product of its own.
      branches: [n, branch, dim] as the item tower gives them.
      popularity: A number for each item id, larger first; without it the catalogue order stands for popularity.
      columns: {name of `COLUMNS`: [n] or [n, entry]} in wire form; one that is left out is absent from every item.
      content_id: SHA-256 of the items.

    Raises:
      ValueError: An item id is empty or comes twice.
    """
    if len(set(ids)) != len(ids) or b"" in ids:
        twice = sorted({name.decode(errors="replace") for name in ids if not name or ids.count(name) > 1})[:5]
        raise ValueError(f"Item ids must be unique and not empty; got {twice} more than once or empty. Ingest again.")
    branches = branches.astype(np.float32)
    with np.errstate(all="ignore"):
        sums = branches.sum(axis=1)
        lengths = np.sqrt((sums.astype(np.float64) ** 2).sum(axis=-1))
        usable = np.isfinite(branches).all(axis=(1, 2)) & np.isfinite(lengths) & (lengths > 1e-6)
    order = sorted(range(len(ids)), key=lambda row: (not usable[row], ids[row]))
    good = usable[order]
    branches = np.where(good[:, None, None], branches[order], np.float32(0.0))
    lengths = np.where(good, lengths[order], 1.0)
    names = [groups[row] or b"\x00item:" + ids[row] for row in order]
    codes = {name: code for code, name in enumerate(sorted(set(names)))}
    ordered = tuple(ids[row] for row in order)
    counts = np.array([(popularity or {}).get(name, 0.0) for name in ordered], np.float32)
    return Catalogue(
        ids=ordered,
        groups=np.array([codes[name] for name in names], np.int32),
        branches=branches,
        vectors=(branches.sum(axis=1) / lengths[:, None]).astype(np.float32),
        num_indexed=int(usable.sum()),
        popularity=np.where(np.isfinite(counts), counts, np.float32(0.0)),
        columns={name: values[order] for name, values in {**absent_columns(len(ids)), **(columns or {})}.items()},
        content_id=content_id,
    )


def absent_columns(num_items: int, wire: WireConfig | None = None) -> dict[str, np.ndarray]:
    """The columns of `num_items` items that say nothing about themselves."""
    features = {feature.name: feature for feature in features_of(Side.ITEM)}
    return {
        name: np.full(
            [num_items, *axis_lengths(features[name], wire or WireConfig())],
            features[name].default,
            _NUMBERS.get(features[name].dtype, object),
        )
        for name in COLUMNS
    }


def encode_catalogue(
    towers: LoadedTowers, items_pattern: str, *, popularity: Mapping[bytes, float] | None = None
) -> Catalogue:
    """Reads item Examples and encodes every one with the item tower.

    Raises:
      ValueError: No file matches, an id comes twice, or the towers' vectors are not the sum of their branches.
    """
    ids: list[bytes] = []
    groups: list[bytes] = []
    prints: list[bytes] = []
    branches = [np.zeros([0, len(branches_of(Side.ITEM)), towers.config.tower.dim], np.float32)]
    columns = {name: [nothing] for name, nothing in absent_columns(0, towers.config.wire).items()}
    for serialized in _batches(items_pattern):
        wire = parse(serialized, sides=[Side.ITEM], wire=towers.config.wire)
        encoded = towers.module.embed_item({feature.name: wire[feature.name] for feature in item_features()})
        branch_vectors = encoded[TowerOutput.BRANCHES.value].numpy()
        _check_sum(encoded[TowerOutput.VECTOR.value].numpy(), branch_vectors)
        branches.append(branch_vectors)
        ids.extend(wire["item_id"].numpy().tolist())
        groups.extend(wire["group_id"].numpy().tolist())
        for name, parts in columns.items():
            parts.append(wire[name].numpy())
        prints.extend(hashlib.sha256(example).digest() for example in serialized.numpy())
    shared = json.dumps(to_dict(towers.config.search)) + json.dumps(
        sorted((key.hex(), value) for key, value in (popularity or {}).items())
    )
    content_id = hashlib.sha256(b"".join(sorted(prints)) + shared.encode()).hexdigest()
    _LOG.info("encoded %d items", len(ids))
    return make_catalogue(
        ids,
        groups=groups,
        branches=np.concatenate(branches),
        popularity=popularity,
        columns={name: np.concatenate(parts) for name, parts in columns.items()},
        content_id=content_id,
    )


def _batches(items_pattern: str) -> Iterator[tf.Tensor]:
    paths = sorted(glob.glob(items_pattern))
    if not paths:
        raise ValueError(f"No items match {items_pattern!r}; wanted TFRecord files of Examples. Preprocess first.")
    return iter(tf.data.TFRecordDataset(paths).batch(_BATCH).prefetch(2))


def _check_sum(vectors: np.ndarray, branches: np.ndarray) -> None:
    """The contract on which every served score rests: an item's vector is the sum of its branches over its length."""
    sums = branches.sum(axis=1)
    lengths = np.linalg.norm(sums, axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        off = np.abs(vectors - sums / np.maximum(lengths, 1e-6))
    off = off[np.isfinite(off).all(axis=-1) & (lengths[:, 0] > 1e-6)]
    if off.size and off.max() > 1e-3:
        raise ValueError(
            f"Item vectors differ from the sum of their branches over its length by {off.max():.3g}; wanted < 0.001. "
            "Check the fusion of the item tower."
        )
