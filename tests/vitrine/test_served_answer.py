"""A trained model, exported, indexed and served: what a client gets is what the model says in Python."""

import numpy as np
import pytest
import tensorflow as tf

from serving.client import Client, audio_wire, image_wire, video_wire
from tests.serving.server.in_process import serve
from tests.support import fake_media, tiny_shop
from trainer.evaluation.evaluate import TowerEncoder
from trainer.spec.serving.signatures import QueryStatus
from trainer.training.fit import fit

PATIENCE_SECONDS = 120.0  # for the first call of a signature
PHOTO = fake_media.photo(4, width=300, height=200)
CLIP = fake_media.colour_clip(fake_media.GREEN)
VOICE = fake_media.tone(hz=700.0, seconds=0.5, rate_hz=8_000)
QUERIES = {
    "text": {"text": "colour3 thing2"},
    "image": {"image": PHOTO},
    "clip": {"video": CLIP},
    "voice": {"audio": VOICE},
    "shopper": {
        "history": ["item-03", "item-07"],
        "search_history": ["thing2", "colour1"],
        "profile": {"style": "airy"},
    },
    "all": {
        "text": "thing1",
        "image": PHOTO,
        "video": CLIP,
        "audio": VOICE,
        "history": ["item-03"],
        "search_history": ["red"],
    },
}


@pytest.fixture(scope="module")
def restored(facade_run):
    """The model of the run, which is done: it comes from its last checkpoint."""
    model = fit(
        tiny_shop.CONFIG, facade_run.inputs, work_dir=facade_run.model / "work", log_dir=facade_run.model / "logs"
    )
    assert model.model_id == facade_run.trained.model_id
    return model


@pytest.fixture(scope="module", params=["stock", "scann"])
def served(facade_run, by_command, request):
    base = facade_run.published if request.param == "stock" else by_command.folder
    # Three signatures are asked here; the others are not made ready.
    with serve(base / request.param, enable_model_warmup=False) as running:
        yield running


def _wire(query):
    """One row of each query feature, as Beam would have written it."""
    wire = tiny_shop.CONFIG.wire
    frames = video_wire(query["video"], frames=wire.num_frames, px=wire.frame_px) if "video" in query else []
    history = [item.encode() for item in query.get("history", [])]
    searches = [text.encode() for text in query.get("search_history", [])]
    profile = [f"{key}={value}".encode() for key, value in query.get("profile", {}).items()]
    return {
        "query_text": [query.get("text", "").encode()],
        "query_image": [image_wire(query["image"], px=wire.image_px) if "image" in query else b""],
        "query_audio": [audio_wire(query["audio"], milliseconds=wire.audio_ms) if "audio" in query else b""],
        "query_video": [frames or [b""] * wire.num_frames],
        "history_ids": [history + [b""] * (wire.history_length - len(history))],
        "history_age_days": [[0.0] * wire.history_length],
        "history_counts": [[1.0] * wire.history_length],
        "search_history_texts": [searches + [b""] * (wire.search_history_length - len(searches))],
        "search_history_age_days": [[0.0] * wire.search_history_length],
        "profile": [profile + [b""] * (wire.max_profile_entries - len(profile))],
    }


def _python_answer(trained, query):
    """Item ids and cosines, best first, from the model itself."""
    wire, items = _wire(query), trained.tables.items
    rows = [[items.row_of.get(item_id, -1) for item_id in wire["history_ids"][0]]]
    model_inputs = trained.tables.ops.query_model_inputs({name: tf.constant(value) for name, value in wire.items()})
    vector = trained.model.encode_queries({**model_inputs, "history_rows": tf.constant(rows, tf.int32)})["vector"]
    scores = TowerEncoder(trained.model).items(items) @ np.asarray(vector)[0]
    order = np.lexsort((np.arange(len(scores)), -scores))
    return [items.ids[row].decode() for row in order], scores[order]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
@pytest.mark.parametrize("name", QUERIES)
def test_the_served_answer_is_the_models_own(restored, served, protocol, name):
    address = {"grpc": f"127.0.0.1:{served.server.grpc_port}", "rest": served.url}[protocol]
    client = Client(**{protocol: address}, model_name="toy", timeout_seconds=PATIENCE_SECONDS)
    found = client.search(**QUERIES[name], page_size=8, score_weights={"lexical": 0.0})
    ids, scores = _python_answer(restored, QUERIES[name])
    assert list(found.ids) == ids[:8]
    np.testing.assert_allclose(found.scores, scores[:8], atol=1e-4)


@pytest.mark.slow
def test_a_larger_photo_is_nearly_its_wire_form(served):
    client = Client(rest=served.url, model_name="toy", timeout_seconds=PATIENCE_SECONDS)
    small = _wire({"image": PHOTO})["query_image"]
    vectors = [client.predict("embed_query", {"query_image": image})["vector"][0] for image in (small, [PHOTO])]
    assert 0.99 < np.dot(*vectors) < 1.0


GIF = fake_media.gif([(200, 30, 30), (30, 200, 30)])
# In place of a photo or a text: each counts as absent, or is converted or repaired, is said so, and fails no neighbour.
ODD = {
    "gif": ("query_image", lambda: GIF, QueryStatus.OK),  # the server converts it by the client's rules
    "svg": ("query_image", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", QueryStatus.IMAGE_UNREADABLE),
    "50 MB": ("query_image", lambda: PHOTO[:2_000] + bytes(50_000_000) + PHOTO[2_000:], QueryStatus.IMAGE_UNREADABLE),
    "page": ("query_image", lambda: b"<html>no photo here</html>", QueryStatus.IMAGE_UNREADABLE),
    "half": ("query_image", lambda: PHOTO[: len(PHOTO) // 2], QueryStatus.IMAGE_UNREADABLE),
    "bytes": ("query_text", lambda: b"colour3 \xff\xfe thing2", QueryStatus.TEXT_REPLACED),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_odd_bytes_are_said_and_leave_the_neighbours_alone(served, name):
    feature, make, status = ODD[name]
    client = Client(grpc=f"127.0.0.1:{served.server.grpc_port}", model_name="toy", timeout_seconds=60)
    good = {"query_text": [b"colour3 thing2"], "query_image": [b""]}
    alone = client.predict("search", good)
    row = {"query_text": b"colour3", "query_image": b"", feature: make()}
    both = client.predict("search", {key: [*values, row[key]] for key, values in good.items()})
    assert both["query_status"].tolist() == [QueryStatus.OK, status]
    assert both["ids"][0].tolist() == alone["ids"][0].tolist()
    assert both["num_results"].min() > 0
    assert np.isfinite(both["scores"]).all()


@pytest.mark.slow
def test_the_client_makes_a_photo_of_a_gif(served):
    client = Client(rest=served.url, model_name="toy", timeout_seconds=PATIENCE_SECONDS)
    found = client.search(image=GIF)
    assert (found.query_status, found.num_results > 0) == (QueryStatus.OK, True)
