import numpy as np
import pytest

from trainer.data import open_tables
from trainer.evaluate import Encoder
from trainer.training.snapshot import Validation


def test_the_recall_of_early_stopping_is_that_of_the_evaluation(trained, trained_report):
    tables = trained.tables
    found = Validation(trained.model, tables.evaluation, num_items=tables.items.num_items).recall()
    assert found == pytest.approx(trained_report.value("held_out", "all", "recall@10"))
    # Wrong vectors find as much as chance does: ten of 24.
    vectors = Encoder(trained.model).items(tables.items)
    trained.model.set_snapshot(np.roll(vectors, 11, axis=0))
    worse = Validation(trained.model, tables.evaluation, num_items=tables.items.num_items).recall()
    trained.model.set_snapshot(vectors)
    assert worse < 0.8


def test_nothing_held_out_is_said(trained, shop, work_dir):
    from dataclasses import replace

    from tests.support import tiny_shop

    tables = open_tables(replace(shop, evaluation=()), config=tiny_shop.CONFIG, work_dir=work_dir)
    with pytest.raises(ValueError, match="None of the 0 held-out events is a positive; early stopping"):
        Validation(trained.model, tables.evaluation, num_items=24).recall()
