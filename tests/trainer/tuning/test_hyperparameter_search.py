import json
import types

import pytest

from tests.support import tiny_shop
from trainer.spec.search_space import SEARCH_SPACE, Choice, Range
from trainer.tuning import hyperparameter_search


def test_the_space_is_that_of_the_declaration():
    space = {parameter.name: parameter for parameter in hyperparameter_search.hyperparameter_space().space}
    assert list(space) == [dimension.path for dimension in SEARCH_SPACE]
    for dimension in SEARCH_SPACE:
        found = space[dimension.path]
        if isinstance(dimension, Range):
            assert (found.min_value, found.max_value) == (dimension.low, dimension.high)
            assert found.sampling == ("log" if dimension.logarithmic else "linear")
        else:
            assert tuple(found.values) == dimension.values


def test_every_point_is_a_configuration():
    for edge in ("low", "high"):
        values = {
            d.path: d.values[0 if edge == "low" else -1] if isinstance(d, Choice) else getattr(d, edge)
            for d in SEARCH_SPACE
        }
        config = hyperparameter_search.config_at(tiny_shop.CONFIG, values)
        assert config.train.learning_rate == values["train.learning_rate"]
        assert config.train.batch_size == values["train.batch_size"]


@pytest.fixture
def trained_points(monkeypatch):
    """Training stands still: the recall of a point is its dropout."""
    points = []

    def fit(config, inputs, *, work_dir, log_dir):
        points.append(config)
        tables = types.SimpleNamespace(evaluation=config.tower.dropout, items=types.SimpleNamespace(num_items=3))
        return types.SimpleNamespace(model=None, tables=tables)

    class Validation:
        def __init__(self, model, events, *, snapshots, num_items):
            self.recall = lambda: events

    monkeypatch.setattr(hyperparameter_search, "fit", fit)
    monkeypatch.setattr(hyperparameter_search, "Validation", Validation)
    return points


def test_the_best_point_is_the_one_with_the_highest_recall(trained_points, shop, tmp_path):
    found = hyperparameter_search.HyperparameterSearch(tiny_shop.CONFIG, shop, directory=str(tmp_path), trials=4)
    found.search()
    dropouts = [config.tower.dropout for config in trained_points]
    assert len(set(dropouts)) == 4
    [best] = found.get_best_hyperparameters(1)
    assert best.values["tower.dropout"] == max(dropouts)
    # A search that is started again reads its finished trials back.
    again = hyperparameter_search.HyperparameterSearch(tiny_shop.CONFIG, shop, directory=str(tmp_path), trials=4)
    again.search()
    assert len(trained_points) == 4
    assert again.get_best_hyperparameters(1)[0].values == best.values


def test_tfx_runs_the_search_and_keeps_the_best_values(trained_points, shop, tmp_path):
    from trainer.spec.config import to_dict
    from trainer.tuning.component import tuner_fn

    result = tuner_fn(
        types.SimpleNamespace(
            train_files=list(shop.train),
            eval_files=list(shop.evaluation),
            working_dir=str(tmp_path),
            custom_config={
                "config": to_dict(tiny_shop.CONFIG),
                "items": shop.items[0],
                "items_transform_graph": shop.transform_graph,
                "trials": 2,
            },
        )
    )
    result.tuner.search(**result.fit_kwargs)
    config = result.tuner.get_best_hyperparameters()[0].get_config()
    assert set(json.loads(json.dumps(config))["values"]) == {dimension.path for dimension in SEARCH_SPACE}
    assert len(trained_points) == 2
