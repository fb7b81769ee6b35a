"""What the rest of the server needs of a loaded version, batched or not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.protocol.deadline import NEVER, Deadline
from serving.server.protocol.signature import Signature


class Model(Protocol):
    """A loaded version that may be called from several threads."""

    path: Path
    signatures: dict[str, Signature]

    @property
    def signature_defs(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """The SignatureDef protos by name."""

    def output_dtype(self, signature: Signature, alias: str) -> tf.DType:
        """The dtype an output has in its signature."""

    def run(
        self,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        *,
        outputs: tuple[str, ...],
        deadline: Deadline = NEVER,
    ) -> dict[str, np.ndarray]:
        """The outputs of one call."""

    def close(self) -> None:
        """Frees what the model holds."""
