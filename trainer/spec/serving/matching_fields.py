"""Inputs and outputs of signatures over everything that matches a text and filters."""

from trainer.spec.config import Config
from trainer.spec.merchandising.facets import max_values, parse_facets
from trainer.spec.merchandising.orders import SortOrder
from trainer.spec.serving import search_fields
from trainer.spec.serving.signature_fields import SignatureField, WireType

SORT_BY = "sort_by"
FACETS, FACET_TEXT, PRICE_BOUNDS = "facets", "facet_text", "price_bounds"


def sort_input() -> SignatureField:
    """Returns the input that names the order of `browse`."""
    return SignatureField(
        name=SORT_BY,
        dtype=WireType.STRING,
        default=SortOrder.POPULARITY.value.encode(),
        doc=f"Order: {', '.join(SortOrder)}; where it is not known of an item, the item comes last.",
    )


def browse_outputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the outputs of `browse`: a page without scores."""
    shared = ("ids", "display", "num_results")
    width = (config.search.max_page_size,)
    variants = "Items of the same product that match, the result among them; padded with 0."
    return (
        *(field for field in search_fields.result_outputs(config) if field.name in shared),
        SignatureField(name="num_variants", dtype=WireType.INT32, shape=width, doc=variants),
        _total_matches(),
        *search_fields.status_outputs(),
    )


def _total_matches() -> SignatureField:
    return SignatureField(
        name="total_matches", dtype=WireType.INT32, doc="How many products match the text and the filters."
    )


def facet_inputs() -> tuple[SignatureField, ...]:
    """Returns the inputs of `facets` beside a text and filters."""
    return (
        SignatureField(
            name=FACETS,
            dtype=WireType.STRING,
            shape=(None,),
            default=b"",
            doc="Facets: `category.1` (a level), `brand`, `currency`, `price`, `attributes.KEY`, `attributes`.",
        ),
        SignatureField(
            name=FACET_TEXT,
            dtype=WireType.STRING,
            default=b"",
            doc="Only values that contain it, whatever the case; ranges of prices stay.",
        ),
        SignatureField(
            name=PRICE_BOUNDS,
            dtype=WireType.FLOAT,
            shape=(None,),
            default=-1.0,
            doc="Bounds between the ranges of `price`; without any the ranges have one size; below 0 is padding.",
        ),
    )


def facet_outputs(config: Config) -> tuple[SignatureField, ...]:
    """Returns the outputs of `facets`."""
    width = max_values(parse_facets(config.search.facets))
    return (
        SignatureField(
            name="facet_values",
            dtype=WireType.STRING,
            shape=(None, width),
            doc="Values of each of `facets`, in their order; padded with ''. A range of prices is `from:to`.",
        ),
        SignatureField(
            name="facet_counts",
            dtype=WireType.INT32,
            shape=(None, width),
            doc="How many of the products that match have each value; padded with 0.",
        ),
        SignatureField(
            name="facet_sizes",
            dtype=WireType.INT32,
            shape=(None,),
            doc="How many values of each facet some match has, in the answer or not.",
        ),
        _total_matches(),
        *search_fields.status_outputs(),
    )
