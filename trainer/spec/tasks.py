"""The heads of the model: what is predicted, from which label, with which kind of loss."""

import dataclasses
import enum


class TaskKind(enum.StrEnum):
    """Which head and loss a task uses (rows of tables in `trainer/nn/heads.py` and `trainer/nn/losses.py`)."""

    RETRIEVAL = "retrieval"
    BINARY = "binary"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One head.

    Attributes:
      name: Key in the configuration, in the logs and in the score parts (`score_<name>`).
      kind: Head and loss.
      label: Event feature that holds the label; a negative value means "not known" and contributes nothing.
      weight: Weight of its loss, all losses being on one scale (mean per labelled example).
      doc: What the head predicts.
    """

    name: str
    kind: TaskKind
    label: str
    weight: float
    doc: str


TASKS: tuple[Task, ...] = (
    Task(
        name="retrieval",
        kind=TaskKind.RETRIEVAL,
        label="positive",
        weight=1.0,
        doc="Which item of the whole catalogue the shopper acts on; its score part is the dense cosine.",
    ),
    Task(
        name="click",
        kind=TaskKind.BINARY,
        label="label_click",
        weight=0.2,
        doc="Probability of a click when shown.",
    ),
    Task(
        name="purchase",
        kind=TaskKind.BINARY,
        label="label_purchase",
        weight=0.2,
        doc="Probability of a purchase when shown.",
    ),
)

# Tasks that score a (query, item) pair beside the dense cosine.
PAIR_TASKS: tuple[Task, ...] = tuple(task for task in TASKS if task.kind is not TaskKind.RETRIEVAL)
# Names of the score parts in every search answer, in order; the first is the cosine of the two towers.
SCORE_PARTS: tuple[str, ...] = ("dense", *(task.name for task in PAIR_TASKS))
# Weight of each score part in a request that does not say: rank by the cosine alone.
DEFAULT_SCORE_WEIGHTS: dict[str, float] = {part: float(part == "dense") for part in SCORE_PARTS}
