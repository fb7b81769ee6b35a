"""Bundles that compare by something else than the cosine: the order and the scores are those of the plain formula."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from serving.index.kinds import IndexKind, choose_kind
from serving.similarity import Similarity, is_unit_length
from serving.towers import LoadedTowers, TowersModule
from tests.serving.conftest import make_bundle, make_shop
from tests.support.fake_towers import FakeModel, FakeOps, text_of
from tests.support.numpy_search import unit
from trainer.spec.config import Config, SearchConfig
from trainer.spec.serving.signatures import signatures
from trainer.spec.tower import BILINEAR, UNNORMALIZED_SIMILARITIES, SimilarityKind

WEIGHTS = {"weight_dense": [1.0], "weight_lexical": [0.0]}
SHOP = make_shop(40)
SUMS = SHOP.branches.sum(axis=1).astype(np.float64)
QUERY = np.random.default_rng(3).normal(size=16).round(3)


def distribution(vectors):
    exponents = np.exp(4.0 * unit(vectors))  # √16 times a vector of length 1
    return exponents / exponents.sum(axis=-1, keepdims=True)


def by_formula(similarity):
    """The similarity of `QUERY` with each item [n], as a person would write it down."""
    if similarity is SimilarityKind.DOT:
        return SUMS @ QUERY
    if similarity is SimilarityKind.EUCLIDEAN:
        return -((SUMS - QUERY) ** 2).sum(axis=1)
    if similarity is SimilarityKind.KL:
        wanted, given = distribution(QUERY), distribution(SUMS)
        return -(wanted * np.log(wanted / given)).sum(axis=1)
    return np.mean(np.where((SUMS >= 0) == (QUERY >= 0), 1.0, -1.0), axis=1)


def towers_by(config: Config, similarity: SimilarityKind) -> LoadedTowers:
    config = dataclasses.replace(config, tower=dataclasses.replace(config.tower, similarity=similarity))
    return LoadedTowers(module=TowersModule(FakeModel(config), ops=FakeOps(config)), config=config, model_id="ab" * 32)


@pytest.mark.parametrize("similarity", [s for s in SimilarityKind if s is not SimilarityKind.COSINE])
def test_a_bundle_ranks_by_the_similarity_of_its_towers(config, similarity):
    towers = towers_by(config, similarity)
    assert is_unit_length(Similarity(towers).kind) is (similarity not in UNNORMALIZED_SIMILARITIES)
    groups = [b""] * len(SHOP.ids)
    shop = dataclasses.replace(SHOP, groups=groups)
    bundle = make_bundle(towers, shop.catalogue(similarity=similarity))
    inputs = {"query_text": [text_of(QUERY)], "page_size": [20], **WEIGHTS}
    types = {port.name: port.dtype.value for s in signatures(towers.config) for port in s.inputs}
    answer = bundle.search(**{name: tf.constant(value, types[name]) for name, value in inputs.items()})
    want = by_formula(similarity)
    order = np.lexsort((np.arange(len(want)), -want.round(5)))[:20]
    np.testing.assert_allclose(answer["scores"][0], want[order], rtol=1e-4, atol=1e-4)
    assert answer["ids"][0].numpy().tolist() == [SHOP.ids[row] for row in order]


def test_contributions_sum_to_a_dot_product(config):
    towers = towers_by(config, SimilarityKind.DOT)
    bundle = make_bundle(towers, SHOP.catalogue(similarity=SimilarityKind.DOT))
    inputs = {"query_text": [text_of(QUERY)], "item_id": [SHOP.ids[7]], **WEIGHTS}
    types = {port.name: port.dtype.value for s in signatures(towers.config) for port in s.inputs}
    explained = bundle.explain(**{name: tf.constant(value, types[name]) for name, value in inputs.items()})
    assert float(tf.reduce_sum(explained["contribution_matrix"])) == pytest.approx(float(SUMS[7] @ QUERY), rel=1e-4)


@pytest.mark.parametrize("similarity", list(SimilarityKind))
def test_only_what_is_a_sum_over_branches_is_explained(config, similarity):
    config = dataclasses.replace(config, tower=dataclasses.replace(config.tower, similarity=similarity))
    assert ("explain" in {s.name for s in signatures(config)}) is (similarity in BILINEAR)


@pytest.mark.parametrize(
    ("similarity", "stock", "scann"),
    [
        (SimilarityKind.COSINE, IndexKind.IVF, IndexKind.SCANN_HASHED),
        (SimilarityKind.DOT, IndexKind.EXACT, IndexKind.SCANN_HASHED),
        (SimilarityKind.EUCLIDEAN, IndexKind.EXACT, IndexKind.SCANN_HASHED),
        (SimilarityKind.KL, IndexKind.EXACT, IndexKind.EXACT),
        (SimilarityKind.HAMMING, IndexKind.EXACT, IndexKind.EXACT),
    ],
)
def test_a_large_catalogue_gets_an_index_that_knows_the_similarity(similarity, stock, scann):
    setting = {"search": SearchConfig(), "similarity": similarity}
    assert choose_kind(50_000, flavour="stock", **setting) is stock
    assert choose_kind(50_000, flavour="scann", **setting) is scann
