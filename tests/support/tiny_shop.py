"""A shop of 24 items as Examples, written by hand: enough to train the `tiny` preset on, without Beam or TFX.

Item i is called `colour{i % 6} thing{i // 6}` and every second item has a photo. Twelve users search each item by
its name; the item is shown with two others and clicked, every third time bought. Every second user is known: by the
item before and a search for it, and by a country.
"""

import dataclasses
import pathlib
from typing import Any

import tensorflow as tf

from tests.support import fake_media
from trainer.spec.feature_list import FEATURES, features_of
from trainer.spec.features import Dtype, Feature, Side
from trainer.spec.presets import tiny
from trainer.spec.training import RunConfig
from trainer.spec.transformed import ITEM_VOCABULARY, WORD_VOCABULARY
from trainer.tables.open import DatasetPaths

NUM_ITEMS = 24
CONFIG = dataclasses.replace(
    tiny(), train=dataclasses.replace(tiny().train, epochs=12, batch_size=32, learning_rate=0.01)
)
# A run of 24 steps, of words, numbers and histories alone: for what is about the run and not about the towers.
SHORT_RUN = dataclasses.replace(
    CONFIG,
    tower=dataclasses.replace(CONFIG.tower, disabled_branches="image,video,audio,graph,trend,searches,profile"),
    train=dataclasses.replace(CONFIG.train, epochs=3, max_steps=24, gradient_accumulation_steps=1, deterministic=True),
    run=RunConfig(checkpoint_every_steps=3),
)


def item_name(index: int) -> str:
    return f"colour{index % 6} thing{index // 6}"


def item_id(index: int) -> str:
    return f"item-{index:02d}"


def items() -> list[dict[str, Any]]:
    rows = []
    for index in range(NUM_ITEMS):
        photo = [fake_media.jpeg((40 * (index % 6), 120, 200), width=32, height=32)] if index % 2 == 0 else []
        rows.append({"item_id": item_id(index), "title": item_name(index), "price": 1.0 + index, "images": photo})
        rows[-1] |= {"relation_ids": [item_id((index + 1) % NUM_ITEMS)], "relation_types": ["similar"]}
    return rows


def events(rounds: range) -> list[dict[str, Any]]:
    rows = []
    for turn in rounds:
        for target in range(NUM_ITEMS):
            shown = [target, (target + 1) % NUM_ITEMS, (target + 5) % NUM_ITEMS]
            before = [item_id((target - 1) % NUM_ITEMS), "item-gone"] if turn % 2 else []
            for position, index in enumerate(shown):
                rows.append(
                    {
                        "query_text": item_name(target),
                        "history_ids": before,
                        "history_age_days": [1.5 for _ in before],
                        "history_counts": [2.0 for _ in before],
                        "search_history_texts": [item_name((target - 1) % NUM_ITEMS)] if turn % 2 else [],
                        "search_history_age_days": [0.5] if turn % 2 else [],
                        "profile": ["country=de"] if turn % 2 else [],
                        "event_item_id": item_id(index),
                        "request_id": f"request-{turn}-{target}",
                        "event_time": 1000 * turn + target,
                        "position": position,
                        "label_click": float(position == 0),
                        "label_purchase": float(position == 0 and turn % 3 == 0),
                        "positive": float(position == 0),
                    }
                )
    return rows


def days() -> list[dict[str, Any]]:
    """What is known of every second item on the day of the events, and after it: item i sells i units a day."""
    rows = []
    for index in range(0, NUM_ITEMS, 2):
        length = CONFIG.wire.trend_days
        for day in (0, 1):
            rows.append(
                {
                    "day_item_id": item_id(index),
                    "day": day,
                    "latest": day,
                    "regular": 1 - day,
                    "popularity": 10.0 * index,
                    "trend_units": [float(index)] * length,
                    "trend_price": [2.0 + index] * length,
                    "companion_ids": [item_id((index + 3) % NUM_ITEMS), "item-gone"],
                    "label_units": float(index),
                    "label_price": 2.0 + index if day else -1.0,
                }
            )
    return rows


def example(row: dict[str, Any], *sides: Side) -> bytes:
    """An Example with every feature of `sides`, padded with the defaults."""
    result = tf.train.Example()
    for feature in FEATURES:
        if feature.side in sides:
            _fill(result.features.feature[feature.name], row.get(feature.name, feature.default), feature)
    return result.SerializeToString(deterministic=True)


def _fill(target: Any, value: Any, feature: Feature) -> None:
    values = value if isinstance(value, list) else [value]
    for axis in feature.axes:
        length = getattr(CONFIG.wire, axis.value)
        values = (values + [feature.default] * length)[:length] if isinstance(value, list) else [value] * length
    if feature.dtype is Dtype.BYTES:
        target.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
    elif feature.dtype is Dtype.FLOAT:
        target.float_list.value.extend(values)
    else:
        target.int64_list.value.extend(values)


def write_records(path: pathlib.Path, serialized: list[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in serialized:
            writer.write(record)


def write(directory: pathlib.Path) -> DatasetPaths:
    """Writes the whole shop; items in two files, not in order."""
    catalogue = [example(row, Side.ITEM) for row in items()]
    write_records(directory / "items" / "items-00000-of-00002.tfrecord", catalogue[1::2])
    write_records(directory / "items" / "items-00001-of-00002.tfrecord", catalogue[0::2])
    for split, rounds in (("train", range(10)), ("eval", range(10, 12))):
        rows = [example(row, Side.QUERY, Side.EVENT) for row in events(rounds)]
        write_records(directory / "events" / split / "events-00000-of-00001.tfrecord", rows)
    write_records(
        directory / "events" / "days" / "days-00000-of-00001.tfrecord", [example(d, Side.ITEM_DAY) for d in days()]
    )
    write_transform_graph(directory / "transform_graph")
    return DatasetPaths(
        items=(f"{directory}/items",),
        train=(f"{directory}/events/train",),
        evaluation=(f"{directory}/events/eval",),
        transform_graph=str(directory / "transform_graph"),
        days=(f"{directory}/events/days",),
    )


def write_transform_graph(directory: pathlib.Path, *, is_reversed: bool = False) -> None:
    """Writes a fake of the graph of TFX Transform: no category or brand is known, prices are divided by 8 (exactly).

    Args:
      directory: Where it goes.
      is_reversed: Whether the items are numbered from the last one on, as another catalogue may have it.
    """
    specs = {
        f.name: tf.TensorSpec(
            [None, *[getattr(CONFIG.wire, axis.value) for axis in f.axes]],
            {Dtype.BYTES: tf.string, Dtype.FLOAT: tf.float32, Dtype.INT: tf.int64}[f.dtype],
        )
        for f in features_of(Side.ITEM)
        if f.transform
    }
    module = tf.Module()

    def number(place: tf.Tensor) -> tf.Tensor:
        return tf.where(place > 0, NUM_ITEMS + 1 - place, 0) if is_reversed else place

    @tf.function(input_signature=[specs])
    def transform_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        price, ids = inputs["price"], inputs["item_id"]
        # `item-07` is number 8, any other name is unknown.
        known = tf.strings.regex_full_match(ids, r"item-\d\d")
        digits = tf.strings.regex_replace(tf.where(known, ids, "item--1"), "item-", "")
        return {
            "category_ids": tf.zeros_like(inputs["category"], tf.int64),
            "brand_id": tf.zeros_like(inputs["brand"], tf.int64),
            "price_scaled": price / 8.0,
            "price_present": tf.cast(price >= 0.0, tf.float32),
            "item_number": number(1 + tf.strings.to_number(digits, tf.int64)),
        }

    module.transform_fn = transform_fn
    tf.saved_model.save(module, str(directory / "transform_fn"))
    words = sorted({word for index in range(NUM_ITEMS) for word in item_name(index).split()})
    assets = directory / "transform_fn" / "assets"
    assets.mkdir(exist_ok=True)
    (assets / WORD_VOCABULARY).write_text("".join(f"4 {word}\n" for word in words))
    names = [item_id(index) for index in range(NUM_ITEMS)]
    (assets / ITEM_VOCABULARY).write_text("".join(f"{name}\n" for name in (names[::-1] if is_reversed else names)))
