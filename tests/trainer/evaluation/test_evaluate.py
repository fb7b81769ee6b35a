import dataclasses
import json
import math
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_shop
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.report import MetricRow, Report, ReportSection
from trainer.intervals import auc_interval, share_interval
from trainer.model.tower import is_masked
from trainer.spec.branches import branches_of
from trainer.spec.features import Modality, Side
from trainer.tables.open import open_tables


class Planted:
    """A model whose item vectors are the axes and whose queries name an item; image is what it sees by."""

    def __init__(self, tables, wrong):
        self.snapshot = tf.Variable(tf.zeros([tables.items.num_items, 24]))
        self._token = {tuple(t): row for row, t in enumerate(tables.items.gather(np.arange(24))["text_tokens"][:, :8])}
        self._wrong = wrong

    def set_snapshot(self, vectors):
        self.snapshot.assign(vectors)

    def _rows(self, features):
        return [self._token[tuple(tokens)] for tokens in features["text_tokens"].numpy()[:, :8]]

    def _weights(self, features, side):
        """Of text and image: what else there is counts nowhere."""
        weighs = [float(modality in (Modality.TEXT, Modality.IMAGE)) for modality in branches_of(side)]
        return tf.tile([weighs], [tf.shape(features["text_tokens"])[0], 1])

    def encode_items(self, features):
        find = lambda tokens: tf.one_hot(self._lookup(tokens), 24)  # noqa: E731
        vectors = tf.py_function(find, [features["text_tokens"]], tf.float32)
        return {"vector": tf.ensure_shape(vectors, [None, 24]), "weights": self._weights(features, Side.ITEM)}

    def _lookup(self, tokens):
        return [self._token[tuple(row)] for row in tokens.numpy()[:, :8]]

    def encode_queries(self, features):
        def encode(tokens):
            rows = [(row + 1) % 24 if row in self._wrong else row for row in self._lookup(tokens)]
            return tf.one_hot(rows, 24)

        vectors = tf.ensure_shape(tf.py_function(encode, [features["text_tokens"]], tf.float32), [None, 24])
        return {
            "vector": tf.where(is_masked(Modality.TEXT, features), 0.0, vectors),
            "weights": self._weights(features, Side.QUERY),
            "repeats": 0.0 * features["history_age_days"],
        }

    def encode_items_without_price(self, features):
        return {"encoded": self.encode_items(features)["vector"]}

    def forecast(self, encoded, features):
        """One unit a day, and the price seen last."""
        return {"demand": tf.zeros_like(encoded[:, 0]), "price": features["last_price"]}

    def query_keys(self, vectors):
        return vectors

    item_keys = query_keys

    def score_pairs(self, queries, items):
        cosine = tf.reduce_sum(queries[:, tf.newaxis] * items, axis=-1)
        return {"click": 0.9 * cosine, "purchase": 0.5 * cosine}

    def classify_reviews(self, words):
        """Every review is positive."""
        return {"sentiment": tf.tile([[0.1, 0.2, 0.7]], [len(words), 1])}


@pytest.fixture(scope="module")
def truth_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    lines = [
        {
            "request_id": f"request-{turn}-{target}",
            "needs": ["text"] if target % 2 else ["image", "text"],
            "form": "text",
            "relevant": [f"item-{target:02d}", "item-gone"],
        }
        for turn in (0, 10, 11)
        for target in range(24)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def report(tables, truth_path):
    # Queries for items 0 and 12 are answered by the item after.
    model = Planted(tables, wrong=(0, 12))
    return evaluate(types.SimpleNamespace(model=model, tables=tables), truth_path=truth_path)


def test_the_report_has_the_model_and_its_baselines(report):
    # 22 of 24 requests right; for the other two 22 items tie with the wanted one at ranks 2 to 24: mean 13.
    assert report.value("held_out", "all", "recall@1") == pytest.approx(22 / 24)
    assert report.value("held_out", "all", "recall@10") == pytest.approx(22 / 24)
    assert report.value("held_out", "all", "mrr") == pytest.approx((22 + 2 / 13) / 24)
    assert report.value("held_out", "all", "recall@1", "chance") == pytest.approx(1 / 24)
    # Every item was clicked ten times: all tie at rank 12.5.
    assert report.value("held_out", "all", "recall@10", "popularity") == 0.0
    assert report.value("held_out", "all", "mrr", "popularity") == pytest.approx(1 / 12.5)
    # The words name the item.
    assert report.value("held_out", "all", "recall@1", "bm25") == 1.0
    # Rounds 1, 3, 5, 7, 9 have a history that is always followed by the item; of the held-out ones round 11 has it.
    assert report.value("held_out", "query: text+history+searches+profile", "recall@1", "neighbours") == 1.0
    assert report.value("held_out", "query: text", "recall@1", "neighbours") == 0.0


def test_what_a_figure_shows_has_its_interval(report):
    def row(section, slice_name, metric):
        [rows] = [part.rows for part in report.sections if part.name == section]
        return next(one for one in rows if (one.slice_name, one.metric) == (slice_name, metric))

    # Yes or no for each of 48 requests: 44 of them, and for popularity none.
    recall = row("held_out", "all", "recall@10").intervals
    assert tuple(recall["model"]) == pytest.approx(tuple(share_interval(44 / 48, 48)))
    assert tuple(recall["popularity"]) == pytest.approx(tuple(share_interval(0.0, 48)))
    assert "chance" not in recall  # it is exact
    assert row("held_out", "query: text", "recall@10").intervals["model"].high <= 1.0
    assert row("held_out", "query: text", "mrr").intervals == {}  # only the headline metric of a slice is shown
    masked = row("masked", "all", "recall@10").intervals
    assert tuple(masked["no text"]) == pytest.approx(tuple(share_interval(0.0, 48)))
    click = row("heads", "click", "auc")
    assert tuple(click.intervals["model"]) == pytest.approx(
        tuple(auc_interval(click.values["model"], positives=24, negatives=48))
    )


def test_curves_of_the_heads_are_kept(report):
    # 20 clicked rows at 0.9, of the others 4; the rest at 0.
    click = report.curves["click"]
    assert (click["positives"], click["negatives"]) == (24, 48)
    assert click["thresholds"] == pytest.approx([0.9, 0.0])
    assert (click["true_positives"], click["false_positives"]) == ([20, 24], [4, 48])
    assert sum(part["size"] for part in click["calibration"]) == 72
    # Every item is forecast to sell one unit a day; items 0, 2, ... 22 sell as many as their number: 11 on average.
    assert report.curves["demand"]["calibration"] == [{"size": 12, "predicted": 1.0, "observed": 11.0}]
    assert set(report.files(model_id="m")) == {"metrics.json", "curves.json"}
    assert json.loads(report.files(model_id="m")["curves.json"]) == report.curves


def test_slices_follow_the_planted_truth(report):
    assert report.value("planted", "all", "recall@1") == pytest.approx(22 / 24)
    assert report.value("planted", "needs: text", "recall@1") == 1.0
    assert report.value("planted", "needs: image+text", "recall@1") == pytest.approx(10 / 12)
    assert math.isnan(report.value("planted", "needs: video", "recall@1"))


def test_masking_names_what_the_model_lives_on(report):
    assert report.value("masked", "all", "recall@10") == pytest.approx(22 / 24)
    assert report.value("masked", "all", "recall@10", "no text") == 0.0
    assert report.value("masked", "all", "full / masked", "no text") == math.inf
    assert report.value("masked", "all", "full / masked", "no image") == 1.0
    # What nothing has is not masked.
    (columns,) = {tuple(row.values) for section in report.sections if section.name == "masked" for row in section.rows}
    assert columns == ("model", "no text", "no image")


def test_pair_tasks_are_compared_with_the_mean(report):
    # Every second request is for calibration; the two items that are mistaken are asked for by the others.
    # 20 of the 24 clicked rows have probability 0.9 and 4 have 0; of the 48 others those 4 have 0.9 that show the item
    # after one of the two, all others 0. Pairs won: 20 x (44 + 4 / 2) + 4 x 44 / 2 of 24 x 48.
    assert report.value("heads", "click", "auc") == pytest.approx((20 * 46 + 4 * 22) / (24 * 48))
    assert report.value("heads", "click", "auc", "mean") == 0.5
    # A third of rows is clicked: ln 3 - 2/3 ln 2 = 0.6365.
    assert report.value("heads", "click", "log loss", "mean") == pytest.approx(0.6365, abs=1e-4)


def test_item_day_tasks_are_compared_with_the_last_week_and_the_last_price(report):
    # Every second item has a record: item i sold i units a day and goes on so; the model predicts one unit a day.
    wanted = np.abs(np.arange(0, 24, 2) - 1.0).mean()
    assert report.value("heads", "demand", "mean error, units a day") == pytest.approx(wanted, rel=1e-5)
    assert report.value("heads", "demand", "mean error, units a day", "last week") == pytest.approx(0.0, abs=1e-5)
    assert report.value("heads", "demand", "mean error, units a day", "mean") == pytest.approx(6.0, rel=1e-5)
    assert report.value("heads", "price", "mean error, log price") == pytest.approx(0.0, abs=1e-6)


def test_reviews_are_measured_where_no_request_is_held_out(shop, work_dir, tmp_path):
    def reviews(*sentiments):
        path = tmp_path / f"{len(sentiments)}.tfrecord"
        none = {"positive": 0.0, "label_click": -1.0, "label_purchase": -1.0}
        rows = [
            tiny_shop.events(range(1))[0] | none | {"review_text": f"review {number}", "label_sentiment": sentiment}
            for number, sentiment in enumerate(sentiments)
        ]
        tiny_shop.write_records(path, [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in rows])
        return str(path)

    inputs = dataclasses.replace(shop, train=(*shop.train, reviews(0, 0, 2)), evaluation=(reviews(2, 0, 2, 2),))
    tables = open_tables(inputs, config=tiny_shop.CONFIG, work_dir=work_dir)
    report = evaluate(types.SimpleNamespace(model=Planted(tables, wrong=()), tables=tables))
    assert [section.name for section in report.sections] == ["heads"]
    # Three of four are positive; most training reviews are negative.
    assert report.value("heads", "sentiment", "accuracy") == pytest.approx(3 / 4)
    assert report.value("heads", "sentiment", "accuracy", "mean") == pytest.approx(1 / 4)
    assert report.value("heads", "sentiment", "auc positive/negative") == pytest.approx(0.5)
    assert report.curves["sentiment"]["confusion"] == [[0, 0, 1], [0, 0, 0], [0, 0, 3]]
    assert report.counts["held_out_requests"] == 0


def test_the_report_is_a_table_and_json(report):
    table = report.table()
    assert "items 24, train rows 720, held out rows 144, held out requests 48, rows of unknown items 0" in table
    assert "Planted truth" in table
    line = next(line for line in table.split("Planted truth")[1].splitlines() if "all" in line and "recall@10 " in line)
    assert line.split() == ["all", "48", "recall@10", "0.917", "0.417", "0.000", "0.000", "0.500", "1.000"]
    parsed = json.loads(report.to_json())
    assert parsed["counts"]["items"] == 24
    ratios = [row for row in parsed["sections"]["masked"]["rows"] if row["metric"] == "full / masked"]
    assert ratios[0]["no text"] is None


def test_only_the_headline_of_a_slice_is_printed():
    rows = [
        MetricRow(slice_name=name, size=1, metric=metric, values={"model": 0.5, "chance": math.nan})
        for name in ("all", "cold")
        for metric in ("recall@10", "mrr")
    ]
    section = ReportSection(name="s", title="A question", rows=tuple(rows), headline="recall@10")
    lines = Report(sections=(section,), counts={"items": 1}).table().splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["A", "question"],
        ["slice", "n", "metric", "model", "chance"],
        ["all", "1", "recall@10", "0.500", "-"],
        ["all", "1", "mrr", "0.500", "-"],
        ["cold", "1", "recall@10", "0.500", "-"],
    ]
