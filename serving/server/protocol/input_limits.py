"""Input limits that a model declares in a file, checked before a request is batched."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.bundle_layout import LIMITS_PATH
from serving.server.protocol.errors import Code, ServingError, invalid


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limit:
    """Limit of one input: every number is finite, and from `minimum` to `maximum` where these are given."""

    minimum: float = -math.inf
    maximum: float = math.inf


Limits = Mapping[str, Limit]


def read_limits(folder: Path) -> dict[str, dict[str, Limit]]:
    """Reads {signature: {input: limit}} of the model in `folder`; none without the file.

    Raises:
      ServingError: FAILED_PRECONDITION when the file is malformed.
    """
    path = folder / LIMITS_PATH
    if not path.is_file():
        return {}
    try:
        declared: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
        return {
            signature: {
                alias: Limit(**{key: float(value) for key, value in limit.items()}) for alias, limit in given.items()
            }
            for signature, given in declared.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise ServingError(
            Code.FAILED_PRECONDITION,
            f"{LIMITS_PATH} does not map signatures to inputs with minimum and maximum; build the bundle again.",
        ) from error


def check_limits(limits: Limits, given: Mapping[str, np.ndarray]) -> None:
    """Checks the inputs that a request gives.

    Raises:
      ServingError: INVALID_ARGUMENT for a number out of range, NaN or infinity.
    """
    for alias, value in given.items():
        limit = limits.get(alias)
        if limit is None or not value.size:
            continue
        # One number, which is what most requests hold, is checked without the cost of an array operation.
        low, high = (value.item(),) * 2 if value.size == 1 else (value.min(), value.max())  # NaN, where there is one
        if not (math.isfinite(low) and math.isfinite(high)):
            raise invalid(f"Input {alias} holds NaN or infinity; send finite numbers.")
        if low < limit.minimum or high > limit.maximum:
            raise invalid(f"Input {alias} must be {_range(limit)}; send a number in that range.")


def _range(limit: Limit) -> str:
    if math.isinf(limit.maximum):
        return f"at least {limit.minimum:g}"
    return f"from {limit.minimum:g} to {limit.maximum:g}"
