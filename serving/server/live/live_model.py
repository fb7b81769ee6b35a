"""Live model: a loaded version that follows the log of live changes."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.manifest import MANIFEST_PATH
from serving.server.live.item_update import (
    BOOST,
    FIELDS,
    IN_STOCK,
    ITEM_ID,
    PRICE,
    UNKNOWN_PRICE,
    VISIBLE,
    Updates,
    add_updates,
)
from serving.server.live.live_log import LogFollower, newer_updates
from serving.server.protocol.deadline import NO_DEADLINE, Deadline
from serving.server.protocol.servable import Servable
from serving.server.protocol.signature import ServableSignature
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.serving.update_fields import UPDATE_ITEMS, UPDATE_MASK

QUERY_STATUS = "query_status"
ITEMS_TIME = "items_time"


def changes_items(signature: ServableSignature) -> bool:
    """Returns whether a signature is the one that changes the items of a bundle."""
    return signature.name == UPDATE_ITEMS and {ITEM_ID, UPDATE_MASK} <= signature.inputs.keys()


class LiveModel:
    """Loaded version of which the items can be changed.

    Args:
      model: The version; it has the signature `update_items`.
      log_path: The file of the log.

    Attributes:
      live_sequence: The number of the last change that counts in its answers.
    """

    def __init__(self, model: Servable, *, log_path: Path) -> None:
        self.path = model.path
        self.signatures = model.signatures
        self.is_open = True
        self._model = model
        self._signature = model.signatures[UPDATE_ITEMS]
        self._follower = LogFollower(log_path)
        self._items_time = items_time(model.path)
        self._waiting: dict[str, dict[str, float | bool]] = {}
        self._lock = threading.Lock()
        self.live_sequence = 0

    @property
    def signature_defs(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDef protos by name."""
        return self._model.signature_defs

    def output_dtype(self, signature: ServableSignature, alias: str) -> tf.DType:
        """The dtype an output has in its signature."""
        return self._model.output_dtype(signature, alias)

    def run(
        self,
        signature: ServableSignature,
        inputs: Mapping[str, np.ndarray],
        *,
        outputs: tuple[str, ...],
        deadline: Deadline = NO_DEADLINE,
    ) -> dict[str, np.ndarray]:
        """The outputs of one call."""
        return self._model.run(signature, inputs, outputs=outputs, deadline=deadline)

    def close(self) -> None:
        """Frees what the model holds."""
        with self._lock:
            self.is_open = False
            self._follower.close()
            self._model.close()

    def unknown_items(self, item_ids: list[str]) -> set[str]:
        """Returns those of some item ids that this version does not have."""
        with self._lock:
            return self._unknown(item_ids) if self.is_open else set(item_ids)

    def _unknown(self, item_ids: list[str]) -> set[str]:
        status = self._call({item: {} for item in item_ids}) if item_ids else []
        return {item for item, bits in zip(item_ids, status, strict=True) if bits & QueryStatus.ITEM_UNKNOWN}

    def catch_up(self) -> None:
        """Applies the records of the log that are new; items that this version does not have are left out."""
        with self._lock:
            if not self.is_open:
                return
            for record in newer_updates(self._follower.read(), than=self._items_time):
                add_updates(self._waiting, record.updates)
            unknown = self._unknown([*self._waiting])
            known = {item: changes for item, changes in self._waiting.items() if item not in unknown}
            if known:
                self._call(known)
            self._waiting = {}
            self.live_sequence = self._follower.sequence

    def _call(self, updates: Updates) -> list[int]:
        """Calls `update_items`; the status of each item."""
        rows = list(updates.values())
        inputs = {
            ITEM_ID: np.array([item.encode("utf-8", "replace") for item in updates], object),
            UPDATE_MASK: _mask(rows),
            PRICE: np.array([row.get(PRICE, UNKNOWN_PRICE) for row in rows], np.float32),
            IN_STOCK: np.array([row.get(IN_STOCK, True) for row in rows], np.int32),
            VISIBLE: np.array([row.get(VISIBLE, True) for row in rows], np.int32),
            BOOST: np.array([row.get(BOOST, 0.0) for row in rows], np.float32),
        }
        found = self._model.run(self._signature, inputs, outputs=(QUERY_STATUS,))
        return [int(bits) for bits in found[QUERY_STATUS]]


def live_sequence(model: Servable) -> int | None:
    """Returns the number of the last change that counts in the answers of a version; None where it has no changes."""
    return model.live_sequence if isinstance(model, LiveModel) else None


def items_time(path: Path) -> float:
    """Returns when the items of a bundle were written, in epoch seconds; 0 where its manifest does not have it."""
    try:
        return float(json.loads((path / MANIFEST_PATH).read_bytes())[ITEMS_TIME])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _mask(rows: list[Mapping[str, float | bool]]) -> np.ndarray:
    mask = np.full([len(rows), len(FIELDS)], b"", object)
    for number, row in enumerate(rows):
        for place, name in enumerate(FIELDS):
            if name in row:
                mask[number, place] = name.encode()
    return mask
