"""The bundle of the golden answers: the tiny shop with brands, stock, groups and reviews, and weights without training.

The weights are drawn for each variable from a seed of its own, in the order in which the model creates them, so that
they are the same on every machine; answers depend on nothing that is learned.
"""

import pathlib
from typing import Any

import numpy as np

from serving.bundle.build import build_bundle
from serving.towers import export_towers
from tests.support import tiny_shop
from trainer.model.build import build_model
from trainer.ops.examples import ModelOps
from trainer.spec.features import Side

NUM_REVIEWS = 48


def build(directory: pathlib.Path) -> pathlib.Path:
    """Builds the stock bundle below `directory`; returns its folder."""
    shop = _write_shop(directory / "shop")
    ops = ModelOps.load(tiny_shop.CONFIG, shop / "transform_graph")
    model = build_model(tiny_shop.CONFIG, num_subwords=len(ops.subwords))
    for index, variable in enumerate(model.trainable_variables):
        values = np.random.default_rng(1000 + index).normal(0, 0.4, variable.shape)
        variable.assign(values.astype(np.float32))
    export_towers(model, ops, directory / "towers", model_id="ab" * 32)
    report = build_bundle(
        directory / "towers",
        str(shop / "items" / "*"),
        directory / "bundle",
        version=1,
        flavours=["stock"],
        popularity={tiny_shop.item_id(i).encode(): float(7 * i % 24) for i in range(tiny_shop.NUM_ITEMS)},
        events_pattern=str(shop / "events" / "train" / "*"),
        days_pattern=str(shop / "events" / "days" / "*"),
    )
    return report.paths["stock"]


def _write_shop(shop: pathlib.Path) -> pathlib.Path:
    tiny_shop.write(shop)
    items = [tiny_shop.example(row, Side.ITEM) for row in _items()]
    for shard in range(2):
        tiny_shop.write_records(shop / "items" / f"items-0000{shard}-of-00002.tfrecord", items[1 - shard :: 2])
    rows = [*tiny_shop.events(range(4)), *_reviews()]
    events = [tiny_shop.example(row, Side.QUERY, Side.EVENT) for row in rows]
    tiny_shop.write_records(shop / "events" / "train" / "events-00000-of-00001.tfrecord", events)
    return shop


def _items() -> list[dict[str, Any]]:
    rows = tiny_shop.items()
    for i, row in enumerate(rows):
        row["description"] = ["soft cotton for summer", "made of steel and glass", "a gift for children", ""][i % 4]
        row["image_uri"] = f"photos/{row['item_id']}.jpg" if row["images"] else ""
        row["brand"] = ["acme", "globex", "initech"][i % 3]
        row["category"] = ["home", f"shelf{i % 5}"]
        row["attributes"] = [f"size={'sml'[i % 3]}", f"finish={'matt' if i % 2 else 'glossy'}"]
        row["currency"] = "EUR" if i % 2 else "USD"
        row["in_stock"] = int(i % 4 != 3)
        row["available_from"], row["rating"] = 86_400 * (i % 7), float(i % 5)
        row["group_id"] = f"group{i // 2}" if i < 12 else ""
    return rows


def _reviews() -> list[dict[str, Any]]:
    texts, sentiments = ["good warm nice", "bad cold poor", "so so"], [2, 0, 1]
    return [
        {
            "query_text": "",
            "event_item_id": tiny_shop.item_id(i % 24),
            "request_id": f"review-{i}",
            "event_time": 9000 + i,
            "review_text": texts[i % 3],
            "label_sentiment": sentiments[i % 3],
            "label_intent": i % 3,
        }
        for i in range(NUM_REVIEWS)
    ]
