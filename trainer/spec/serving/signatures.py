"""The contract between the towers, the bundle and its callers, as plain data.

Towers (one SavedModel exported by the trainer, wrapped by the Indexer) have these functions:

  `embed_item(wire)`    wire: {item feature: tensor} for every item feature that is content; the changing branches of
                        what comes out are absent
  `embed_day(inputs)`   inputs: `encoded` of `embed_item`, the day features of the trend, and in place of the ids of
                        neighbours `neighbour_vectors` [batch, neighbours, dim] float32 (content vectors),
                        `neighbour_present` [batch, neighbours] bool, `relation_types` of the catalogue, and
                        `last_price` [batch] float32, its logarithm less the level of its currency, and
                        `last_price_present` [batch] float32
                        -> `branches` [batch, changing branch, dim], and {day task: [batch] float32}: a count as units a
                        day, an amount as its logarithm less that level
  `embed_query(inputs)` inputs: the wire query features of the branches, and in place of `history_ids`
                        `history_vectors` [batch, history, dim] float32 (content vectors of those items) and
                        `history_present` [batch, history] bool
                        -> beside the others `repeats` and, with `wire.text_embedding_dim`, `text_features`
  `embed_text(wire)`    wire: `query_text` alone, for queries of nothing but a text; no other branch is computed
                        -> as `embed_query`, with `repeats` [batch, 0]
  `query_keys(query_vectors)`, `item_keys(item_vectors)`
                        [n, dim] -> [n, key_dim]; the similarity of a query and an item is the dot product of their keys
  `score_pairs(query_vectors, item_vectors)`
                        [batch, dim], [batch, depth, dim] -> {pair task: [batch, depth] float32 in 0..1}
  `classify_queries(branches)`
                        `branches` of `embed_query` -> {query task: [batch, classes] float32, sum 1}
  `classify_reviews(texts)`
                        [review] string -> {review task: [review, classes] float32, sum 1}

The embed functions return `TowerOutput`. The bundle's signatures are those of `signatures`.
"""

import enum

from trainer.spec.config import Config
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.merchandising.facets import parse_facets
from trainer.spec.merchandising.orders import SortOrder
from trainer.spec.serving import matching_fields, search_fields, update_fields
from trainer.spec.serving.signature_fields import Signature, SignatureField, WireType, feature_field
from trainer.spec.tower import BILINEAR


class TowerOutput(enum.StrEnum):
    """Outputs of `embed_item`, `embed_query` and `embed_text`."""

    VECTOR = "vector"  # [batch, dim] float32 (all zero when every branch is absent)
    BRANCHES = "branches"  # [batch, branch, dim] float32; the vector is their sum, or that over its length
    WEIGHTS = "weights"  # [batch, branch] float32, 0 for an absent branch
    STATUS = "status"  # [batch] int32, `QueryStatus` bits
    REPEATS = "repeats"  # queries only: [batch, history] float32, bonus on the similarity of each history item
    # Queries only, where preprocessing encodes the texts of items: [batch, features] float32, the frozen encoder's own.
    TEXT_FEATURES = "text_features"
    ENCODED = "encoded"  # items only: [batch, branch, dim] float32, input of `embed_day`


class QueryStatus(enum.IntFlag):
    """Status bits of a row of a request; 0 = everything was read as given."""

    OK = 0
    EMPTY = 1  # nothing to search by: answered by popularity
    TEXT_REPLACED = 2  # not UTF-8: bad bytes replaced
    IMAGE_UNREADABLE = 4  # counted as absent
    VIDEO_UNREADABLE = 8  # counted as absent
    HISTORY_UNKNOWN = 16  # some history items are not in the catalogue
    ITEM_UNKNOWN = 32  # the given item is not in the catalogue
    PAGE_CLAMPED = 64  # page or page_size out of range
    NUMBER_REPLACED = 128  # NaN or infinity in a numeric input, read as its default
    AUDIO_UNREADABLE = 256  # counted as absent
    NAME_UNKNOWN = 512  # a field, facet or order that the bundle does not have


_ITEM_ID = SignatureField(name="item_id", dtype=WireType.STRING, default=b"", doc="The item to start from.")
_ITEM_IDS = SignatureField(
    name="item_ids", dtype=WireType.STRING, shape=(None,), default=b"", doc="The items to score."
)
_PAGE = SignatureField(name="page", dtype=WireType.INT32, default=1, doc="Page, from 1.", minimum=1)
_PLACEHOLDER = SignatureField(
    name="placeholder", dtype=WireType.INT64, default=0, doc="Not read; TF Serving wants an input."
)
_SPEC = SignatureField(
    name="spec_json", dtype=WireType.STRING, doc="Sizes of the wire form as JSON, the same in every row."
)


def signatures(config: Config) -> tuple[Signature, ...]:
    """Returns every signature of a bundle built with `config`."""
    ranked, matched = _search_signatures(config), _matching_signatures(config)
    declared = (*ranked, *matched, *_text_signatures(config), *_embedding_signatures(config))
    if config.search.live_updates:
        (price,) = (feature_field(feature, config) for feature in features_of(Side.ITEM) if feature.name == "price")
        declared = (*declared, update_fields.update_signature(_ITEM_ID, price))
    # The contributions of an item's branches to its score exist only where the similarity is a sum over them.
    return tuple(one for one in declared if one.name != "explain" or config.tower.similarity in BILINEAR)


def _query_inputs(config: Config) -> tuple[SignatureField, ...]:
    return tuple(feature_field(feature, config) for feature in features_of(Side.QUERY))


def _query_text(config: Config) -> SignatureField:
    return next(field for field in _query_inputs(config) if field.name == "query_text")


def _page_size(config: Config) -> SignatureField:
    return SignatureField(
        name="page_size",
        dtype=WireType.INT32,
        default=min(10, config.search.max_page_size),
        doc="Results a page, from 1 to the published width.",
        minimum=1,
        maximum=config.search.max_page_size,
    )


def _search_signatures(config: Config) -> tuple[Signature, ...]:
    """Signatures that rank items."""
    refused = search_fields.refused_constraints_input()
    query = (*_query_inputs(config), *search_fields.query_mix_inputs(), refused)
    page, weights = (_PAGE, _page_size(config)), search_fields.weight_inputs(config)
    search = (*query, *search_fields.filter_inputs(), *page, *weights, *search_fields.reordering_inputs())
    results, fields = search_fields.result_outputs(config), search_fields.display_input(config)
    text = (_query_text(config), _page_size(config), fields)
    return (
        Signature(name="search", inputs=(*search, fields), outputs=results, doc="Multimodal search."),
        Signature(name="search_text", inputs=text, outputs=results, doc="Text search, first page."),
        Signature(name="similar_items", inputs=(_ITEM_ID, *page, fields), outputs=results, doc="Items like one item."),
        Signature(
            name="rank",
            inputs=(*query, _ITEM_IDS, *weights),
            outputs=search_fields.rank_outputs(config),
            doc="Scores of given items for a query, in the order given.",
        ),
        Signature(
            name="explain",
            inputs=(*search, _ITEM_ID),
            outputs=search_fields.explain_outputs(config),
            doc="Why an item stands where it does in the answer to a search, or why it does not.",
        ),
    )


def _matching_signatures(config: Config) -> tuple[Signature, ...]:
    """Signatures over everything that matches."""
    matching = (_query_text(config), *search_fields.filter_inputs())
    page = (_PAGE, _page_size(config), search_fields.display_input(config))
    return (
        Signature(
            name="facets",
            inputs=(*matching, *matching_fields.facet_inputs()),
            outputs=matching_fields.facet_outputs(config),
            doc="Counts of what matches a text and filters, by the values of facets.",
        ),
        Signature(
            name="browse",
            inputs=(*matching, matching_fields.sort_input(), *page),
            outputs=matching_fields.browse_outputs(config),
            doc="Everything that matches a text and filters, in an order of its own.",
        ),
    )


def _text_signatures(config: Config) -> tuple[Signature, ...]:
    """Signatures about the text of a query."""
    text = (_query_text(config),)
    return (
        Signature(
            name="suggest",
            inputs=text,
            outputs=search_fields.suggest_outputs(),
            doc="The text with its spelling corrected.",
        ),
        Signature(
            name="complete",
            inputs=text,
            outputs=search_fields.complete_outputs(),
            doc="Completions of the beginning of a text.",
        ),
    )


def _embedding_signatures(config: Config) -> tuple[Signature, ...]:
    """Signatures that give vectors, and the sizes of the wire form."""
    item = tuple(feature_field(f, config) for f in features_of(Side.ITEM) if f.modality is not None)
    query, vectors = _query_inputs(config), _vectors(config)
    return (
        Signature(name="embed_query", inputs=query, outputs=vectors, doc="The query vector."),
        Signature(name="embed_item", inputs=item, outputs=vectors, doc="The vector of an item given by its content."),
        Signature(
            name="wire_spec", inputs=(_PLACEHOLDER,), outputs=(_SPEC,), doc="Sizes that a client needs for requests."
        ),
    )


def _vectors(config: Config) -> tuple[SignatureField, ...]:
    return (
        SignatureField(
            name="vector", dtype=WireType.FLOAT, shape=(config.tower.dim,), doc="The vector; of length 1 by default."
        ),
        SignatureField(name="weights", dtype=WireType.FLOAT, shape=(None,), doc="Weight of each branch."),
        SignatureField(name="query_status", dtype=WireType.INT32, doc="`QueryStatus` bits."),
    )


def wire_spec(config: Config) -> dict[str, int | list[str]]:
    """Returns the content of the `wire_spec` signature: the sizes of the wire form, and names that requests may use."""
    return {
        "image_px": config.wire.image_px,
        "num_frames": config.wire.num_frames,
        "frame_px": config.wire.frame_px,
        "audio_ms": config.wire.audio_ms,
        "history_length": config.wire.history_length,
        "search_history_length": config.wire.search_history_length,
        "max_page_size": config.search.max_page_size,
        "ranking_depth": config.search.ranking_depth,
        "display_fields": list(config.search.displayed),
        "orders": [*SortOrder],
        "facets": [facet.name for facet in parse_facets(config.search.facets)],
    }
