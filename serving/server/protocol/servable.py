"""Servable: the interface of a loaded version, batched or not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.protocol.deadline import NO_DEADLINE, Deadline
from serving.server.protocol.signature import ServableSignature


class Servable(Protocol):
    """Loaded version that may be called from several threads."""

    path: Path
    signatures: dict[str, ServableSignature]

    @property
    def signature_defs(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDef protos by name."""

    def output_dtype(self, signature: ServableSignature, alias: str) -> tf.DType:
        """The dtype an output has in its signature."""

    def run(
        self,
        signature: ServableSignature,
        inputs: Mapping[str, np.ndarray],
        *,
        outputs: tuple[str, ...],
        deadline: Deadline = NO_DEADLINE,
    ) -> dict[str, np.ndarray]:
        """The outputs of one call."""

    def close(self) -> None:
        """Frees what the model holds."""
