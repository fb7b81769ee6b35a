"""What searches showed, logged by the server, and joined to the clicks on it."""

import json
import time

import numpy as np
import pytest
import requests

from beam_preprocess import pipeline
from beam_preprocess.feeds.feed import ImportOptions
from beam_preprocess.feeds.importer import import_shop
from beam_preprocess.feeds.shop_feeds import named_feeds
from beam_preprocess.sources import open_source
from serving.client import Client
from serving.server.events.event_log import EventLog
from serving.server.events.impressions import ImpressionLog, Sampling, is_sampled
from serving.server.flags import parse_flags
from tests.beam_preprocess.little_shop import read_examples
from tests.serving.server import toy_models
from trainer.pseudonyms import pseudonym, user_keys
from trainer.spec.config import DataConfig
from trainer.spec.presets import tiny

ALICE = pseudonym("alice", b"key")


@pytest.fixture
def log(tmp_path):
    started = EventLog(tmp_path / "log", max_bytes=1 << 20)
    started.start()
    yield started
    started.close()


def logged(log: EventLog, folder: str = "shop") -> list[dict]:
    log.close()
    return [json.loads(line) for path in (log._directory / folder).glob("*") for line in path.read_bytes().splitlines()]


def add(log: EventLog, query_id: str, *, rate: float = 1.0, folder: str = "shop", **inputs: object) -> None:
    impressions = ImpressionLog(log, sampling_of=lambda model: Sampling(rate, folder), now=lambda: 100.0)
    ids = np.array([[b"lamp", b"vase", b""], [b"mug", b"", b""]], object)
    arrays = {name: np.array(value, object if isinstance(value[0], bytes) else None) for name, value in inputs.items()}
    impressions.add("toy", query_id, arrays, {"ids": ids, "num_results": np.array([2, 1])})


def test_places_count_from_0_over_pages_and_rows_have_ids_of_their_own(log):
    add(log, "q", query_text=[b"reading light", b""], page=[3, 1], page_size=[10, 10], user_hash=[ALICE.encode(), b"x"])
    search, *shown = logged(log)
    assert (search["type"], search["request_id"], search["query"]) == ("search", "q", {"text": "reading light"})
    assert [(event["request_id"], event["item_id"], event["position"]) for event in shown] == [
        ("q", "lamp", 20),
        ("q", "vase", 21),
        ("q.1", "mug", 0),
    ]
    assert {event["timestamp"] for event in shown} == {100.0}
    # A hash is kept under its mark; what is none is not logged.
    assert [event.get("user_id") for event in shown] == [f"hmac:{ALICE}"] * 2 + [None]


def test_the_same_page_again_is_logged_once(log):
    for _ in range(2):
        add(log, "q", query_text=[b"a", b"b"], page=[1, 1], page_size=[10, 10])
    assert len(logged(log)) == 5  # two searches, three impressions


def test_a_query_is_sampled_by_its_id_alone():
    sampled = [is_sampled(f"query-{number}", 0.2) for number in range(10_000)]
    # 2,000 expected, with a standard deviation of 40.
    assert 1_850 < sum(sampled) < 2_150
    assert sampled[:50] == [is_sampled(f"query-{number}", 0.2) for number in range(50)]
    assert (is_sampled("q", 0.0), is_sampled("q", 1.0)) == (False, True)


def test_outputs_of_another_kind_never_fail_an_answer(log):
    impressions = ImpressionLog(log, sampling_of=lambda model: Sampling(1.0))
    impressions.add("toy", "q", {}, {"ids": np.array([[1, 2]]), "num_results": np.array([2])})
    impressions.add("toy", "q", {}, {"scores": np.array([1.0])})
    log.close()
    impressions.add("toy", "q", {}, {"ids": np.array([[b"a"]], object), "num_results": np.array([1])})
    assert logged(log) == []


@pytest.mark.parametrize("surface", ["rest", "grpc"])
def test_impressions_join_the_clicks_on_them_when_they_are_imported(serve_toy, tmp_path, surface):
    """The toy answers a text with the items [text, "0"]; the first is clicked."""
    toy_models.save_toy_bundle(tmp_path / "models" / "1")
    directory = tmp_path / "log"
    with serve_toy(tmp_path / "models", events_dir=directory, log_impressions=1.0) as served:
        address = {"rest": served.url, "grpc": f"127.0.0.1:{served.server.grpc_port}"}[surface]
        client = Client(**{surface: address}, model_name="toy", user_hash_key=user_keys().key)
        found = client.search(text="lamp", page_size=2, user_id="ann")
        target = {"object": {"object_id": found.ids[0]}, "position": {"ordinal": 0}}
        click = {"action_name": "click", "query_id": found.query_id, "client_id": "ann", "event_attributes": target}
        assert requests.post(f"{served.url}/v1/events", json=click, timeout=60).json()["accepted"] == 1
    (tmp_path / "catalog.jsonl").write_text('{"item_id": "lamp", "title": "Lamp"}\n{"item_id": "0", "title": "Mug"}\n')
    feeds = named_feeds([f"shop:{tmp_path}/catalog.jsonl"], [str(directory)])
    options = ImportOptions(now=time.time(), user_keys=user_keys())
    import_shop(feeds, tmp_path / "imported", options=options, data=DataConfig())
    outputs = {split: tmp_path / "out" / split for split in ("train", "eval", "days")}
    source = open_source(tmp_path / "imported", "imported")
    pipeline.ingest_events(source, config=tiny(), output_dirs=outputs, dead_letter_path=tmp_path / "dead.jsonl")
    rows = [row for split in ("train", "eval") for row in read_examples(outputs[split])]
    ann = pseudonym("ann", user_keys().key).encode()
    assert sorted(
        (row["event_item_id"][0], row["position"][0], row["label_click"][0], row["query_text"][0], row["user_hash"][0])
        for row in rows
    ) == [(b"0", 1, 0.0, b"lamp", ann), (b"lamp", 0, 1.0, b"lamp", ann)]
    assert {row["request_id"][0].decode() for row in rows} == {found.query_id}


def test_the_logging_config_of_a_model_is_honoured(serve_toy, tmp_path):
    toy_models.save_toy_bundle(tmp_path / "models" / "1")
    config = tmp_path / "models.config"
    config.write_text(
        f"""model_config_list {{ config {{ name: "toy" base_path: "{tmp_path}/models" model_platform: "tensorflow"
        logging_config {{
          log_collector_config {{ type: "impressions" filename_prefix: "searches" }}
          sampling_config {{ sampling_rate: 1.0 }}
        }} }} }}"""
    )
    with serve_toy(None, model_config_file=config, events_dir=tmp_path / "log") as served:
        Client(rest=served.url, model_name="toy").search(text="lamp", page_size=2)
    (path,) = (tmp_path / "log" / "searches").glob("*.jsonl")
    assert [json.loads(line)["type"] for line in path.read_bytes().splitlines()] == [
        "search",
        "impression",
        "impression",
    ]


@pytest.mark.parametrize("flags", [["--log_impressions=0.5"], ["--log_impressions=2", "--events_dir=/e"]])
def test_a_rate_needs_a_folder_and_is_a_share(flags, capsys):
    with pytest.raises(SystemExit):
        parse_flags(["--model_base_path=/m", *flags])
    assert "--log_impressions is a share from 0 to 1, and needs --events_dir" in capsys.readouterr().err
