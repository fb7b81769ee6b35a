"""Shared by the tests of the bundle: fake towers, exported once, and random catalogues of any size."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.bundle.build import export_towers
from serving.bundle.saved_model import Bundle
from serving.catalogue.catalogue import Catalogue, CatalogueItems, build_catalogue
from serving.engine.item_tables import ItemTables
from serving.engine.signatures import SignatureFunctions
from serving.engine.text_index import build_text_indexes
from serving.index.exact import ExactIndex, Index
from serving.index.vector_store import VectorStore
from serving.similarity import Similarity
from serving.towers import LoadedTowers, load_towers
from tests.support.eager_bundle import EagerBundle, eagerly
from tests.support.fake_towers import FakeModel, FakeOps
from tests.support.numpy_search import unit
from trainer.spec import presets
from trainer.spec.branches import branches_of
from trainer.spec.config import Config, VectorDtype
from trainer.spec.features import Modality, Side
from trainer.spec.tower import SimilarityKind

MODEL_ID = "ab" * 32
COSINE = Similarity(LoadedTowers(module=None, config=Config(), model_id=MODEL_ID))
# The two branches of items that fake towers fill.
TEXT, TABULAR = (branches_of(Side.ITEM).index(m) for m in (Modality.TEXT, Modality.TABULAR))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shop:
    """A random catalogue, in id order: ids, groups, and the vectors that its towers would give."""

    ids: list[bytes]
    groups: list[bytes]
    branches: np.ndarray
    vectors: np.ndarray

    def catalogue(self, *, similarity: SimilarityKind = SimilarityKind.COSINE, **more: object) -> Catalogue:
        items = CatalogueItems(ids=list(self.ids), groups=list(self.groups), branches=self.branches, **more)
        return build_catalogue(items, similarity=similarity)


def make_shop(num_items: int, *, seed: int = 0, dim: int = 16) -> Shop:
    """About a third of the items have no group, the others share groups of a few variants."""
    random = np.random.default_rng(seed + num_items)
    branches = np.zeros([num_items, len(branches_of(Side.ITEM)), dim], np.float32)
    branches[:, [TEXT, TABULAR]] = random.normal(size=[num_items, 2, dim]).round(4)
    groups = [
        b"" if random.random() < 0.3 else b"g%d" % random.integers(0, 1 + num_items // 3) for _ in range(num_items)
    ]
    ids = [b"item%04d" % number for number in range(num_items)]
    vectors = unit(branches.sum(axis=1).astype(np.float64))
    return Shop(ids=ids, groups=groups, branches=branches, vectors=vectors)


def make_bundle(towers: LoadedTowers, catalogue: Catalogue, index: Index | None = None) -> EagerBundle:
    return EagerBundle(make_traced_bundle(towers, catalogue, index))


def make_traced_bundle(towers: LoadedTowers, catalogue: Catalogue, index: Index | None = None) -> Bundle:
    tables = ItemTables(catalogue, search=towers.config.search)
    vectors = np.asarray(Similarity(towers).item_keys(catalogue.vectors[: catalogue.num_indexed]))
    index = index or ExactIndex(VectorStore.of(vectors, storage=VectorDtype.FLOAT32))
    texts = build_text_indexes(catalogue, search=towers.config.search)
    return Bundle(SignatureFunctions(towers, tables=tables, index=index, texts=texts, version="model-index"))


@pytest.fixture(scope="module")
def op_by_op() -> Iterator[None]:
    """Functions run op by op, where every test has tables of its own and few requests of them."""
    with eagerly():
        yield


@pytest.fixture(scope="session")
def config() -> Config:
    """Tiny; the intent of a query changes nothing unless a test asks for it, so that sums can be worked out plainly."""
    tiny = presets.tiny()
    return dataclasses.replace(tiny, search=dataclasses.replace(tiny.search, intent_weight=0.0))


@pytest.fixture(scope="session")
def towers_dir(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("towers") / "towers"
    return export_towers(FakeModel(config), FakeOps(config), directory, model_id=MODEL_ID)


@pytest.fixture(scope="session")
def towers(towers_dir: Path) -> LoadedTowers:
    return load_towers(towers_dir)


@pytest.fixture(scope="session")
def shop() -> Shop:
    return make_shop(100)


@pytest.fixture(scope="session")
def bundle(towers: LoadedTowers, shop: Shop) -> Bundle:
    """With a column that words do not read, so that items can be told apart by what is shown of them."""
    photos = np.array([b"photos/" + name for name in shop.ids], object)
    return make_traced_bundle(towers, shop.catalogue(columns={"image_uri": photos}))


@pytest.fixture(scope="session")
def golden_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the data (`shop`) and the stock bundle (`bundle/stock/1`) of the golden answers."""
    from tests.support import golden_bundle

    folder = tmp_path_factory.mktemp("golden")
    golden_bundle.build(folder)
    return folder
