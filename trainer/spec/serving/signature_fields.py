"""Fields of signatures: names, types, shapes, defaults of inputs and outputs."""

import dataclasses
import enum

from trainer.spec.config import Config
from trainer.spec.features import VARIABLE_AXES, Dtype, Feature


class WireType(enum.StrEnum):
    """Types of signature inputs and outputs (names of TensorFlow dtypes)."""

    STRING = "string"
    FLOAT = "float32"
    INT32 = "int32"
    INT64 = "int64"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SignatureField:
    """Named input or output of a signature.

    Attributes:
      name: Its name in requests and answers.
      dtype: Its type.
      shape: Dimensions after the batch; None = any length.
      default: The value of every element when the caller leaves the input out; None = required, or an output.
      doc: Its meaning.
      minimum: The smallest number that a server accepts; None = any.
      maximum: The largest.
    """

    name: str
    dtype: WireType
    shape: tuple[int | None, ...] = ()
    default: bytes | float | int | None = None
    doc: str
    minimum: int | None = None
    maximum: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Signature of the bundle."""

    name: str
    inputs: tuple[SignatureField, ...]
    outputs: tuple[SignatureField, ...]
    doc: str


WIRE_TYPES = {Dtype.BYTES: WireType.STRING, Dtype.FLOAT: WireType.FLOAT, Dtype.INT: WireType.INT64}


def feature_field(feature: Feature, config: Config) -> SignatureField:
    """Returns the input that carries `feature`; those of the user may have any length."""
    shape = tuple(None if axis in VARIABLE_AXES else getattr(config.wire, axis.value) for axis in feature.axes)
    return SignatureField(
        name=feature.name, dtype=WIRE_TYPES[feature.dtype], shape=shape, default=feature.default, doc=feature.doc
    )
