"""`POST /v1/events` of a server, and the import of what it wrote."""

import gzip
import json
import time

import pytest

from beam_preprocess.feeds.feed import ImportOptions
from beam_preprocess.feeds.importer import import_shop
from beam_preprocess.feeds.shop_feeds import named_feeds
from serving.server.flags import parse_flags
from tests.serving.server.in_process import Served
from trainer.pseudonyms import pseudonym, user_keys
from trainer.spec.config import DataConfig

URL = "/v1/events"
ATTRIBUTES = {"object": {"object_id": "lamp"}, "position": {"ordinal": 0}}
CLICK = {"action_name": "click", "query_id": "q1", "client_id": "ann", "event_attributes": ATTRIBUTES, "event_id": "e1"}
VIEW = {"type": "view", "item_id": "lamp", "user_id": "ann", "event_id": "e2"}


@pytest.fixture(scope="module")
def taking(half_plus_two_models, serve_toy, tmp_path_factory):
    directory = tmp_path_factory.mktemp("events")
    with serve_toy(half_plus_two_models["tf2"], events_dir=directory) as served:
        yield served, directory


def send(served: Served, body: bytes, **headers: str) -> dict:
    answer = served.request("POST", URL, body, headers={name.replace("_", "-"): text for name, text in headers.items()})
    return {"status": answer.status_code, **answer.json()}


def test_events_are_acknowledged_once_and_an_import_reads_the_files_as_they_are(taking, tmp_path):
    served, directory = taking
    accepted = {"status": 200, "accepted": 2, "duplicates": 0, "ignored_fields": []}
    assert send(served, json.dumps([CLICK, VIEW]).encode()) == accepted
    assert send(served, json.dumps([CLICK, VIEW]).encode()) == {**accepted, "accepted": 0, "duplicates": 2}
    (tmp_path / "catalog.jsonl").write_text('{"item_id": "lamp", "title": "Lamp"}\n')
    feeds = named_feeds([f"shop:{tmp_path}/catalog.jsonl"], [f"ubi:{directory}/ubi", f"shop:{directory}/shop"])
    # Both kinds are also known by their content, in one directory.
    both = named_feeds([f"shop:{tmp_path}/catalog.jsonl"], [str(directory)])
    for number, found in enumerate((feeds, both)):
        output = tmp_path / f"out{number}"
        import_shop(found, output, options=ImportOptions(now=time.time(), user_keys=user_keys()), data=DataConfig())
        events = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
        ann = pseudonym("ann", user_keys().key)
        assert {(event["event_id"], event["type"], event["item_id"], event["user_id"]) for event in events} == {
            ("e1", "click", "lamp", ann),
            ("e2", "view", "lamp", ann),
        }


def test_lines_and_gzip(taking):
    served, _ = taking
    lines = b"".join(json.dumps({**VIEW, "event_id": f"line-{number}"}).encode() + b"\n" for number in range(3))
    assert send(served, lines, Content_Type="application/x-ndjson")["accepted"] == 3
    packed = gzip.compress(json.dumps({**VIEW, "event_id": "packed"}).encode())
    assert send(served, packed, Content_Encoding="gzip")["accepted"] == 1


def test_one_wrong_event_refuses_the_request_as_a_whole(taking):
    served, directory = taking
    good = {**VIEW, "event_id": "good"}
    refused = send(served, json.dumps([good, {**VIEW, "rating": 9}]).encode())
    assert refused == {"status": 400, "error": "Event 1: rating is out of range; wanted a number from 1 to 5."}
    assert send(served, b"{")["status"] == 400
    assert '"good"' not in "".join(path.read_text() for path in directory.glob("shop/*"))


def test_callers_from_elsewhere_need_a_token_of_the_scope(taking, monkeypatch):
    served, _ = taking
    monkeypatch.setattr("serving.server.rest_api.middleware.is_loopback", lambda address: False)
    for path in (URL, "/V1/Events", f"{URL}/", f"{URL}?a=b"):
        assert served.request("POST", path, b"{}").status_code == 401
    assert served.post({"instances": [1.0]}).status_code == 200


def test_a_server_without_a_folder_takes_nothing(words):
    assert send(words, b"{}") == {"status": 400, "error": "This server takes no events; start it with --events_dir."}


def test_tf_servings_protocol_has_no_events(zoo_config, capsys):
    with pytest.raises(SystemExit):
        parse_flags(["--model_base_path=/m", "--events_dir=/e", "--strict"])
    assert "--events_dir is no part of TF Serving" in capsys.readouterr().err
