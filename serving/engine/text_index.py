"""What a bundle knows of its items' texts: the lexical index and the completions."""

import dataclasses

import numpy as np

from serving.catalogue.catalogue import Catalogue
from serving.lexical.autocomplete import Autocomplete, build_phrases
from serving.lexical.bm25 import LexicalIndex, build_postings
from trainer.spec.config import DEFAULT_FIELD_WEIGHTS, SearchConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextIndexes:
    """Built once for every flavour of a bundle."""

    lexical: LexicalIndex
    completion: Autocomplete


def build_text_indexes(catalogue: Catalogue, *, search: SearchConfig) -> TextIndexes:
    """Reads the texts of the items that search can find; term statistics are those of the big index."""
    columns = {name: values[: catalogue.num_indexed] for name, values in catalogue.columns.items()}
    removed = catalogue.removed[: catalogue.num_indexed]
    weights = {**DEFAULT_FIELD_WEIGHTS, **search.field_weights}
    fields = {name: _join_entries(columns[name]) for name in weights}
    fields["attributes"] = _join_entries(columns["attributes"], without_keys=True)
    postings = build_postings(fields, weights=weights, num_base=catalogue.num_base, removed=removed)
    titles, brands = _join_entries(columns["title"][~removed]), _join_entries(columns["brand"][~removed])
    return TextIndexes(lexical=LexicalIndex(postings), completion=Autocomplete(build_phrases(titles, brands)))


def _join_entries(column: np.ndarray, *, without_keys: bool = False) -> list[bytes]:
    """One text an item: entries of a list one after the other, of `key=value` only the value where that is asked."""
    return [
        text
        if isinstance(text, bytes)
        else b" ".join(part.partition(b"=")[2] if without_keys else part for part in text)
        for text in column.tolist()
    ]
