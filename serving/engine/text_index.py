"""Text indexes of a bundle: BM25 and autocomplete."""

import dataclasses

import numpy as np

from serving.catalogue.catalogue import Catalogue
from serving.lexical.autocomplete import Autocomplete, build_phrases
from serving.lexical.bm25 import LexicalIndex, build_postings
from trainer.spec.config import DEFAULT_FIELD_WEIGHTS, SearchConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextIndexes:
    """Text indexes, built once for every flavour of a bundle."""

    lexical: LexicalIndex
    autocomplete: Autocomplete


def build_text_indexes(catalogue: Catalogue, *, search: SearchConfig) -> TextIndexes:
    """Indexes the texts of the items that search can find; term statistics are those of the big index."""
    columns = {name: values[: catalogue.num_indexed] for name, values in catalogue.columns.items()}
    removed = catalogue.removed[: catalogue.num_indexed]
    weights = {**DEFAULT_FIELD_WEIGHTS, **search.field_weights}
    fields = {name: _join_entries(columns[name]) for name in weights}
    fields["attributes"] = _join_entries(columns["attributes"], without_keys=True)
    postings = build_postings(fields, weights=weights, num_base=catalogue.num_base, removed=removed)
    titles, brands = _join_entries(columns["title"][~removed]), _join_entries(columns["brand"][~removed])
    return TextIndexes(lexical=LexicalIndex(postings), autocomplete=Autocomplete(build_phrases(titles, brands)))


def _join_entries(column: np.ndarray, *, without_keys: bool = False) -> list[bytes]:
    """Joins the entries of each item to one text; with `without_keys` only the value of each `key=value`."""
    return [
        text
        if isinstance(text, bytes)
        else b" ".join(part.partition(b"=")[2] if without_keys else part for part in text)
        for text in column.tolist()
    ]
