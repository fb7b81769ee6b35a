"""The schema of the Examples follows from the declaration: what TFX validates against."""

import dataclasses
import re

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from beam_preprocess.schema import TRANSFORMED_ITEMS, VALIDATED_EVENTS, VALIDATED_ITEMS, make_schema, write_schema
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import FEATURES
from trainer.spec.features import Side

WIRE = WireConfig(category_levels=3, max_attributes=8, history_length=10)


def entry(features, name):
    return next(feature for feature in make_schema(features, wire=WIRE).feature if feature.name == name)


def test_media_and_days_stay_out_and_everything_else_is_in():
    names = {feature.name for feature in (*VALIDATED_ITEMS, *VALIDATED_EVENTS)}
    assert {feature.name for feature in FEATURES if feature.side is not Side.ITEM_DAY} - names == {
        *("images", "video", "audio"),
        *("text_embedding", "image_embeddings", "video_embedding", "audio_embedding"),
        *("query_image", "query_video", "query_audio"),
    }
    assert not {feature.name for feature in FEATURES if feature.side is Side.ITEM_DAY} & names


def test_lengths_come_from_the_wire_form():
    assert [dim.size for dim in entry(VALIDATED_ITEMS, "category").shape.dim] == [3]
    assert [dim.size for dim in entry(VALIDATED_EVENTS, "history_age_days").shape.dim] == [10]
    title = entry(VALIDATED_ITEMS, "title")
    assert title.HasField("shape")
    assert not title.shape.dim


def test_every_feature_stands_in_every_example():
    for feature in make_schema(VALIDATED_ITEMS, wire=WIRE).feature:
        assert (feature.presence.min_fraction, feature.presence.min_count) == (1.0, 1)


def test_numbers_are_finite_and_only_absence_is_negative():
    price, ages = entry(VALIDATED_ITEMS, "price"), entry(VALIDATED_EVENTS, "history_age_days")
    assert (price.float_domain.min, price.float_domain.disallow_nan, price.float_domain.disallow_inf) == (
        -1,
        True,
        True,
    )
    assert ages.float_domain.min == 0
    assert entry(VALIDATED_EVENTS, "position").int_domain.min == -1
    assert entry(VALIDATED_ITEMS, "in_stock").int_domain.min == 0


@pytest.mark.parametrize("name", ["category", "brand"])
def test_new_categories_and_brands_are_no_anomaly(name):
    assert entry(VALIDATED_ITEMS, name).WhichOneof("domain_info") is None


def test_transform_reads_what_is_declared_for_it():
    names = [feature.name for feature in make_schema(TRANSFORMED_ITEMS, wire=WIRE).feature]
    assert names == ["item_id", "title", "description", "attributes", "category", "brand", "price"]


def test_file_name_changes_with_the_content_because_tfx_caches_by_path(tmp_path):
    first = write_schema(VALIDATED_ITEMS, wire=WIRE, directory=tmp_path, name="items")
    assert re.fullmatch(r"items-[0-9a-f]{12}\.pbtxt", first.name)
    assert write_schema(VALIDATED_ITEMS, wire=WIRE, directory=tmp_path, name="items") == first
    wider = dataclasses.replace(WIRE, category_levels=4)
    assert write_schema(VALIDATED_ITEMS, wire=wider, directory=tmp_path, name="items") != first
    assert text_format.Parse(first.read_text(), schema_pb2.Schema()) == make_schema(VALIDATED_ITEMS, wire=WIRE)
