"""Laws of every index, over random catalogues of 0 to 300 items, random filters and random removals."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.engine.filters import FilterTables
from serving.index.exact import ExactIndex
from serving.index.kinds import MIN_APPROXIMATE_ITEMS, IndexKind
from serving.index.tiered import TieredIndex
from serving.index.vector_store import VectorStore
from tests.serving.index.test_index import index_of
from tests.support.eager_bundle import eagerly
from tests.support.numpy_search import unit
from trainer.spec.config import VectorDtype
from trainer.spec.serving.filters import FILTERS
from trainer.spec.serving.signature_fields import WIRE_TYPES

BRANDS = np.array([b"", b"acme", b"zed", b"oak"], object)
CATEGORIES = np.array([[b"", b""], [b"wear", b""], [b"wear", b"wear > hats"], [b"toys", b""]], object)
ATTRIBUTES = np.array([[b"", b""], [b"colour=red", b""], [b"colour=red", b"size=m"], [b"size=s", b""]], object)
CURRENCIES = np.array([b"", b"EUR", b"USD"], object)
LAWS = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def searches(draw):
    """A catalogue with columns, three queries and what each of them demands."""
    num_items = draw(st.integers(0, 300))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    columns = {
        "brand": BRANDS[random.integers(0, 4, num_items)],
        "category": CATEGORIES[random.integers(0, 4, num_items)],
        "attributes": ATTRIBUTES[random.integers(0, 4, num_items)],
        "currency": CURRENCIES[random.integers(0, 3, num_items)],
        "price": random.integers(-1, 9, num_items).astype(np.float32),
        "in_stock": random.integers(0, 2, num_items),
    }
    vectors = unit(random.normal(size=[num_items, 8])).astype(np.float32)
    queries = unit(random.normal(size=[3, 8])).astype(np.float32)
    ids = st.lists(st.integers(0, max(0, num_items)), max_size=4)
    demand = st.fixed_dictionaries(
        {
            "filter_brand": st.lists(st.sampled_from([b"acme", b"zed", b"nobody"]), max_size=2),
            "filter_category": st.lists(st.sampled_from([b"wear", b"wear > hats", b"none"]), max_size=2),
            "filter_attributes": st.lists(st.sampled_from([b"colour=red", b"size=m", b"size=s"]), max_size=2),
            "filter_price_min": st.sampled_from([-1.0, -1.0, 0.0, 4.0]),
            "filter_price_max": st.sampled_from([-1.0, -1.0, 5.0]),
            "filter_currency": st.sampled_from([[], [], [b"EUR"], [b"USD", b"GBP"]]),
            "filter_in_stock": st.integers(0, 1),
            "include_ids": st.one_of(st.just([]), ids),
            "exclude_ids": ids,
        }
    )
    return vectors, columns, queries, [draw(demand) for _ in queries], draw(st.integers(1, 40))


def passes(columns: dict, row: int, demand: dict) -> bool:
    """One item against one request, as the declaration documents it."""
    brands, categories = demand["filter_brand"], demand["filter_category"]
    keys: dict[bytes, set[bytes]] = {}
    for pair in demand["filter_attributes"]:
        keys.setdefault(pair.split(b"=")[0], set()).add(pair)
    price = columns["price"][row]
    return bool(
        (not brands or columns["brand"][row] in brands)
        and (not categories or set(categories) & set(columns["category"][row]))
        and all(values & set(columns["attributes"][row]) for values in keys.values())
        and (demand["filter_price_min"] < 0 or price >= max(0.0, demand["filter_price_min"]))
        and (demand["filter_price_max"] < 0 or 0.0 <= price <= demand["filter_price_max"])
        and (not demand["filter_currency"] or columns["currency"][row] in demand["filter_currency"])
        and (not demand["filter_in_stock"] or columns["in_stock"][row])
        and (not demand["include_ids"] or row in demand["include_ids"])
        and row not in demand["exclude_ids"]
    )


def as_inputs(demands: list[dict]) -> dict[str, tf.Tensor]:
    inputs = {}
    types = {filter_.name.value: WIRE_TYPES[filter_.dtype].value for filter_ in FILTERS}
    for name in demands[0]:
        values = [demand[name] for demand in demands]
        if name.endswith("_ids"):
            values = [[b"%d" % row for row in value] for value in values]
        if isinstance(values[0], list):
            width = max(map(len, values))
            values = tf.constant([[*value, *[b""] * (width - len(value))] for value in values], tf.string)
        inputs[name] = tf.convert_to_tensor(values, types[name])
    return inputs


def rows_of(num_items: int):
    def look_up(ids: tf.Tensor) -> tf.Tensor:
        rows = tf.strings.to_number(tf.where(ids == b"", b"-1", ids), tf.int32)
        return tf.where(rows < num_items, rows, -1)

    return look_up


def check_rows(found: np.ndarray, query: np.ndarray, *, vectors: np.ndarray, good: list[int], k: int) -> float:
    """The laws that hold for every index; returns how many of the exact best ten of what passes it found."""
    rows = found[found >= 0].tolist()
    assert len(rows) == len(set(rows)) == min(k, len(good))
    assert (found[len(rows) :] == -1).all()
    assert set(rows) <= set(good)
    best = sorted(good, key=lambda row: -float(vectors[row] @ query))[: min(10, k)]
    return len(set(best) & set(rows)) / len(best) if best else 1.0


@pytest.mark.parametrize("kind", [IndexKind.EXACT, IndexKind.IVF, IndexKind.BINARY, IndexKind.SCANN_BRUTE_FORCE])
def test_no_forbidden_item_no_repetition_and_all_there_is(kind):
    recalls: list[float] = []

    @LAWS
    @given(searches())
    def law(search):
        vectors, columns, queries, demands, k = search
        used = kind if len(vectors) >= MIN_APPROXIMATE_ITEMS else IndexKind.EXACT
        tables = FilterTables(columns, rows_of=rows_of(len(vectors)))
        filtered = tables.apply(as_inputs(demands))
        index = index_of(used, vectors, k=k)
        with eagerly():
            allowed = filtered.allowed()
        for mask in (None, allowed):
            rows = index.retrieve(tf.constant(queries), k, mask).numpy()
            for number, (found, query) in enumerate(zip(rows, queries, strict=True)):
                every = range(len(vectors))
                good = [row for row in every if mask is None or passes(columns, row, demands[number])]
                recalls.append(check_rows(found, query, vectors=vectors, good=good, k=k))

    law()
    # Exact kinds find the best ten in every case, the others on average as their recall promises.
    least = min(recalls) if kind in (IndexKind.EXACT, IndexKind.SCANN_BRUTE_FORCE) else np.mean(recalls)
    assert least >= (1.0 if kind in (IndexKind.EXACT, IndexKind.SCANN_BRUTE_FORCE) else 0.95)


@LAWS
@given(searches(), st.data())
def test_what_was_removed_never_comes_and_what_was_added_does(search, data):
    vectors, _, queries, _, k = search
    num_base = data.draw(st.integers(0, len(vectors)))
    random = np.random.default_rng(len(vectors) + num_base)
    removed = random.random(num_base) < data.draw(st.sampled_from([0.0, 0.1, 0.9]))
    kind = IndexKind.IVF if num_base >= MIN_APPROXIMATE_ITEMS else IndexKind.EXACT
    index = TieredIndex(
        index_of(kind, vectors[:num_base]),
        removed=removed,
        delta=ExactIndex(VectorStore.of(vectors[num_base:], storage=VectorDtype.FLOAT32)),
        vectors_of=lambda rows: tf.gather(vectors, tf.maximum(rows, 0)) if len(vectors) else tf.zeros([3, k, 8]),
    )
    allowed = random.random([3, len(vectors)]) < 0.5
    for mask in (None, allowed):
        rows = index.retrieve(tf.constant(queries), k, None if mask is None else tf.constant(mask)).numpy()
        for number, (found, query) in enumerate(zip(rows, queries, strict=True)):
            good = [
                row
                for row in range(len(vectors))
                if (row >= num_base or not removed[row]) and (mask is None or mask[number, row])
            ]
            check_rows(found, query, vectors=vectors, good=good, k=k)
