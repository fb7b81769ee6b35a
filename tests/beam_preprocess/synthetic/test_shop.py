"""The synthetic shop: the same every time, and true to what it says of itself."""

import io
import json
import re
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_preprocess.synthetic import events as synthetic_events
from beam_preprocess.synthetic import items as synthetic_items
from beam_preprocess.synthetic import media as rendering
from beam_preprocess.synthetic import shop as synthetic
from beam_preprocess.synthetic import words as synthetic_words
from serving.client import audio_wire, image_wire, video_wire
from trainer.spec import records

SIZES = {"items": 60, "users": 12, "events": 900}
# What a shopper may say but no item may: these are told by photos and clips alone.
HIDDEN_WORDS = {
    "red", "blue", "green", "yellow", "purple", "orange", "pink", "turquoise", "brown", "black",
    "plain", "banded", "dotted", "checked", "pinstriped", "ringed", "diagonal", "halved",
    "leftward", "rightward", "rising", "falling", "spinning", "growing", "shrinking", "blinking",
}  # fmt: skip


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).astype(float)


class Shop:
    """A written shop, read back."""

    def __init__(self, root: Path, summary: synthetic.ShopSummary) -> None:
        self.root, self.summary = root, summary
        self.catalog = {record["item_id"]: record for record in lines(root / "catalog.jsonl")}
        self.events = lines(root / "events.jsonl")
        self.signals = lines(root / "signals.jsonl")
        self.truth = lines(root / "truth.jsonl")
        self.items = {record["item_id"]: record for record in lines(root / "items_truth.jsonl")}
        self.searches = [event for event in self.events if event["type"] == "search"]
        self.judgments = [event for event in self.events if event["type"] == "judgment"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    root = tmp_path_factory.mktemp("shop")
    return Shop(root, synthetic.write_shop(root, **SIZES, seed=7))


class TestWriteShop:
    def test_same_arguments_give_the_same_bytes(self, shop, tmp_path):
        synthetic.write_shop(tmp_path, **SIZES, seed=7)
        first = {path.relative_to(shop.root): path.read_bytes() for path in shop.root.rglob("*") if path.is_file()}
        again = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert {path.suffix for path in first} == {".jsonl", ".jpg", ".png", ".mp4", ".wav"}
        assert first == again

    def test_another_seed_gives_another_shop(self):
        first, again, other = (synthetic_items.make_items(20, seed=seed) for seed in (7, 7, 8))
        assert first == again
        assert [item.latents for item in first] != [item.latents for item in other]
        assert [item.record for item in first] != [item.record for item in other]

    def test_counts_what_it_wrote(self, shop):
        assert shop.summary.items == len(shop.catalog) == 60
        # The last request is written to its end, so that a few lines may follow the 900th.
        assert 900 <= shop.summary.events == len(shop.events) - len(shop.judgments) <= 920
        assert shop.summary.judgments == len(shop.judgments)
        assert shop.summary.searches == len(shop.searches)
        assert sum(shop.summary.judged.values()) == len(shop.truth)
        assert shop.summary.media_files == sum(1 for path in (shop.root / "media").rglob("*") if path.is_file())

    def test_works_without_users_and_without_events(self, tmp_path):
        summary = synthetic.write_shop(tmp_path, items=8, users=0, events=0, seed=0)
        assert (summary.items, summary.users, summary.events) == (8, 0, 0)
        assert summary.judged["text/text"] > 0

    def test_refuses_a_shop_too_small_to_plant_anything_in(self, tmp_path):
        with pytest.raises(ValueError, match="at least 8 items.*items=7.*Ask for more"):
            synthetic.write_shop(tmp_path, items=7, users=1, events=1, seed=0)

    def test_command_line(self, tmp_path, capsys):
        synthetic.main(["--output", str(tmp_path), "--items", "8", "--users", "2", "--events", "30", "--seed", "1"])
        assert "8 items, 2 users" in capsys.readouterr().out


class TestFormat:
    @pytest.mark.parametrize("name", ["catalog", "events", "signals"])
    def test_every_field_is_declared_and_valid(self, shop, name):
        fields = {field.name: field for field in records.RECORDS[name]}
        for record in getattr(shop, name).values() if name == "catalog" else getattr(shop, name):
            assert set(record) <= set(fields)
            for field in fields.values():
                assert not field.required or field.name in record
                value = record.get(field.name)
                if value is not None:
                    assert not field.choices or value in field.choices
                    assert field.minimum is None or value >= field.minimum
                    assert field.maximum is None or value <= field.maximum

    def test_events_stand_in_order_of_time_with_judgments_last(self, shop):
        stamps = [event["timestamp"] for event in shop.events]
        assert stamps == sorted(stamps)
        last = max(event["timestamp"] for event in shop.events if event["type"] != "judgment")
        assert all(event["timestamp"] > last for event in shop.judgments)
        assert len({event["event_id"] for event in shop.events}) == len(shop.events)

    def test_every_action_follows_an_impression_of_its_request(self, shop):
        seen = set()
        for event in shop.events:
            key = (event["request_id"], event.get("item_id"))
            if event["type"] == "impression":
                seen.add(key)
            elif event["type"] not in ("search", "judgment"):
                assert key in seen, event

    def test_every_event_type_occurs(self, shop):
        assert {event["type"] for event in shop.events} == set(records.EventType)

    def test_media_named_anywhere_decode(self, shop):
        queries = [event["query"] for event in shop.events if "query" in event]
        photos = {uri for record in shop.catalog.values() for uri in record.get("images", [])}
        photos |= {query["image"] for query in queries if "image" in query}
        clips = {record["video"] for record in shop.catalog.values() if "video" in record}
        clips |= {query["video"] for query in queries if "video" in query}
        sounds = {record["audio"] for record in shop.catalog.values() if "audio" in record}
        sounds |= {query["audio"] for query in queries if "audio" in query}
        assert {Path(uri).suffix for uri in photos} == {".jpg", ".png"}
        assert all(image_wire((shop.root / uri).read_bytes(), px=16) for uri in photos)
        assert all(len(video_wire((shop.root / uri).read_bytes(), frames=4, px=16)) == 4 for uri in clips)
        assert all(len(audio_wire(shop.root / uri, milliseconds=30_000)) > 44 for uri in sounds)


class TestTruth:
    def test_hidden_words_stand_in_no_item(self, shop):
        for record in shop.catalog.values():
            # Everything but the names of files and items, which hold numbers only.
            assert not words(json.dumps(record)) & (HIDDEN_WORDS | set(synthetic_words.STYLES.values())), record

    def test_kind_and_material_stand_in_the_text(self, shop):
        for item_id, record in shop.catalog.items():
            text = words(record["title"] + " " + record.get("description", ""))
            assert {shop.items[item_id]["kind"], shop.items[item_id]["material"]} <= text

    def test_an_answer_is_every_item_that_has_the_values_and_shows_them(self, shop):
        tells = {"colour": "images", "pattern": "images", "motion": "video", "tone": "audio"}
        ids = list(shop.catalog)
        for line in shop.truth:
            answers = [
                item_id
                for item_id in ids
                if all(shop.items[item_id][name] == value for name, value in line["wants"].items())
                and all(tells[name] in shop.catalog[item_id] for name in line["wants"] if name in tells)
                and (line["needs"] != "trend" or synthetic_items.NUM_SEASONS - 1 in shop.items[item_id]["seasons"])
            ]
            assert line["relevant"] == answers
            assert 1 <= len(answers) <= 10

    def test_every_need_is_judged_and_judgments_say_the_same_as_the_truth(self, shop):
        forms = {(line["needs"], line["form"]) for line in shop.truth}
        assert forms == {
            ("text", "text"), ("image", "text"), ("image", "photo"), ("image", "photo+text"),
            ("video", "text"), ("video", "clip+text"), ("audio", "sound+text"), ("history", "history"),
            ("trend", "text"), ("profile", "text+profile"), ("searches", "searches"),
        }  # fmt: skip
        judged = Counter((event["request_id"], event["item_id"]) for event in shop.judgments)
        assert judged == Counter((line["request_id"], item_id) for line in shop.truth for item_id in line["relevant"])
        assert {event["grade"] for event in shop.judgments} == {3}

    def test_only_what_is_known_of_the_past_names_a_user_and_only_it_asks_nothing(self, shop):
        needs = {line["request_id"]: line["needs"] for line in shop.truth}
        for event in shop.judgments:
            looks_back = needs[event["request_id"]] in ("history", "searches")
            assert ("user_id" in event) == looks_back
            assert ("query" in event) != looks_back
            assert ("profile" in event) == (needs[event["request_id"]] == "profile")

    def test_who_comes_back_typed_one_search_before_and_did_nothing_else(self, shop):
        lines = {line["request_id"]: line for line in shop.truth if line["needs"] == "searches"}
        for event in shop.judgments:
            if event["request_id"] in lines:
                (before,) = [e for e in shop.events if e.get("user_id") == event["user_id"] and e["type"] != "judgment"]
                assert before["type"] == "search"
                assert before["timestamp"] < event["timestamp"]
                assert set(lines[event["request_id"]]["wants"].values()) <= words(before["query"]["text"])

    def test_what_the_query_says_or_shows_is_what_it_wants(self, shop):
        queries = {event["request_id"]: event.get("query", {}) for event in shop.judgments}
        motions = {"left": "leftward", "right": "rightward", "up": "rising", "down": "falling", "spin": "spinning"}
        for line in shop.truth:
            said = words(queries[line["request_id"]].get("text", ""))
            if line["form"] == "text":
                assert {motions.get(value, value) for value in line["wants"].values()} <= said
            else:
                assert not said & HIDDEN_WORDS

    def test_judged_media_are_not_seen_in_training(self, shop):
        def media(events):
            queries = [event.get("query", {}) for event in events]
            return {query[name] for query in queries for name in ("image", "video") if name in query}

        assert media(shop.judgments)
        assert not media(shop.judgments) & media(shop.searches)

    def test_judged_texts_are_not_seen_in_training(self, shop):
        needs = {line["request_id"]: line["form"] for line in shop.truth}
        texts = {e["query"]["text"] for e in shop.judgments if needs[e["request_id"]] == "text"}
        assert texts
        assert not texts & {event["query"].get("text") for event in shop.searches}

    def test_clicks_are_mostly_right(self, shop):
        likes = {}
        for event in shop.judgments:
            if "user_id" in event:
                likes.setdefault(event["user_id"], set()).add(event["item_id"])
        recommended = {event["request_id"] for event in shop.events} - {event["request_id"] for event in shop.searches}
        clicks = [e for e in shop.events if e["type"] == "click" and e["request_id"] in recommended]
        right = [event["item_id"] in likes[event["user_id"]] for event in clicks if event["user_id"] in likes]
        assert np.mean(right) > 0.85


@pytest.mark.parametrize("num_items", [8, 30, 150, 600])
def test_pairs_of_attributes_name_at_most_ten_items(num_items):
    items = synthetic_items.make_items(num_items, seed=3)
    for pair in [("kind", "material"), ("kind", "colour"), ("kind", "motion"), ("colour", "pattern")]:
        counts = Counter(tuple(item.latents[name] for name in pair) for item in items)
        assert max(counts.values()) <= 10, pair


def test_an_accessory_names_the_item_of_another_kind_that_it_belongs_to():
    items = synthetic_items.make_items(60, seed=3)
    assert any(item.base is not None for item in items)
    for item in items:
        edges = [edge["item_id"] for edge in item.record.get("relations", []) if edge["type"] == "accessory_of"]
        base = None if item.base is None else items[item.base]
        assert edges == ([] if base is None else [base.item_id])
        assert base is None or base.latents["kind"] != item.latents["kind"]


def test_variants_of_a_product_share_their_text_and_differ_in_colour():
    items = {item.item_id: item for item in synthetic_items.make_items(300, seed=3)}
    variants = [item for item in items.values() if item.group_id[6:] != item.item_id[5:]]
    assert variants
    for variant in variants:
        leader = items["item-" + variant.group_id[6:]]
        assert variant.record["title"] == leader.record["title"]
        assert variant.latents["kind"] == leader.latents["kind"]
        assert variant.latents["colour"] != leader.latents["colour"]


def test_what_an_accessory_belongs_to_and_what_is_in_fashion_stand_outside_of_its_content(shop):
    ids = list(shop.catalog)
    for item_id, truth in shop.items.items():
        relations = shop.catalog[item_id].get("relations", [])
        bases = [edge["item_id"] for edge in relations if edge["type"] == "accessory_of"]
        assert bases == ([] if truth["base"] is None else [ids[truth["base"]]])
        talked_of = {s["date"] for s in shop.signals if s["key"] == item_id and s["source"] == "social"}
        opening = synthetic_events.LOG_START.date()
        days = {(date.fromisoformat(day) - opening).days for day in talked_of}
        assert {synthetic_items.season_of(day) for day in days} == set(truth["seasons"])
    assert any(truth["base"] is not None for truth in shop.items.values())


class TestRendering:
    def path_of(self, frames: list[np.ndarray]) -> np.ndarray:
        """Centre of the light in each frame: [frames, 2], to the right and down, in pixels."""
        centres = []
        for frame in frames:
            light = np.clip(frame - np.median(frame) - 40, 0, None)
            down, right = np.indices(frame.shape)
            centres.append([(light * right).sum() / light.sum(), (light * down).sum() / light.sum()])
        return np.array(centres)

    @pytest.mark.parametrize(
        ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
    )
    def test_a_clip_moves_its_way_and_reversed_the_other_way(self, motion, axis, sign):
        for seed in range(5):
            clip = rendering.encode_clip(rendering.draw_clip(motion=motion, seed=seed))
            frames = [pixels(frame) for frame in video_wire(clip, frames=6, px=64)]
            steps = np.diff(self.path_of(frames)[:, axis])
            assert (sign * steps > 2).all()
            assert (sign * np.diff(self.path_of(frames[::-1])[:, axis]) < -2).all()
            # At least half the frame from the first to the last: 32 of 64 pixels, in five of six equal parts.
            assert abs(steps.sum()) > 32 * 5 / 6

    @pytest.mark.parametrize(("motion", "grows"), [("grow", True), ("shrink", False)])
    def test_size_tells_growing_from_shrinking(self, motion, grows):
        frames = [np.asarray(frame).astype(float) for frame in rendering.draw_clip(motion=motion, seed=1)]
        areas = [(frame > 150).sum() for frame in frames]
        assert (areas[-1] > 4 * areas[0]) == grows

    def test_a_blinking_object_is_gone_now_and_then(self):
        frames = [np.asarray(frame) for frame in rendering.draw_clip(motion="blink", seed=1)]
        assert 4 <= sum(frame.std() < 1 for frame in frames) <= 10

    def test_clips_have_no_colour(self):
        clip = rendering.encode_clip(rendering.draw_clip(motion="spin", seed=2))
        frame = np.asarray(Image.open(io.BytesIO(video_wire(clip, frames=1, px=64)[0]))).astype(int)
        assert (frame.max(axis=-1) - frame.min(axis=-1)).max() < 12

    @pytest.mark.parametrize("colour", list(rendering.COLOURS))
    def test_a_plain_photo_has_its_colour_in_the_middle(self, colour):
        for seed in range(5):
            middle = np.asarray(rendering.draw_photo(colour=colour, pattern="plain", seed=seed))[40:56, 40:56].mean(
                axis=(0, 1)
            )
            distances = {name: np.abs(middle - rgb).sum() for name, rgb in rendering.COLOURS.items()}
            assert min(distances, key=distances.get) == colour

    def test_every_pattern_differs_from_every_other(self):
        axis = np.linspace(-0.9, 0.9, 40)
        masks = [np.broadcast_to(paint(*np.meshgrid(axis, axis)), [40, 40]) for paint in rendering.PATTERNS.values()]
        for index, mask in enumerate(masks):
            assert mask.mean() > 0.25
            assert all((mask != other).mean() > 0.2 for other in masks[:index])

    def test_nuisance_changes_with_the_seed_and_only_with_it(self):
        first, again, other = (rendering.draw_photo(colour="red", pattern="dotted", seed=seed) for seed in (1, 1, 2))
        assert first.tobytes() == again.tobytes() != other.tobytes()
