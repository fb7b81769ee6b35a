"""Text indexes of a bundle: BM25 and autocomplete."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from serving.catalogue.catalogue import Catalogue
from serving.catalogue.synonym_file import read_synonym_file
from serving.lexical.attribute_values import attribute_values
from serving.lexical.autocomplete import Autocomplete, build_phrases
from serving.lexical.bm25 import LexicalIndex
from serving.lexical.constraint_reader import ConstraintReader
from serving.lexical.postings import Bm25, build_postings
from serving.lexical.tokens import ABSENT, ATTRIBUTE_VALUES, IDENTIFIERS
from serving.lexical.word_constraints import WordConstraints
from trainer.language.detection import detect_languages
from trainer.language.languages import parse_languages
from trainer.language.synonyms import added_texts, parse_synonyms
from trainer.spec.config import AUTO_LANGUAGES, DEFAULT_FIELD_WEIGHTS, SearchConfig
from trainer.spec.records import IDENTIFIER_ATTRIBUTES

SYNONYMS = "synonyms"
_SAYING_ABSENT = ("title", "description", "attributes")  # fields whose texts may say what an item is without
_TEXT_BATCH_SIZE = 1_024
_NO_WORD = re.compile(r"[\W_]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextIndexes:
    """Text indexes, built once for every flavour of a bundle."""

    lexical: LexicalIndex
    autocomplete: Autocomplete
    constraints: WordConstraints


def build_text_indexes(catalogue: Catalogue, *, search: SearchConfig) -> TextIndexes:
    """Indexes the texts of the items that search can find; term statistics are those of the big index."""
    columns = {name: values[: catalogue.num_indexed] for name, values in catalogue.columns.items()}
    removed = catalogue.removed[: catalogue.num_indexed]
    weights = {**DEFAULT_FIELD_WEIGHTS, **search.field_weights}
    fields = {name: _join_entries(columns[name]) for name in weights if name in columns}
    fields["item_id"] = list(catalogue.ids[: catalogue.num_indexed])
    fields[IDENTIFIERS] = _identifiers(fields["item_id"], columns["attributes"])
    fields["attributes"] = _join_entries(columns["attributes"], without_keys=True)
    fields["category"] = _leaves(columns["category"])
    languages = _languages({name: texts[: catalogue.num_base] for name, texts in fields.items()}, search)
    if search.synonyms_path:
        fields[SYNONYMS] = _synonyms(fields, languages, search)
    values = attribute_values(columns["brand"].tolist(), columns["attributes"].tolist(), languages)
    fields[ATTRIBUTE_VALUES] = values.lines
    fields[ABSENT] = _absent_words(fields, languages)
    postings = build_postings(
        fields,
        bm25=Bm25(weights={name: weights[name] for name in fields}, k1=search.bm25_k1, b=search.bm25_b),
        languages=languages,
        num_base=catalogue.num_base,
        removed=removed,
    )
    titles, brands = _join_entries(columns["title"][~removed]), _join_entries(columns["brand"][~removed])
    lexical = LexicalIndex(postings)
    return TextIndexes(
        lexical=lexical,
        autocomplete=Autocomplete(build_phrases(titles, brands)),
        constraints=WordConstraints(
            postings, lexical, phrases=values.phrases, currencies=catalogue.columns["currency"].tolist()
        ),
    )


def _absent_words(fields: Mapping[str, Sequence[bytes]], languages: Sequence[str]) -> list[bytes]:
    """The words that the texts of each item say it is without."""
    texts = [b" , ".join(parts) for parts in zip(*(fields[name] for name in _SAYING_ABSENT), strict=True)]
    reader, found = ConstraintReader(languages), []
    for start in range(0, len(texts), _TEXT_BATCH_SIZE):
        found += reader.absent_words(tf.constant(texts[start : start + _TEXT_BATCH_SIZE], tf.string)).numpy().tolist()
    return found


def _synonyms(fields: Mapping[str, Sequence[bytes]], languages: Sequence[str], search: SearchConfig) -> list[bytes]:
    """The phrases that shall find each item by the synonyms of its other texts."""
    rules = parse_synonyms(read_synonym_file(search), name=search.synonyms_path)
    read = [texts for name, texts in fields.items() if name not in (IDENTIFIERS, "item_id")]
    texts = [b" ".join(parts).decode(errors="replace") for parts in zip(*read, strict=True)]
    return [text.encode() for text in added_texts(texts, rules, languages)]


def _languages(fields: Mapping[str, Sequence[bytes]], search: SearchConfig) -> tuple[str, ...]:
    """The languages of the configuration, or those that titles and descriptions of the big index are in."""
    if search.languages != AUTO_LANGUAGES:
        return parse_languages(search.languages)
    texts = zip(fields["title"], fields["description"], strict=True)
    return detect_languages([b" ".join(parts).decode(errors="replace") for parts in texts])


def _identifiers(ids: Sequence[bytes], attributes: np.ndarray) -> list[bytes]:
    """The id of each item, and what attributes name it by, a line each; a name without a digit may be any word."""
    found = []
    for item_id, entries in zip(ids, attributes.tolist(), strict=True):
        pairs = [entry.decode(errors="replace").partition("=") for entry in entries]
        named = [value for key, _, value in pairs if _NO_WORD.sub("", key.casefold()) in IDENTIFIER_ATTRIBUTES]
        values = [value for text in named for value in re.split("[,;|]", text) if any(map(str.isdigit, value))]
        found.append(b"\n".join([item_id.replace(b"\n", b" "), *(value.encode() for value in values)]))
    return found


def _leaves(column: np.ndarray) -> list[bytes]:
    """The longest path of each item, which names all its levels."""
    return [max(paths, key=len, default=b"") for paths in column.tolist()]


def _join_entries(column: np.ndarray, *, without_keys: bool = False) -> list[bytes]:
    """Joins the entries of each item to one text; with `without_keys` only the value of each `key=value`."""
    return [
        text
        if isinstance(text, bytes)
        else b" ".join(part.partition(b"=")[2] if without_keys else part for part in text)
        for text in column.tolist()
    ]
