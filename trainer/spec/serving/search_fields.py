"""Inputs and outputs of searches, in groups; `trainer.spec.serving.signatures` puts them together."""

import enum

from trainer.spec.branches import branches_of
from trainer.spec.config import Config
from trainer.spec.features import Side
from trainer.spec.serving.filters import FILTERS
from trainer.spec.serving.signature_fields import WIRE_TYPES, SignatureField, WireType
from trainer.spec.tasks import (
    DEFAULT_SCORE_WEIGHTS,
    DENSE,
    ITEM_SCORES,
    QUERY_TASKS,
    REVIEW_TASKS,
    SENTIMENT,
    TEXT_ENCODER,
)

# The component of a mixed query that seed items make up, after the branches of the query tower.
SEED_ITEMS = "seed_items"
# Names of the components of a query vector, in order; `query_weights` and the rows of `explain` follow it.
QUERY_COMPONENTS: tuple[str, ...] = (*(branch.value for branch in branches_of(Side.QUERY)), SEED_ITEMS)
ITEM_BRANCHES: tuple[str, ...] = tuple(branch.value for branch in branches_of(Side.ITEM))
NUM_COMPLETIONS = 10
MAX_QUERY_WORDS = 32  # that are searched: those of the query text, the text as a whole, and of constraints in it
MAX_VALUES, MAX_ABSENT_WORDS = 5, 2  # brands and attributes, and words that shall be absent, that a query names
MAX_TYPED_WORDS = MAX_QUERY_WORDS - 1 - MAX_VALUES - MAX_ABSENT_WORDS  # later ones are not searched by word
NUM_CONSTRAINTS = 3 + MAX_VALUES  # price, absent words and value for money are one each
REFUSED_CONSTRAINTS, REFUSE_ALL = "refused_constraints", "*"
MAX_UNKNOWN_WORDS = 8  # that an answer names


INTENT_WEIGHT = "intent_weight"
FIELDS = "fields"
_BY_SUBJECTIVITY = ", times the subjectivity of the query"
# Descriptions of score components that no head of the model gives.
_DOCS = {part.name: f": {part.doc[0].lower()}{part.doc[1:-1]}" for part in ITEM_SCORES}
_DOCS[TEXT_ENCODER] = ": cosine of the texts of query and item as the frozen encoder knows them"


class Stage(enum.StrEnum):
    """Stage of the search at which `explain` finds an item."""

    SHOWN = "shown"  # on this page or an earlier one
    UNKNOWN = "unknown"  # not in the catalogue
    FILTER = "filter"  # a filter keeps it out
    CANDIDATES = "candidates"  # no side of retrieval proposed it
    SCORE = "score"  # its score is too low for this page
    VARIANT = "variant"  # another variant of the same product is shown in its place
    DIVERSITY = "diversity"  # by score it would be shown; diversity moved it behind this page


BUNDLE_VERSION = SignatureField(
    name="bundle_version", dtype=WireType.STRING, doc="Version of towers and index, never mixed."
)


def query_mix_inputs() -> tuple[SignatureField, ...]:
    """Returns the inputs that mix the components of a query."""
    branches = (
        SignatureField(
            name=f"query_weight_{branch}",
            dtype=WireType.FLOAT,
            default=1.0,
            doc=f"How much the query's {branch} counts; below 0 = less like it, 0 = not at all.",
        )
        for branch in QUERY_COMPONENTS
        if branch != SEED_ITEMS
    )
    return (
        *branches,
        SignatureField(
            name="seed_item_ids",
            dtype=WireType.STRING,
            shape=(None,),
            default=b"",
            doc="Items to search by; they are not among the results.",
        ),
        SignatureField(
            name="seed_item_weights",
            dtype=WireType.FLOAT,
            shape=(None,),
            default=1.0,
            doc="How much each of `seed_item_ids` counts; below 0 = less like this; 1 where left out.",
        ),
    )


def refused_constraints_input() -> SignatureField:
    """Returns the input that refuses what is understood of the words of a query."""
    return SignatureField(
        name=REFUSED_CONSTRAINTS,
        dtype=WireType.STRING,
        shape=(None,),
        default=b"",
        doc=f"Which of `constraints` shall be words like all others, as an answer names them; `{REFUSE_ALL}` = all.",
    )


def filter_inputs() -> tuple[SignatureField, ...]:
    """Returns the filter inputs."""
    return tuple(
        SignatureField(
            name=filter_.name.value,
            dtype=WIRE_TYPES[filter_.dtype],
            shape=(None,) if filter_.is_list else (),
            default=filter_.default,
            doc=filter_.doc,
        )
        for filter_ in FILTERS
    )


def weight_inputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the weights of the score components, and of the adjustments by the intent of a query."""
    return (
        *(
            SignatureField(
                name=f"weight_{part}",
                dtype=WireType.FLOAT,
                default=config.search.score_weights.get(part, DEFAULT_SCORE_WEIGHTS[part]),
                doc=f"Weight of score component `{part}`{_BY_SUBJECTIVITY if part == SENTIMENT else ''}.",
            )
            for part in config.score_components
        ),
        SignatureField(
            name=INTENT_WEIGHT,
            dtype=WireType.FLOAT,
            default=config.search.intent_weight,
            doc="How much the intent of the query moves weights and diversity; 0 = not at all.",
        ),
    )


def reordering_inputs() -> tuple[SignatureField, ...]:
    """Returns the inputs that reorder results beside their score components: diversity and boosts."""
    return (
        SignatureField(
            name="diversity",
            dtype=WireType.FLOAT,
            default=0.0,
            doc="0 = by score alone, 1 = by difference from what stands above alone; moves results, keeps scores.",
        ),
        SignatureField(
            name="boost_ids", dtype=WireType.STRING, shape=(None,), default=b"", doc="Items whose score is changed."
        ),
        SignatureField(
            name="boost_values",
            dtype=WireType.FLOAT,
            shape=(None,),
            default=0.0,
            doc="Added to the score of each of `boost_ids`.",
        ),
    )


def display_input(config: Config) -> SignatureField:
    """Returns the input that names what is shown of each result."""
    names = ", ".join(config.search.displayed)
    return SignatureField(
        name=FIELDS,
        dtype=WireType.STRING,
        shape=(None,),
        default=b"",
        doc=f"What `display` shows of each result: any of {names}." if names else "Not kept in this bundle.",
    )


def result_outputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the outputs of a page of results."""
    width = (config.search.max_page_size,)
    return (
        SignatureField(name="ids", dtype=WireType.STRING, shape=width, doc="Item ids, best first, padded with ''."),
        SignatureField(
            name="scores",
            dtype=WireType.FLOAT,
            shape=width,
            doc="Weighted sum of the score components, and the boost; padded with 0.",
        ),
        *(
            SignatureField(
                name=f"score_{part}",
                dtype=WireType.FLOAT,
                shape=width,
                doc=f"Score component `{part}`{_DOCS.get(part, '')}; padded with 0.",
            )
            for part in config.score_components
        ),
        SignatureField(name="boosts", dtype=WireType.FLOAT, shape=width, doc="Boost of the score, padded with 0."),
        SignatureField(
            name="num_variants",
            dtype=WireType.INT32,
            shape=width,
            doc="Items of the same product that pass the filters, the result among them; padded with 0.",
        ),
        _display_output(width),
        SignatureField(name="num_results", dtype=WireType.INT32, doc="How many results of this row are real."),
        SignatureField(name="total_matches", dtype=WireType.INT32, doc="How many products pass the filters."),
        SignatureField(
            name="query_weights",
            dtype=WireType.FLOAT,
            shape=(len(QUERY_COMPONENTS),),
            doc=f"Weight of each part of the mixed query: {', '.join(QUERY_COMPONENTS)}.",
        ),
        *query_understanding_outputs(config),
        *status_outputs(),
    )


def _display_output(width: tuple[int]) -> SignatureField:
    return SignatureField(
        name="display",
        dtype=WireType.STRING,
        shape=(*width, None),
        doc="Each of `fields`, in their order, as text; '' where the item has none, no entry where none is asked for.",
    )


def query_understanding_outputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the outputs of query understanding, and the score weights that follow."""
    (intent,), (sentiment,) = QUERY_TASKS, REVIEW_TASKS
    return (
        SignatureField(
            name="intent",
            dtype=WireType.FLOAT,
            shape=(len(intent.classes),),
            doc=f"Probability of each intent: {', '.join(intent.classes)}; zeros for an empty query.",
        ),
        SignatureField(
            name="sentiment",
            dtype=WireType.FLOAT,
            shape=(len(sentiment.classes),),
            doc=f"Probability of each sentiment of its text: {', '.join(sentiment.classes)}; zeros without text.",
        ),
        SignatureField(name="subjectivity", dtype=WireType.FLOAT, doc="How subjective the text is, 0 to 1."),
        SignatureField(
            name="unknown_words",
            dtype=WireType.STRING,
            shape=(MAX_UNKNOWN_WORDS,),
            doc="Words of the text that no item has in any form, nor one near it; padded with ''.",
        ),
        *_constraint_outputs(),
        SignatureField(
            name="score_weights",
            dtype=WireType.FLOAT,
            shape=(len(config.score_components),),
            doc=f"Weight by which each score component counted: {', '.join(config.score_components)}.",
        ),
    )


def _constraint_outputs() -> tuple[SignatureField, ...]:
    return (
        SignatureField(
            name="constraints",
            dtype=WireType.STRING,
            shape=(NUM_CONSTRAINTS,),
            doc="What the words state: `price=from:to`, `without=`, `good_value`, brands and attributes; '' = none.",
        ),
        SignatureField(
            name="constraints_applied",
            dtype=WireType.INT32,
            shape=(NUM_CONSTRAINTS,),
            doc="1 where that of `constraints` holds; 0 for a filter that no match of the words passes, and for none.",
        ),
    )


def rank_outputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the outputs of `rank`: scores of given items."""
    return (
        SignatureField(
            name="scores",
            dtype=WireType.FLOAT,
            shape=(None,),
            doc="Weighted sum of the score components; 0 if unknown.",
        ),
        *(
            SignatureField(
                name=f"score_{part}",
                dtype=WireType.FLOAT,
                shape=(None,),
                doc=f"Score component `{part}`{_DOCS.get(part, '')}.",
            )
            for part in config.score_components
        ),
        *query_understanding_outputs(config),
        *status_outputs(),
    )


def explain_outputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the outputs of `explain`: the place of an item and the contributions to its score."""
    return (
        *_place_outputs(),
        *_contribution_outputs(config),
        *_word_outputs(),
        *query_understanding_outputs(config),
        *status_outputs(),
    )


def _place_outputs() -> tuple[SignatureField, ...]:
    return (
        SignatureField(name="stage", dtype=WireType.STRING, doc=f"Where it stands: {', '.join(Stage)}."),
        SignatureField(
            name="position", dtype=WireType.INT32, doc="Its place in the whole list, from 1; 0 = not in it."
        ),
        SignatureField(
            name="score", dtype=WireType.FLOAT, doc="Its score, shown or not: the sum of the contributions."
        ),
        SignatureField(name="last_score", dtype=WireType.FLOAT, doc="Score of the last result on the page."),
        SignatureField(name="last_id", dtype=WireType.STRING, doc="Id of the last result on the page."),
    )


def _contribution_outputs(config: Config) -> tuple[SignatureField, ...]:
    pairs = (len(QUERY_COMPONENTS), len(ITEM_BRANCHES))
    return (
        SignatureField(
            name="contribution_matrix",
            dtype=WireType.FLOAT,
            shape=pairs,
            doc="Contribution of each query component (row) by each branch of the item (column); the dense side.",
        ),
        *(
            SignatureField(
                name=f"contribution_{part}", dtype=WireType.FLOAT, doc=f"Score component `{part}` times its weight."
            )
            for part in config.score_components
            if part != DENSE
        ),
        SignatureField(
            name="contribution_intent",
            dtype=WireType.FLOAT,
            doc="Contribution of the intent of the query, by the score components that it weighs higher.",
        ),
        SignatureField(name="contribution_boost", dtype=WireType.FLOAT, doc="Contribution of boosts."),
        SignatureField(
            name="query_components",
            dtype=WireType.STRING,
            shape=pairs[:1],
            doc="Names of the rows of `contribution_matrix`.",
        ),
        SignatureField(name="item_branches", dtype=WireType.STRING, shape=pairs[1:], doc="Names of its columns."),
    )


def _word_outputs() -> tuple[SignatureField, ...]:
    return (
        SignatureField(
            name="words",
            dtype=WireType.STRING,
            shape=(MAX_QUERY_WORDS,),
            doc="Words of the query that the item has, as the catalogue writes them; '' for the others.",
        ),
        SignatureField(
            name="word_contributions",
            dtype=WireType.FLOAT,
            shape=(MAX_QUERY_WORDS,),
            doc="Contribution of each word; their sum is `contribution_lexical`.",
        ),
    )


def suggest_outputs() -> tuple[SignatureField, ...]:
    """Returns the outputs of `suggest`: a text with its spelling corrected."""
    return (
        SignatureField(
            name="suggestion",
            dtype=WireType.STRING,
            doc="The text with words that no item has replaced by the nearest that some have; as it came if none is.",
        ),
        SignatureField(name="num_changed", dtype=WireType.INT32, doc="How many words were replaced."),
        BUNDLE_VERSION,
    )


def complete_outputs() -> tuple[SignatureField, ...]:
    """Returns the outputs of `complete`: completions of a text."""
    return (
        SignatureField(
            name="completions",
            dtype=WireType.STRING,
            shape=(NUM_COMPLETIONS,),
            doc="Texts that begin with the given one, the most frequent first, padded with ''.",
        ),
        SignatureField(name="num_results", dtype=WireType.INT32, doc="How many completions of this row are real."),
        BUNDLE_VERSION,
    )


def status_outputs() -> tuple[SignatureField, ...]:
    """Returns the outputs about the request that every answer has."""
    return (SignatureField(name="query_status", dtype=WireType.INT32, doc="`QueryStatus` bits."), BUNDLE_VERSION)
