import types

import numpy as np

from trainer.evaluation.eval_sets import Requests, build_eval_sets
from trainer.spec.features import Side
from trainer.spec.model_inputs import model_inputs
from trainer.spec.presets import tiny


class Events:
    """Three actions in two requests; the shopper of the first acted on item 4 before."""

    columns = {"label_grade": np.full(3, -1.0), "positive": np.ones(3), "item_row": np.array([4, 7, 4])}

    def values(self, name):
        return self.columns[name]

    def gather_queries(self, rows):
        assert rows.tolist() == [0, 2]
        blank = {
            name: np.zeros([2, *spec.shape(tiny(), Side.QUERY)], spec.dtype)
            for name, spec in model_inputs(Side.QUERY, tiny()).items()
        }
        return {**blank, "history_rows": np.array([[4, -1], [-1, -1]])}


def test_repeated_actions_are_separated_from_new_ones():
    requests = Requests(ids=np.array([b"a", b"b"]), first_row=np.array([0, 2]), of_row=np.array([0, 0, 1]))
    tables = types.SimpleNamespace(evaluation=Events())
    held_out, new = build_eval_sets(tables, requests=requests, truth={}, counts=np.zeros(8))
    pairs = list(zip(held_out.relevant.request.tolist(), held_out.relevant.item.tolist(), strict=True))
    assert pairs == [(0, 4), (0, 7), (1, 4)]
    assert held_out.slices["again (in the shopper's history)"].tolist() == [True, False, False]
    assert held_out.excluded_items is None
    assert list(zip(new.relevant.request.tolist(), new.relevant.item.tolist(), strict=True)) == [(0, 7), (1, 4)]
    assert new.excluded_items.tolist() == [[4, -1], [-1, -1]]
    assert held_out.slices["query: history"].tolist() == [True, True, False]
    assert held_out.slices["query: nothing"].tolist() == [False, False, True]
