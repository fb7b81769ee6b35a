"""Search space of the hyper-parameter search: the fields of the configuration that vary, and their ranges.

TFX's Tuner searches it with KerasTuner; in a managed study the same fields arrive as flags.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Range of a number.

    Attributes:
      path: The field, such as `train.learning_rate`.
      low: The smallest value.
      high: The largest value.
      logarithmic: Whether equal ratios are equally likely, not equal differences.
    """

    path: str
    low: float
    high: float
    logarithmic: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Choice among values.

    Attributes:
      path: The field.
      values: What it may be.
    """

    path: str
    values: tuple[int | float, ...]


SEARCH_SPACE: tuple[Range | Choice, ...] = (
    Range(path="train.learning_rate", low=0.0005, high=0.01, logarithmic=True),
    Range(path="train.temperature", low=0.03, high=0.2, logarithmic=True),
    Range(path="tower.dropout", low=0.0, high=0.4),
    Range(path="tower.modality_dropout", low=0.0, high=0.5),
    Choice(path="train.batch_size", values=(64, 128, 256)),
)
