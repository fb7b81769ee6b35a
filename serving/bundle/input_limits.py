"""Input limits: valid ranges of the signature inputs, as a file in the bundle by which a server rejects requests.

In the graph one bad row must not fail its neighbours: a number out of range is clipped there and reported in
`query_status`. The server checks before requests are batched, so it can reject the one that is wrong.
"""

import json
from pathlib import Path

from serving.bundle.saved_model import DEFAULT_SIGNATURE, SERVING_DEFAULT
from serving.bundle_layout import LIMITS_PATH
from trainer.spec.config import Config
from trainer.spec.serving.signature_fields import WireType
from trainer.spec.serving.signatures import signatures


def write_limits(directory: Path, *, config: Config) -> None:
    """Writes `{signature: {input: {"minimum": number, "maximum": number}}}` into the bundle at `directory`.

    Inputs of whole numbers are there with the limits that they have; all floating-point inputs are there, because every
    one of them must be finite.
    """
    limits: dict[str, dict[str, dict[str, int]]] = {
        signature.name: {
            port.name: {
                name: value
                for name, value in (("minimum", port.minimum), ("maximum", port.maximum))
                if value is not None
            }
            for port in signature.inputs
            if port.dtype is WireType.FLOAT or port.minimum is not None or port.maximum is not None
        }
        for signature in signatures(config)
    }
    limits[SERVING_DEFAULT] = limits[DEFAULT_SIGNATURE]
    path = directory / LIMITS_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(limits, indent=1, sort_keys=True) + "\n", encoding="utf-8")
