"""Builders of the training tables: model inputs of items, item days and the events of one split, from Examples."""

import collections
import hashlib
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.ops import example_reader, examples, graph, trend
from trainer.ops.blocks import price
from trainer.spec.branches import USER_MODALITIES
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Dtype, Feature, Side
from trainer.tables import columnar
from trainer.tables.id_assigner import IdAssigner

FACTS = "facts"  # beside the item store: relations, and prices without their currency
RAW_TEXT = "raw_text"  # bytes column: the text of an item or a query for lexical baselines
_READ_ROWS = 256
_FILES_AT_ONCE = 4


def _read(files: Sequence[str], form: Callable[[tf.Tensor], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """`form` of batches of serialized Examples, four files in turn, in an order that stays; `.gz` is read as gzip."""
    records = example_reader.serialized_batches(files, batch_size=_READ_ROWS, interleaved_files=_FILES_AT_ONCE)
    formed = records.map(tf.autograph.experimental.do_not_convert(form), num_parallel_calls=2)
    return formed.prefetch(2).as_numpy_iterator()


def build_items(directory: pathlib.Path, *, files: Sequence[str], ops: examples.ModelOps) -> None:
    """Writes the item store into the empty folder `directory`, rows sorted by item id, and its facts beside it.

    Raises:
      ValueError: No items, or an item id twice.
    """

    def to_row(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        wire = examples.parse(serialized, sides=[Side.ITEM], wire=ops.config.wire)
        features = ops.item_model_inputs(wire)
        del features["status"]
        types = graph.to_model(
            wire["relation_types"],
            num_relation_types=ops.config.tower.graph.num_relation_types,
            max_copurchased=ops.config.wire.max_copurchased,
        )
        facts = {"neighbour_types": types, **{name: wire[name] for name in ("relation_ids", "price", "currency")}}
        return {
            **features,
            "item_id": wire["item_id"],
            RAW_TEXT: tf.strings.join(examples.texts_of(wire, Side.ITEM), " "),
            FACTS: facts,
        }

    ids: list[bytes] = []
    facts: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    with columnar.TableWriter(directory) as writer:
        for batch in _read(files, to_row):
            for name, values in batch.pop(FACTS).items():
                facts[name].append(values)
            writer.append(batch)
            ids.extend(batch["item_id"])
        _check_ids(ids, files)
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__))
        writer.finish(order=order)
    _write_facts(
        directory / FACTS,
        {name: np.concatenate(values)[order] for name, values in facts.items()},
        row_of={ids[index]: row for row, index in enumerate(order)},
    )


def _write_facts(directory: pathlib.Path, facts: Mapping[str, np.ndarray], *, row_of: Mapping[bytes, int]) -> None:
    directory.mkdir()
    currencies = facts["currency"].tolist()
    by_currency = price.currency_levels(facts["price"], currencies)
    level = np.array([by_currency.get(name, np.nan) for name in currencies], np.float32)
    with columnar.TableWriter(directory) as writer:
        writer.append(
            {
                "relation_rows": _rows_of(facts["relation_ids"], row_of),
                "neighbour_types": facts["neighbour_types"],
                "price": price.relative_log_prices(facts["price"], currencies, by_currency),
                "price_level": level,
            }
        )
        writer.finish()


def build_days(
    directory: pathlib.Path,
    *,
    files: Sequence[str],
    ops: examples.ModelOps,
    row_of: Mapping[bytes, int],
    price_level: np.ndarray,
) -> None:
    """Writes the item days into the empty folder `directory`, rows sorted by item and day.

    Args:
      directory: Folder of the table.
      files: Item-day Examples; may be none.
      ops: From wire form to model inputs.
      row_of: Store row of each item id; records of other items are left out.
      price_level: [items] float32, the mean logarithm of the prices in each item's currency.
    """

    def to_row(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        wire = examples.parse(serialized, sides=[Side.ITEM_DAY], wire=ops.config.wire)
        names = ("day_item_id", "day", "latest", "regular", "companion_ids", "label_units", "label_price")
        return {
            **trend.to_model(wire),
            "last_price": wire["trend_price"][:, -1],
            **{name: wire[name] for name in names},
        }

    keys: list[np.ndarray] = []
    empty = {name: value.numpy() for name, value in to_row(tf.constant([], tf.string)).items()}
    with columnar.TableWriter(directory) as writer:
        batches = _read(files, to_row)
        for batch in itertools.chain([empty], batches):
            item_rows = _rows_of(batch.pop("day_item_id"), row_of)
            kept = np.flatnonzero(item_rows >= 0)
            batch, item_rows = {name: values[kept] for name, values in batch.items()}, item_rows[kept]
            batch["companion_rows"] = _rows_of(batch.pop("companion_ids"), row_of)
            writer.append({**batch, **_relative_values(batch, price_level[item_rows]), "item_row": item_rows})
            keys.append(np.stack([item_rows, batch["day"]], axis=1))
        item_row, day = np.concatenate(keys).T
        writer.finish(order=np.lexsort((day, item_row)))


def _relative_values(batch: Mapping[str, np.ndarray], level: np.ndarray) -> dict[str, np.ndarray]:
    """Prices relative to their level, and unit labels, NaN where not known."""
    units = np.where(batch["label_units"] >= 0.0, batch["label_units"], np.float32(np.nan))
    return {**{name: _relative(batch[name], level) for name in ("last_price", "label_price")}, "label_units": units}


def _relative(prices: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Logarithms of prices above their levels, NaN where not known."""
    known = np.where(prices > 0.0, prices, np.float32(np.nan))
    return (np.log(known) - level).astype(np.float32)


def _check_ids(ids: Sequence[bytes], files: Sequence[str]) -> None:
    twice = sorted(item_id for item_id, count in collections.Counter(ids).items() if count > 1)[:3]
    if twice:
        raise ValueError(
            f"Item ids {twice} occur twice in {files[0]} and the files beside it; keep one Example for each item."
        )
    if not ids:
        raise ValueError(
            f"No items in {list(files)}; wanted at least one. See `dead_letters/` of the preprocessing output."
        )


class EventFunctions:
    """Functions of events as graphs, traced once for the splits that are built with them.

    Attributes:
      parse: Event Examples [batch] string to the wire form.
      to_query: Content of queries in wire form to model inputs and `RAW_TEXT`.
      to_shopper: Features of shoppers in wire form to model inputs.
      to_review: Review texts [review] string to model inputs.
    """

    def __init__(self, ops: examples.ModelOps) -> None:
        wire = ops.config.wire
        sides = (Side.QUERY, Side.EVENT)
        content, shopper = _query_content_features(), _shopper_features()

        def to_query(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            raw = tf.strings.join(examples.texts_of(values, Side.QUERY), " ")
            return {**ops.query_content_model_inputs(values), RAW_TEXT: raw}

        def to_shopper(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            inputs = ops.user_model_inputs(values)
            return {name: inputs[name] for name in inputs if name != "status"}

        self.parse = lambda serialized: examples.parse(serialized, sides=sides, wire=wire)
        self.to_query = _compiled(to_query, content, wire)
        self.to_shopper = _compiled(to_shopper, shopper, wire)
        self.to_review = ops.review_model_inputs


def build_events(
    directory: pathlib.Path, *, files: Sequence[str], functions: EventFunctions, row_of: Mapping[bytes, int]
) -> None:
    """Writes the event tables of one split into the empty folder `directory`.

    Args:
      directory: Gets the folders `queries`, `reviews`, `requests` and `rows`.
      files: Event Examples; may be none.
      functions: From Examples to model inputs.
      row_of: Store row of each item id; events of other items are dropped and counted.
    """
    empty = {name: value.numpy() for name, value in functions.parse(tf.constant([], tf.string)).items()}
    with _EventBuilder(directory, functions=functions, row_of=row_of) as builder:
        builder.append(empty)  # so that a split without events has its columns too
        for wire in _read(files, functions.parse):
            builder.append(wire)
        builder.finish()


class _EventBuilder:
    """Writer of one split; the model inputs of a query that occurs in many rows are computed and stored once."""

    def __init__(self, directory: pathlib.Path, *, functions: EventFunctions, row_of: Mapping[bytes, int]) -> None:
        for name in ("queries", "reviews", "requests", "rows"):
            (directory / name).mkdir()
        self._queries = columnar.TableWriter(directory / "queries")
        self._reviews = columnar.TableWriter(directory / "reviews")
        self._requests = columnar.TableWriter(directory / "requests")
        self._rows = columnar.TableWriter(directory / "rows")
        self._request_ids = IdAssigner(directory / "requests.db")
        self._query_ids = IdAssigner(directory / "queries.db")
        self._review_ids = IdAssigner(directory / "reviews.db")
        self._request_of_row: list[np.ndarray] = []
        self._row_of = row_of
        self._dropped = 0
        self._names: list[str] = []  # columns of the shopper
        self._functions = functions
        self._query_features = _query_content_features()
        self._shopper = _shopper_features()
        self._review_rows(np.array([b""], object))  # row 0: no review

    def __enter__(self) -> "_EventBuilder":
        return self

    def __exit__(self, *unused: object) -> None:
        for table in (self._queries, self._reviews, self._requests, self._rows):
            table.__exit__(*unused)
        for numbers in (self._request_ids, self._query_ids, self._review_ids):
            numbers.close()

    def append(self, wire: Mapping[str, np.ndarray]) -> None:
        """Adds the events of a batch in wire form."""
        item_rows = _rows_of(wire["event_item_id"], self._row_of)
        kept = np.flatnonzero(item_rows >= 0)
        self._dropped += len(item_rows) - len(kept)
        wire = {name: values[kept] for name, values in wire.items()}
        numbers = {f.name: wire[f.name] for f in features_of(Side.EVENT) if f.dtype is not Dtype.BYTES}
        requests, _ = self._request_ids.assign(wire["request_id"].tolist())
        self._request_of_row.append(requests)
        shopper = self._shopper_columns(wire)
        self._names = sorted(shopper)
        self._rows.append(
            {
                **numbers,
                "request_id": wire["request_id"],
                "request": requests,
                "item_row": item_rows[kept],
                "query_row": self._query_rows(wire),
                "review_row": self._review_rows(wire["review_text"]),
                **shopper,
            }
        )

    def _shopper_columns(self, wire: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model inputs of the shopper for every row: {name: [n, ...]}."""
        inputs = {feature.name: _tensor(wire[feature.name]) for feature in self._shopper}
        columns = {name: values.numpy() for name, values in self._functions.to_shopper(inputs).items()}
        return {**columns, "history_rows": _rows_of(wire["history_ids"], self._row_of)}

    def finish(self) -> None:
        """Closes the tables."""
        self._queries.finish()
        self._reviews.finish()
        requests = np.concatenate(self._request_of_row)
        size = np.bincount(requests, minlength=len(self._request_ids))
        self._requests.append({"first": np.cumsum(size) - size, "size": size})
        self._requests.finish()
        notes = {"dropped": self._dropped, "shopper": self._names}
        self._rows.finish(order=np.argsort(requests, kind="stable"), notes=notes)

    def _query_rows(self, wire: Mapping[str, np.ndarray]) -> np.ndarray:
        rows = range(len(wire["query_text"]))
        keys = [_digest([wire[feature.name][row] for feature in self._query_features]) for row in rows]
        numbers, new = self._query_ids.assign(keys)
        if len(new) or not self._queries.num_rows:
            features = {f.name: _tensor(wire[f.name][new]) for f in self._query_features}
            self._queries.append({name: value.numpy() for name, value in self._functions.to_query(features).items()})
        return numbers

    def _review_rows(self, texts: np.ndarray) -> np.ndarray:
        numbers, new = self._review_ids.assign(texts.tolist())
        if len(new):
            self._reviews.append({"review_words": self._functions.to_review(tf.constant(texts[new].tolist())).numpy()})
        return numbers


def _query_content_features() -> tuple[Feature, ...]:
    """Returns the features of the content of queries."""
    return tuple(f for f in features_of(Side.QUERY) if f.modality not in (None, *USER_MODALITIES))


def _shopper_features() -> tuple[Feature, ...]:
    """Returns the query features of shoppers."""
    return tuple(f for f in features_of(Side.QUERY) if f.modality in USER_MODALITIES)


def _compiled(function: Callable[..., Any], features: Iterable[Feature], wire: WireConfig) -> Any:
    specs = {feature.name: examples.tensor_spec(feature, wire) for feature in features}
    return tf.function(function, input_signature=[specs], autograph=False)


def _tensor(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values, tf.string if values.dtype == object else values.dtype, shape=values.shape)


def _rows_of(ids: np.ndarray, row_of: Mapping[bytes, int]) -> np.ndarray:
    """Store rows of item ids of any shape, int32, -1 where unknown."""
    flat = np.fromiter((row_of.get(item_id, -1) for item_id in ids.ravel()), np.int32, ids.size)
    return flat.reshape(ids.shape)


def _digest(values: Sequence[Any]) -> bytes:
    digest = hashlib.sha256()
    for value in values:
        for part in np.atleast_1d(np.asarray(value, dtype=object)):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
