import types

import numpy as np
import pytest

from trainer.evaluation.evaluate import TowerEncoder
from trainer.tables.open import open_tables
from trainer.training.snapshot import Snapshots, Validation


def test_the_recall_of_early_stopping_is_that_of_the_evaluation(trained, trained_report):
    tables = trained.tables
    snapshots = Snapshots(trained.model, tables.items)
    found = Validation(trained.model, tables.evaluation, snapshots=snapshots, num_items=24).recall()
    assert found == pytest.approx(trained_report.value("held_out", "all", "recall@10"))
    # Wrong vectors find as much as chance does: ten of 24.
    vectors = TowerEncoder(trained.model).items(tables.items)
    np.testing.assert_allclose(snapshots.current(), vectors, atol=1e-6)
    shifted = types.SimpleNamespace(current=lambda: np.roll(vectors, 11, axis=0))
    assert Validation(trained.model, tables.evaluation, snapshots=shifted, num_items=24).recall() < 0.8


def test_no_held_out_positive_is_reported(trained, shop, work_dir):
    from dataclasses import replace

    from tests.support import tiny_shop

    tables = open_tables(replace(shop, evaluation=()), config=tiny_shop.CONFIG, work_dir=work_dir)
    with pytest.raises(ValueError, match="None of the 0 held-out events is a positive; early stopping"):
        Validation(
            trained.model, tables.evaluation, snapshots=Snapshots(trained.model, tables.items), num_items=24
        ).recall()
