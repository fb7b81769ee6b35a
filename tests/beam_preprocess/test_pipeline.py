"""The pipelines on a dirty shop: what is written, what is dropped and why; a second run gives the same bytes."""

import contextlib
import dataclasses
import hashlib
import io
import os

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from PIL import Image

from beam_preprocess import pipeline
from beam_preprocess.items import wire_row
from beam_preprocess.sources import open_source
from tests.beam_preprocess.conftest import RULES, make_shop, preprocess
from tests.beam_preprocess.little_shop import DAY, file_bytes, read_letters, write_shop
from tests.support import fake_media
from trainer.pseudonyms import UserKeys
from trainer.spec.config import Config, WireConfig, override
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.presets import tiny


def reasons(letters):
    return [(letter["source"], letter["reason"], letter["key"]) for letter in letters]


def colour(jpeg, px):
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.size == (px, px)
        return image.getpixel((px // 2, px // 2))


def test_valid_items_are_written_once_with_every_feature(dirty_run):
    items = dirty_run.items()
    assert sorted(items) == ["bowl", "jar", "mug", "pan", "plate"]
    assert all(set(row) == {feature.name for feature in features_of(Side.ITEM)} for row in items.values())
    assert items["plate"]["group_id"] == [b"set"]
    assert items["plate"]["price"] == [-1.0]  # NaN was dropped
    assert items["plate"]["in_stock"] == [0]
    assert items["pan"]["title"] == [b"Pan"]
    assert items["pan"]["group_id"] == [b"pan"]


def test_an_item_that_comes_again_is_replaced(dirty_run):
    mug = dirty_run.items()["mug"]
    assert mug["title"] == [b"Mug"]
    assert mug["category"] == [b"", b"", b""]
    assert mug["images"] == [b""]


def test_the_first_photo_that_a_page_can_link_to_is_shown():
    images = ["data:image/png;base64,AAAA", "https://a.example/" + 2000 * "a", "photos/1.jpg", "photos/2.jpg"]
    assert wire_row({"item_id": "a", "images": images}, Config())["image_uri"] == "photos/1.jpg"
    assert wire_row({"item_id": "a", "images": images[:2]}, Config())["image_uri"] == ""


def test_since_when_an_item_can_be_bought_is_in_whole_seconds():
    row = wire_row({"item_id": "a", "available_from": 86_400_500_000, "rating": 4.5}, Config())
    assert (row["available_from"], row["rating"]) == (86_400, 4.5)
    row = wire_row({"item_id": "a"}, Config())
    assert (row["available_from"], row["rating"]) == (0, 0.0)


def test_of_too_many_attributes_the_first_ones_of_the_record_are_kept():
    config = Config(wire=WireConfig(max_attributes=2))
    row = wire_row({"item_id": "a", "attributes": {"size": "M", "colour": "red", "fabric": "linen"}}, config)
    assert row["attributes"] == ["colour=red", "size=M"]


def test_categories_are_paths_and_attributes_are_sorted(tmp_path):
    catalog = [{**make_shop_item(), "category": ["Kitchen", "Cups", "Mugs", "Red"]}]
    run = preprocess(write_shop(tmp_path / "shop", catalog=catalog), tmp_path / "out", tiny())
    mug = run.items()["mug"]
    assert mug["category"] == [b"Kitchen", b"Kitchen > Cups", b"Kitchen > Cups > Mugs"]
    assert mug["attributes"] == [b"colour=red", b"size=M", *[b""] * 6]


def make_shop_item():
    return {"item_id": "mug", "title": "Red mug", "attributes": {"size": "M", "colour": "red"}}


def test_media_that_cannot_be_used_leave_the_item_and_a_letter(dirty_run):
    items = dirty_run.items()
    assert {item: row["media_missing"][0] for item, row in items.items()} == {
        "bowl": 1,
        "jar": 1,
        "mug": 0,
        "pan": 0,
        "plate": 0,
    }
    red, green, blue = colour(items["bowl"]["images"][0], 32)  # the second photo took the place of the first
    assert green > red + 60
    assert green > blue + 60
    assert items["jar"]["images"] == [b""]
    assert items["jar"]["video"] == [b""] * 4
    letters = {letter["uri"]: letter for letter in dirty_run.letters("items") if "uri" in letter}
    kinds = {uri: letter["reason"] for uri, letter in letters.items()}
    assert kinds == {"m/cut.jpg": "truncated", "m/none.jpg": "missing", "m/page.mp4": "not_media"}
    assert letters["m/cut.jpg"]["key"] == "bowl"
    cut = (dirty_run.shop / "m/cut.jpg").read_bytes()
    assert letters["m/cut.jpg"]["sha256"] == hashlib.sha256(cut).hexdigest()
    assert letters["m/none.jpg"]["sha256"] == ""


def test_dead_items_say_where_and_why(dirty_run):
    dead = [letter for letter in dirty_run.letters("items") if "uri" not in letter]
    assert reasons(dead) == [
        ("catalog.jsonl:1", "superseded", "mug"),
        ("catalog.jsonl:7", "superseded", "pan"),
        ("catalog.jsonl:9", "missing_field", ""),
        ("catalog.jsonl:10", "wrong_type", ""),
        ("catalog.jsonl:11", "malformed", ""),
    ]


def test_everything_dropped_is_counted(dirty_run):
    assert dirty_run.summaries["items"].counts == {
        "read": 11,
        "written": 5,
        "items_naming_media": 3,
        "items_with_unusable_media": 2,
        "dropped/duplicate": 1,
        "dropped/superseded": 2,
        "dropped/missing_field": 1,
        "dropped/wrong_type": 1,
        "dropped/malformed": 1,
        "field_dropped/price/bad_number": 1,
        "unknown_field/mood": 1,
        "media_unusable/truncated": 1,
        "media_unusable/missing": 1,
        "media_unusable/not_media": 1,
    }
    assert dirty_run.summaries["items"].dropped == 6
    counts = dirty_run.summaries["events"].counts
    dropped = {name: amount for name, amount in counts.items() if name.startswith(("dropped", "media", "not_used"))}
    assert dropped == {
        "dropped/duplicate": 2,
        "dropped/future": 1,
        "dropped/missing_field": 1,
        "dropped/wrong_type": 1,
        "media_unusable/missing": 1,
    }
    assert counts["read"] == 17
    assert counts["rows/train"] + counts["rows/eval"] == 10
    assert counts["judgments"] == 2
    assert dirty_run.summaries["signals"].counts == {"read": 2, "kept/sales": 1, "dropped/not_allowed": 1}


def test_the_summary_reads_well(dirty_run):
    assert dirty_run.summaries["signals"].table() == "signals: read 2\n  dropped: not_allowed 1\n  kept: sales 1"


def test_dead_events_name_no_user(dirty_run):
    letters = dirty_run.letters("events")
    assert reasons(letters)[-3:] == [
        ("events.jsonl:14", "future", "late"),
        ("events.jsonl:15", "missing_field", "itemless"),
        ("events.jsonl:16", "wrong_type", ""),
    ]
    assert all(b"canary" not in data for data in file_bytes(dirty_run.output).values())


def test_requests_are_split_by_time_and_judgments_are_held_out(dirty_run):
    train, held_out = dirty_run.rows("train"), dirty_run.rows("eval")
    # Six requests began on days 0, 1, 2, 2, 2 and 3: 15 % of them is nearest to the last one.
    # A row of day 1 is a review.
    assert sorted(row["event_time"][0] // DAY for row in train) == [0, 1, 1, 1, 2, 2, 2]
    assert [row["label_sentiment"][0] for row in train if row["review_text"] == [b"fine"]] == [2]
    assert sorted(row["event_time"][0] // DAY for row in held_out) == [1, 1, 3]
    assert sorted(row["label_grade"][0] for row in held_out) == [-1.0, 1.0, 3.0]


def row_of(rows, item, *, grade=-1.0):
    found = [row for row in rows if not row["review_text"][0]]
    (row,) = [r for r in found if r["event_item_id"] == [item.encode()] and r["label_grade"] == [grade]]
    return row


def test_rows_carry_query_labels_and_history(dirty_run):
    rows = dirty_run.rows("train")
    wanted = {feature.name for side in (Side.QUERY, Side.EVENT) for feature in features_of(side)}
    assert all(set(row) == wanted for row in rows)
    clicked, shown = row_of(rows, "mug"), row_of(rows, "jar")
    assert clicked["query_text"] == shown["query_text"] == [b"red mug"]
    labels = ("label_click", "label_purchase", "positive", "position")
    assert [clicked[name][0] for name in labels] == [1.0, 0.0, 1.0, 0]
    assert [shown[name][0] for name in labels] == [0.0, 0.0, 0.0, 1]
    assert clicked["history_ids"] == [b"plate", *[b""] * 4]  # bought a day before
    assert clicked["history_age_days"] == [1.0, *[0.0] * 4]
    later = row_of(rows, "pan")
    assert later["history_ids"][:2] == [b"mug", b"plate"]
    # The click on the mug was 9 s after day 1, so it is 9 s less than a day old.
    assert later["history_age_days"][:2] == pytest.approx([(DAY - 9) / DAY, 2.0])
    assert later["user_hash"] == clicked["user_hash"]
    assert len(later["user_hash"][0]) == 64


def test_query_media_are_in_wire_form_and_a_missing_one_leaves_the_row(dirty_run):
    train = dirty_run.rows("train")
    red, _, blue = colour(row_of(train, "pan")["query_image"][0], 32)
    assert blue > red + 60
    bowls = {row["query_text"][0]: row["query_image"][0] for row in train if row["event_item_id"] == [b"bowl"]}
    assert bowls == {b"": row_of(train, "pan")["query_image"][0], b"bowl": b""}
    clip = row_of(dirty_run.rows("eval"), "mug")["query_video"]
    assert len(clip) == 4
    assert all(frame.startswith(b"\xff\xd8") for frame in clip)


def test_shards_are_all_there_and_sorted(dirty_run):
    assert sorted(os.listdir(dirty_run.output / "items")) == [f"items-0000{i}-of-00002.tfrecord" for i in range(2)]
    assert sorted(os.listdir(dirty_run.output / "eval")) == [f"events-0000{i}-of-00002.tfrecord" for i in range(2)]
    assert sorted(os.listdir(dirty_run.output / "days")) == [f"days-0000{i}-of-00002.tfrecord" for i in range(2)]
    # Nothing staged is left.
    assert sorted(os.listdir(dirty_run.output)) == ["days", "dead_letters", "eval", "items", "train"]
    (one_shard,) = {"config": override(dirty_run.config, ["data.event_shards=1", "data.item_shards=1"])}.values()
    run = preprocess(dirty_run.shop, dirty_run.output.parent / "one", one_shard)
    assert list(run.items()) == sorted(run.items())
    times = [row["event_time"][0] for row in run.rows("train")]
    assert times == sorted(times)


def test_a_second_run_with_every_bundle_repeated_gives_the_same_bytes(dirty_run, tmp_path):
    again = preprocess(dirty_run.shop, tmp_path, dirty_run.config, ["--direct_runner_bundle_repeat=1"])
    assert file_bytes(again.output) == file_bytes(dirty_run.output)
    assert again.summaries == dirty_run.summaries


def test_the_order_of_rows_in_the_input_does_not_matter(dirty_run, tmp_path):
    shop = make_shop(tmp_path / "shop")
    lines = (shop / "events.jsonl").read_bytes().splitlines(keepends=True)
    (shop / "events.jsonl").write_bytes(b"".join(reversed(lines)))
    run = preprocess(shop, tmp_path / "out", dirty_run.config)
    assert file_bytes(run.output / "train") == file_bytes(dirty_run.output / "train")
    assert file_bytes(run.output / "eval") == file_bytes(dirty_run.output / "eval")


def test_what_was_there_is_replaced_and_a_killed_run_leaves_no_trace(dirty_run, tmp_path):
    for name in ("items", "items.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "items-00000-of-00009.tfrecord").write_bytes(b"old")
    preprocess(dirty_run.shop, tmp_path, dirty_run.config)
    assert file_bytes(tmp_path / "items") == file_bytes(dirty_run.output / "items")
    assert not (tmp_path / "items.partial").exists()


def ingest_items(shop, output, config):
    letters = output / "letters.jsonl"
    return pipeline.ingest_items(
        open_source(shop), config=config, output_dir=output / "items", dead_letter_path=letters
    )


def test_too_many_unusable_media_stop_the_run_and_keep_the_old_output(dirty_run, tmp_path):
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "old").write_bytes(b"kept")
    strict = override(dirty_run.config, ["data.media_missing_limit=0.6"])
    with pytest.raises(pipeline.MediaLimitError, match="2 of 3 items that name media .* wanted at most 60%"):
        ingest_items(dirty_run.shop, tmp_path, strict)
    assert file_bytes(tmp_path / "items") == {"old": b"kept"}
    assert len(read_letters(tmp_path / "letters.jsonl")) == 8
    assert not (tmp_path / "items.partial").exists()


def test_a_catalogue_without_one_valid_item_stops_the_run(tmp_path):
    shop = write_shop(tmp_path / "shop", catalog=[{"title": "No id"}])
    with pytest.raises(pipeline.EmptyCatalogueError, match="Of 1 catalogue rows none is valid"):
        ingest_items(shop, tmp_path, tiny())


def ingest_events(shop, output, config):
    directories = {split: output / split for split in ("train", "eval", "days")}
    letters = output / "letters.jsonl"
    return pipeline.ingest_events(
        open_source(shop), config=config, output_dirs=directories, dead_letter_path=letters, rules=RULES
    )


def click(number):
    return {"type": "click", "timestamp": 10 * DAY + number, "item_id": "mug", "request_id": f"r{number}"}


SEARCH = {"type": "search", "timestamp": 10 * DAY, "request_id": "r0", "query": {"text": "mug"}}


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "None of the 0 events is a click"),
        ([SEARCH], "None of the 1 events is a click"),
        ([{**SEARCH, "type": "impression", "item_id": "mug", "position": 0}], "None of the 1 events is a click"),
    ],
)
def test_a_log_without_anything_to_train_on_stops_the_run_and_keeps_the_old_output(tmp_path, events, message):
    shop = write_shop(tmp_path / "shop", catalog=[make_shop_item()], events=events)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "old").write_bytes(b"kept")
    with pytest.raises(pipeline.NoTrainingEventsError, match=f"{message}.* --set data.pseudo_queries=4"):
        ingest_events(shop, tmp_path, override(tiny(), ["data.pseudo_queries=0"]))
    assert file_bytes(tmp_path / "train") == {"old": b"kept"}
    assert not (tmp_path / "train.partial").exists()


@pytest.mark.parametrize(("events", "train", "held_out"), [(1, 1, 0), (2, 1, 1), (10, 9, 1)])
def test_however_few_the_events_are_some_train(tmp_path, events, train, held_out):
    shop = write_shop(tmp_path / "shop", catalog=[make_shop_item()], events=[click(number) for number in range(events)])
    counts = ingest_events(shop, tmp_path, tiny()).counts
    assert (counts["positives/train"], counts.get("positives/eval", 0)) == (train, held_out)


def test_one_item_is_enough(tmp_path):
    shop = write_shop(tmp_path / "shop", catalog=[{"item_id": "a", "title": ""}])
    assert ingest_items(shop, tmp_path, tiny()).counts == {"read": 1, "written": 1}


def test_without_a_runner_all_runs_here():
    for given in (None, (), ["--direct_num_workers=1"], PipelineOptions([])):
        assert pipeline.options_of(given).view_as(StandardOptions).runner == "FnApiRunner"
    assert pipeline.options_of(["--runner=FlinkRunner"]).view_as(StandardOptions).runner == "FlinkRunner"


def test_the_user_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("VITRINE_USER_KEY", "own")
    assert pipeline.default_rules().user_keys == UserKeys(b"own")
    monkeypatch.delenv("VITRINE_USER_KEY")
    assert pipeline.default_rules().user_keys == UserKeys()


@pytest.mark.parametrize(("truth", "fails"), [(False, True), (True, False)])
def test_users_without_a_key_stop_a_shop_but_not_a_generated_one(monkeypatch, tmp_path, truth, fails):
    monkeypatch.delenv("VITRINE_USER_KEY")
    (tmp_path / "catalog.jsonl").write_text('{"item_id": "a", "title": "Lamp"}\n')
    (tmp_path / "events.jsonl").write_text('{"timestamp": 1, "type": "view", "item_id": "a", "user_id": "ann"}\n')
    if truth:
        (tmp_path / "truth.jsonl").write_text("")
    outputs = {split: tmp_path / split for split in ("train", "eval", "days")}
    given = {"config": tiny(), "output_dirs": outputs, "dead_letter_path": tmp_path / "dead.jsonl"}
    expected = pytest.raises(Exception, match="VITRINE_USER_KEY is not set; .* export VITRINE_USER_KEY=")
    with expected if fails else contextlib.nullcontext():
        pipeline.ingest_events(open_source(tmp_path), **given)


@pytest.mark.parametrize(
    ("events", "wanted"),
    [(None, 4), ([], 4), ([{"timestamp": 1, "type": "view", "item_id": "a"}], 0), ([b"{broken"], 0)],
)
def test_a_shop_without_any_event_gets_pseudo_queries_unless_the_setting_decides(tmp_path, events, wanted):
    shop = write_shop(tmp_path, catalog=[{"item_id": "a", "title": "Mug"}], events=events or ())
    if events is None:
        (shop / "events.jsonl").unlink()
    source = open_source(shop, "records")
    assert pipeline.with_pseudo_queries(tiny(), source).data.pseudo_queries == wanted
    for number in (0, 2):
        given = override(tiny(), [f"data.pseudo_queries={number}"])
        assert pipeline.with_pseudo_queries(given, source) == given


def test_the_input_fingerprint_knows_what_pseudo_queries_read(tmp_path):
    shop = make_shop(tmp_path)
    source = open_source(shop)
    plain, pseudo = tiny(), dataclasses.replace(tiny(), data=dataclasses.replace(tiny().data, pseudo_queries=2))
    before = [pipeline.input_fingerprint(source, "events", config) for config in (plain, pseudo)]
    (shop / "m/pan.jpg").write_bytes(fake_media.photo(9))
    after = [pipeline.input_fingerprint(source, "events", config) for config in (plain, pseudo)]
    assert after[0] == before[0]
    assert after[1] != before[1]
