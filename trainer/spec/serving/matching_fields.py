"""Inputs and outputs of signatures over everything that matches a text and filters."""

from trainer.spec.config import Config
from trainer.spec.merchandising.facets import max_values, parse_facets
from trainer.spec.serving import search_fields
from trainer.spec.serving.signature_fields import SignatureField, WireType

FACETS, FACET_TEXT, PRICE_BOUNDS = "facets", "facet_text", "price_bounds"


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
        SignatureField(name="total_matches", dtype=WireType.INT32, doc="How many products match text and filters."),
        *search_fields.status_outputs(),
    )
