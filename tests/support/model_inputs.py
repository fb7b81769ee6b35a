"""Random model inputs, generated from the declaration of the branches."""

from collections.abc import Iterable

import numpy as np

from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.config import Config
from trainer.spec.features import Modality, Side
from trainer.spec.model_inputs import BRANCHES, InputSpec

# Model inputs of the daily branches, neighbours as rows into a snapshot.
DAILY_INPUTS = {name for modality in DAILY_MODALITIES for name in BRANCHES[modality].inputs} | {"neighbour_rows"}


def random_inputs(
    modalities: Iterable[Modality],
    *,
    side: Side,
    config: Config,
    rows: int,
    num_items: int,
    random: np.random.Generator,
) -> dict[str, np.ndarray]:
    """{name: [rows, ...]} of some branches; histories and neighbours are rows into a snapshot of `num_items`."""
    result = {
        name: _random(name, spec, (rows, *spec.shape(config, side)), random)
        for modality in modalities
        for name, spec in BRANCHES[modality].inputs.items()
        if spec.blank is not None and spec.is_given(config)
    }
    for name in ("history", "neighbour"):
        if f"{name}_vectors" in result:
            shape = result.pop(f"{name}_present").shape
            del result[f"{name}_vectors"]
            result[f"{name}_rows"] = random.integers(-1, num_items, shape).astype(np.int32)
    return result


def _random(name: str, spec: InputSpec, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if spec.dtype == "bool":
        return random.random(shape) < 0.6
    if spec.dtype == "int32":
        return random.integers(0, 9, shape).astype(np.int32)
    if spec.dtype == "float32":
        is_mask = name.endswith("_present")
        return np.ones(shape, np.float32) if is_mask else ((spec.blank or 0) + random.random(shape)).astype(np.float32)
    limits = np.iinfo(spec.dtype)
    return random.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True)
