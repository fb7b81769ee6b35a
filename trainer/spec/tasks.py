"""Tasks of the model: heads, their labels and kinds of loss; the score components of a search."""

import dataclasses
import enum

from trainer.spec.records import INTENTS, SENTIMENTS


class TaskKind(enum.StrEnum):
    """Kind of a task: its head (`trainer.model.build.HEADS`) and loss (`trainer.model.objective.LOSSES`)."""

    RETRIEVAL = "retrieval"
    REPURCHASE = "repurchase"
    BINARY = "binary"
    PAIRWISE = "pairwise"
    QUERY_CLASS = "query_class"
    REVIEW_CLASS = "review_class"
    COUNT = "count"
    REGRESSION = "regression"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Task: one head and its loss.

    Attributes:
      name: Key in the configuration, in the logs and in the score components (`score_<name>`).
      kind: Head and loss.
      label: Feature of the event, or of the item's day, that holds the label; a negative value means "unknown" and
        contributes nothing.
      weight: Weight of its loss, all losses being on one scale (mean per labelled example).
      doc: Prediction of the head.
      classes: Names of the classes, in the order of the label's numbers; empty for what is no class.
    """

    name: str
    kind: TaskKind
    label: str
    weight: float
    doc: str
    classes: tuple[str, ...] = ()


TASKS: tuple[Task, ...] = (
    Task(
        name="retrieval",
        kind=TaskKind.RETRIEVAL,
        label="positive",
        weight=1.0,
        doc="Which item of the whole catalogue the shopper acts on; its score component is the dense cosine.",
    ),
    Task(
        name="repurchase",
        kind=TaskKind.REPURCHASE,
        label="positive",
        weight=0.1,
        doc="How much more similar an item counts because the shopper acted on it before.",
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
    Task(
        name="relevance",
        kind=TaskKind.PAIRWISE,
        label="label_relevance",
        weight=0.1,
        doc="How relevant the item is, 0 to 1: learned from pairs of one request with unequal grades.",
    ),
    Task(
        name="intent",
        kind=TaskKind.QUERY_CLASS,
        label="label_intent",
        weight=0.1,
        classes=INTENTS,
        doc="What the shopper wants of this search.",
    ),
    Task(
        name="sentiment",
        kind=TaskKind.REVIEW_CLASS,
        label="label_sentiment",
        weight=0.1,
        classes=SENTIMENTS,
        doc="Sentiment of a review of its item.",
    ),
    Task(
        name="demand",
        kind=TaskKind.COUNT,
        label="label_units",
        weight=0.1,
        doc="Units sold a day in the days ahead.",
    ),
    Task(
        name="price",
        kind=TaskKind.REGRESSION,
        label="label_price",
        weight=0.1,
        doc="The next price: its logarithm less the mean logarithm of the currency. The item's own price is not read.",
    ),
)

# The label that stands for the probability 1, by kind of pair task.
MAX_LABELS: dict[TaskKind, float] = {TaskKind.BINARY: 1.0, TaskKind.PAIRWISE: 3.0}

# Tasks that score a (query, item) pair beside the dense cosine.
PAIR_TASKS: tuple[Task, ...] = tuple(task for task in TASKS if task.kind in (TaskKind.BINARY, TaskKind.PAIRWISE))
QUERY_TASKS: tuple[Task, ...] = tuple(task for task in TASKS if task.kind is TaskKind.QUERY_CLASS)
REVIEW_TASKS: tuple[Task, ...] = tuple(task for task in TASKS if task.kind is TaskKind.REVIEW_CLASS)
# Tasks about an item on a day, whatever is searched for; all others have their labels in events.
ITEM_DAY_TASKS: tuple[Task, ...] = tuple(task for task in TASKS if task.kind in (TaskKind.COUNT, TaskKind.REGRESSION))
EVENT_TASKS: tuple[Task, ...] = tuple(task for task in TASKS if task not in ITEM_DAY_TASKS)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ItemScore:
    """Score component of the item alone: a column of the catalogue, from -1 to 1, 0 where unknown.

    Attributes:
      name: Its name among the score components.
      doc: Its meaning.
    """

    name: str
    doc: str


SENTIMENT, STOCK, DEMAND, PRICE_VALUE = "sentiment", "stock", "demand", "price_value"
ITEM_SCORES: tuple[ItemScore, ...] = (
    ItemScore(name=SENTIMENT, doc="Mean sentiment of the reviews of the item."),
    ItemScore(name=STOCK, doc="1 = can be bought now, 0 = can not."),
    ItemScore(name=DEMAND, doc="Forecast of units sold, d / (d + mean of all items)."),
    ItemScore(
        name=PRICE_VALUE, doc="Difference of the forecast and the actual price, as a logarithm, at most 1 either way."
    ),
)

# Names of the score components that no head gives: the cosine of the two towers, and BM25 as a share of the most that
# the words of the query could score. REPURCHASE is that of the task of this name: 0 for what is not in the history.
DENSE, LEXICAL, REPURCHASE = "dense", "lexical", "repurchase"
# Names of the score components in the search answers of every bundle, in order.
SCORE_COMPONENTS: tuple[str, ...] = (
    DENSE,
    LEXICAL,
    REPURCHASE,
    *(task.name for task in PAIR_TASKS),
    *(part.name for part in ITEM_SCORES),
)
# The cosine of a frozen text encoder's own vectors, a score component beside these where a bundle keeps such vectors
# (`Config.score_components`).
TEXT_ENCODER = "text_encoder"
# Weight of each score component in a request that sets none. Those of words and of the text encoder are measured
# (docs/serving_contract.md).
DEFAULT_SCORE_WEIGHTS: dict[str, float] = {
    **dict.fromkeys(SCORE_COMPONENTS, 0.0),
    DENSE: 1.0,
    REPURCHASE: 1.0,
    LEXICAL: 5.0,
    TEXT_ENCODER: 4.0,
}

# Not a score component; an intent moves it as it moves weights.
DIVERSITY = "diversity"
GOOD_VALUE_WEIGHT = 1.0  # that words for value for money add to the weight of `price_value`
# Adjustments of the weights of score components, and of diversity, by intent; times its probability.
INTENT_ADJUSTMENTS: dict[str, dict[str, float]] = {
    "buy": {"purchase": 0.5, STOCK: 0.1},
    "compare": {DIVERSITY: 0.2, PRICE_VALUE: 0.1},
    "consult": {LEXICAL: 1.0, "relevance": 0.5},
}
