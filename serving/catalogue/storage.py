"""Storage of a bundle's catalogue as a file beside its SavedModel, which a refresh reads.

The branch vectors are not repeated: they are read from the variables of the SavedModel. The vectors of a frozen text
encoder are left out: a refresh takes them from the items.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving.catalogue.catalogue import Catalogue
from serving.catalogue.item_encoder import TEXT_VECTORS
from serving.catalogue.item_scores import ITEM_SCORE_NAMES
from serving.similarity import sum_branches
from trainer.plain_paths import plain_path
from trainer.spec.tower import SimilarityKind

CATALOGUE_PATH = "assets.extra/catalogue.npz"
FORMAT = 7
_BRANCHES = "functions/tables/branches/.ATTRIBUTES/VARIABLE_VALUE"
_TEXTS = ("ids", "group_ids")
_ARRAYS = ("popularity", "item_scores", "tower_hashes", "removed")
_COUNTS = ("num_indexed", "num_base")


def write_catalogue(directory: Path, catalogue: Catalogue) -> None:
    """Writes a catalogue without its branch vectors into the bundle at `directory`."""
    arrays: dict[str, np.ndarray] = {"format": np.array(FORMAT), "content_id": np.array(catalogue.content_id)}
    arrays["item_score_names"] = np.array(ITEM_SCORE_NAMES)
    arrays["similarity"] = np.array(catalogue.similarity.value)
    arrays |= {name: np.array(getattr(catalogue, name)) for name in (*_ARRAYS, *_COUNTS)}
    for name in _TEXTS:
        arrays |= _pack_strings(name, np.array([*getattr(catalogue, name), b""], object)[:-1])
    for name, values in catalogue.columns.items():
        if name == TEXT_VECTORS:
            continue
        arrays |= _pack_strings(f"column.{name}", values) if values.dtype == object else {f"column.{name}": values}
    path = directory / CATALOGUE_PATH
    path.parent.mkdir(exist_ok=True)
    np.savez(path, allow_pickle=False, **arrays)


def read_catalogue(directory: Path) -> Catalogue:
    """Reads the catalogue of the bundle at `directory`.

    Raises:
      ValueError: The bundle has no catalogue, or one of another format or with other item scores.
    """
    path = directory / CATALOGUE_PATH
    if not path.is_file():
        raise ValueError(f"The bundle at {directory} has no {CATALOGUE_PATH}; it cannot be refreshed. Build it again.")
    with np.load(path, allow_pickle=False) as arrays:
        if int(arrays["format"]) != FORMAT:
            raise ValueError(f"{path} has format {int(arrays['format'])}; this code reads {FORMAT}. Build it again.")
        if arrays["item_score_names"].tolist() != list(ITEM_SCORE_NAMES):
            names = ", ".join(arrays["item_score_names"].tolist())
            raise ValueError(
                f"{path} has the item scores {names}; this code has {', '.join(ITEM_SCORE_NAMES)}. Build it again."
            )
        content = {name: arrays[name] for name in arrays.files}
    branches = tf.train.load_variable(f"{plain_path(directory)}/variables/variables", _BRANCHES)[:-1]  # the blank row
    columns = {name.split(".")[1] for name in content if name.startswith("column.")}
    fields: dict[str, Any] = {name: content[name] for name in _ARRAYS}
    similarity = SimilarityKind(str(content["similarity"]))
    return Catalogue(
        **fields,
        ids=tuple(_unpack_strings("ids", content).tolist()),
        group_ids=tuple(_unpack_strings("group_ids", content).tolist()),
        branches=branches,
        vectors=sum_branches(np, branches, similarity),
        similarity=similarity,
        num_indexed=int(content["num_indexed"]),
        num_base=int(content["num_base"]),
        columns={
            name: content[f"column.{name}"]
            if f"column.{name}" in content
            else _unpack_strings(f"column.{name}", content)
            for name in sorted(columns)
        },
        content_id=str(content["content_id"]),
    )


def _pack_strings(name: str, texts: np.ndarray) -> dict[str, np.ndarray]:
    """Returns byte strings of any shape as three arrays without pickling."""
    flat = texts.ravel().tolist()
    return {
        f"{name}.data": np.frombuffer(b"".join(flat), np.uint8),
        f"{name}.lengths": np.fromiter(map(len, flat), np.int32, len(flat)),
        f"{name}.shape": np.array(texts.shape, np.int64),
    }


def _unpack_strings(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    data = arrays[f"{name}.data"].tobytes()
    ends = np.cumsum(arrays[f"{name}.lengths"], dtype=np.int64).tolist()
    texts = np.empty(len(ends), object)
    texts[:] = [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
    return texts.reshape(arrays[f"{name}.shape"])
