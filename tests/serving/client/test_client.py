import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving import client as client_package
from serving.client import Client, ClientError, image_wire, video_wire
from serving.client.protos import MESSAGES
from serving.client.tensors import DTYPES, array_to_tensor, tensor_to_array
from serving.server.protocol.tensors import to_proto
from tests.serving.server import toy_models
from tests.serving.server.in_process import Served, serve
from tests.support import fake_media


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base_path = tmp_path_factory.mktemp("bundle")
    toy_models.save_toy_bundle(base_path / "1")
    with serve(base_path) as served:
        yield served


def connect(served: Served, kind: str, **more: object) -> Client:
    if kind == "grpc":
        return Client(grpc=f"127.0.0.1:{served.server.grpc_port}", model_name="toy", **more)
    return Client(rest=served.url, model_name="toy", **more)


@pytest.fixture(params=["grpc", "rest"])
def client(bundle: Served, request: pytest.FixtureRequest) -> Client:
    return connect(bundle, request.param, user_hash_key=b"key")


def test_a_text_search_with_everything_else_left_out(client):
    found = client.search(text="röd sko")
    # The toy answers with what it received: text, size of the photo, of the clip, joined history.
    assert found.ids == ("röd sko", "0", "0", "")
    assert found.scores == (1.5, 1.5, 1.5, 1.5)
    assert dict(found.score_components) == {"dense": (1.0,) * 4, "click": (0.5,) * 4}
    assert (found.num_results, found.query_status, found.bundle_version) == (4, 1, "")


def test_photo_clip_history_weights_page_and_user(client, tmp_path):
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(fake_media.photo())
    film = fake_media.clip(fake_media.grey_steps)
    found = client.search(
        image=picture,
        video=film,
        history=["old", "b", "c", "d"],
        history_age_days=[9.0, 2.0, 0.5, 1.0],
        score_weights={"dense": 2.0, "click": 0.25},
        page=3,
        page_size=2,
        user_id="alice",
    )
    assert (found.num_results, found.query_status) == (2, 3)
    assert found.ids == ("", str(len(image_wire(picture, px=16))))
    # HMAC-SHA-256 of "alice" with the key "key".
    assert found.bundle_version == "76fb55e929c06b97b01c35950ee5f72fe415b15ed3a7356c39e709906dbb5c45"
    assert "alice" not in repr(found)
    assert found.scores == (2.25, 2.25)
    assert found.score_components["dense"] == (2.0, 2.0)
    whole = client.search(video=film, history=["old", "b", "c", "d"], history_age_days=[9.0, 2.0, 0.5, 1.0])
    frames = video_wire(film, frames=2, px=8)
    # The bundle takes three items, so the oldest stays behind: ages 2 + 0.5 + 1.
    assert whole.ids[2:] == (str(sum(map(len, frames))), "b+c+d")
    assert whole.score_components["click"] == (4.0,) * 4
    # What was met three times stands there once, at its latest: 1 + two times more.
    again = client.search(history=["b", "c", "b", "b"], history_age_days=[3.0, 0.0, 1.0, 2.0])
    assert again.ids[3] == "c+b"
    assert again.score_components["click"] == (3.5,) * 4


def test_similar_items_and_embeddings(client):
    found = client.similar_items("sku-1", page=2, page_size=3)
    assert (found.ids, found.bundle_version, dict(found.score_components)) == (("sku-1",) * 3, "2", {})
    vector = client.embed_query(text="four")["vector"]
    np.testing.assert_array_equal(vector, np.float32([4.0, 1 / 3]))
    assert vector.dtype == np.float32


def test_predict_takes_batches_and_repeats_defaults(client):
    outputs = client.predict("search", {"query_text": ["a", b"b", "c"], "page": np.int64([1, 2, 3])})
    assert outputs["ids"].shape == (3, 4)
    assert outputs["ids"][:, 0].tolist() == [b"a", b"b", b"c"]
    assert outputs["query_status"].tolist() == [1, 2, 3]
    assert outputs["query_status"].dtype == np.int32
    assert outputs["scores"].dtype == np.float32


def test_the_wire_form_is_learnt_once(client, monkeypatch):
    assert client.wire_spec() == {"image_px": 16, "num_frames": 2, "frame_px": 8, "history_length": 3}
    monkeypatch.setattr(client, "predict", None)
    assert client.wire_spec()["num_frames"] == 2
    search = client.signatures()["search"]
    assert search.inputs["history_ids"].shape == (-1, -1)
    assert search.inputs["history_ids"].default.shape == (1, 0)
    assert search.inputs["weight_dense"].default.tolist() == [1.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.search(score_weights={"stock": 1.0}), "Weight 'stock' is not one of .* it has click, dense"),
        (lambda c: c.search(history=["a"], history_age_days=[]), "has 0 values for 1 entries"),
        (lambda c: c.predict("rank", {}), "Signature 'rank' is not in the bundle; it has embed_query, search"),
        (lambda c: c.predict("search", {"q": [1]}), "'search' has no input q; it has"),
        (lambda c: c.predict("similar_items", {}), "Input 'item_id' of signature 'similar_items' has no default"),
        (lambda c: c.predict("search", {"history_ids": [["a"], ["b", "c"]]}), "."),
        (lambda c: c.predict("search", {"query_text": [1]}), "A string input holds a int"),
        (lambda c: c.search(image=b"<html>"), "Image is not a JPEG, PNG, WebP"),
        (lambda c: c.search(video=b"#EXTM3U"), "Clip is not an MP4"),
    ],
)
def test_mistakes_are_named_before_anything_is_sent(client, call, message):
    with pytest.raises(ValueError, match=message):
        call(client)


def test_a_client_needs_one_address_and_a_key_for_users(bundle):
    with pytest.raises(ValueError, match="exactly one"):
        Client()
    with pytest.raises(ValueError, match="exactly one"):
        Client(rest="http://a", grpc="b")
    with pytest.raises(ValueError, match="never leaves in the clear"):
        connect(bundle, "rest").search(user_id="alice")


@pytest.mark.parametrize("form", ["{host}", "http://{host}/", " http://{host} ", "HTTP://{host}//"])
def test_an_address_of_rest_may_lack_its_scheme_and_end_with_a_slash(bundle, form):
    client = Client(rest=form.format(host=bundle.url.removeprefix("http://")), model_name="toy")
    assert client.search(text="a").ids[0] == "a"


@pytest.mark.parametrize("form", ["{host}", "http://{host}/", "grpc://{host}", " {host}"])
def test_an_address_of_grpc_may_have_a_scheme(bundle, form):
    client = Client(grpc=form.format(host=f"127.0.0.1:{bundle.server.grpc_port}"), model_name="toy")
    assert client.search(text="a").ids[0] == "a"


def test_what_is_no_address_is_named():
    for address in ("", "http://", "ftp://host:1", "grpc://host:1"):
        with pytest.raises(ValueError, match="rest is .*; wanted an address such as http://localhost:8501"):
            Client(rest=address)
    for address in ("", "localhost", "grpcs://host", "host:port"):
        with pytest.raises(ValueError, match="grpc is .*; wanted host:port, such as localhost:8500"):
            Client(grpc=address)


def test_one_client_answers_on_both_sides_of_a_fork(bundle):
    # In a process of its own: this one has threads of TensorFlow and of the server, which a fork does not copy.
    program = (
        "import os, sys\n"
        "from serving.client import Client, ClientError\n"
        "rest, grpc = Client(rest=sys.argv[1], model_name='toy'), Client(grpc=sys.argv[2], model_name='toy')\n"
        "before = rest.search(text='before').ids[0]\n"
        "if len(sys.argv) > 3: grpc.search(text='before')\n"
        "child = os.fork()\n"
        "name = 'parent' if child else 'child'\n"
        "found = [rest.search(text=f'{name} {number}').ids[0] for number in range(20)]\n"
        "assert found == [f'{name} {number}' for number in range(20)], found\n"
        "if not child and len(sys.argv) > 3:\n"
        "    try: grpc.search(text='a')\n"
        "    except ClientError as error: print(error, flush=True)\n"
        "if not child: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "print(before, 'both', flush=True)\n"
    )
    address = f"127.0.0.1:{bundle.server.grpc_port}"
    for more in ([], ["with gRPC"]):
        command = [sys.executable, "-c", program, bundle.url, address, *more]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert found.stdout.endswith("before both\n"), found.stderr
        assert ("FAILED_PRECONDITION: This client used gRPC before the process was forked" in found.stdout) == bool(
            more
        )


@pytest.mark.parametrize(("kind", "code"), [("grpc", "INVALID_ARGUMENT"), ("rest", "HTTP 400")])
def test_what_the_server_refuses(bundle, kind, code):
    client = connect(bundle, kind)
    with pytest.raises(ClientError, match=r"Input query_text has the shape \[1, 2\]; wanted \[rows\]") as caught:
        client.predict("search", {"query_text": [["a", "b"]]})
    assert caught.value.code == code


def test_inputs_of_different_numbers_of_rows_are_named_before_anything_is_sent(bundle):
    with pytest.raises(ValueError, match="Input 'history_ids' of signature 'search' has 1 rows and 'query_text' has 2"):
        connect(bundle, "rest").predict("search", {"query_text": ["a", "b"], "history_ids": [["item0001"]]})


def test_servers_that_are_not_there():
    with pytest.raises(ClientError, match="UNAVAILABLE"):
        Client(rest="http://127.0.0.1:1", timeout_seconds=1).search(text="a")
    with pytest.raises(ClientError, match="UNAVAILABLE|DEADLINE_EXCEEDED"):
        Client(grpc="127.0.0.1:1", timeout_seconds=1).search(text="a")


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_new_bundle_with_other_signatures_needs_no_new_client(tmp_path, kind):
    toy_models.save_half_plus_two(tmp_path / "1")
    with serve(tmp_path) as served:
        client = connect(served, kind)
        assert client.predict("serving_default", {"x": [2.0]})["y"].tolist() == [3.0]
        toy_models.save_words(tmp_path / "tmp-2")
        (tmp_path / "tmp-2").rename(tmp_path / "2")
        while served.server.core.statuses("toy")[-1].state.name != "END":
            time.sleep(0.02)
        found = client.predict("serving_default", {"text": ["a", "b"]})
        assert found["page"].tolist() == [1, 1]
        assert client.predict("raw", {"text": [b"\xff\x00"]})["text_bytes"].tolist() == [b"\xff\x00"]
        # Halves: what JSON cannot carry, gRPC can.
        if kind == "grpc":
            assert client.predict("halves", {"x": [1.5, -2.0]})["x"].tolist() == [1.5, -2.0]


def test_a_copy_of_the_folder_works_under_any_name_without_tensorflow_and_without_our_packages(bundle, tmp_path):
    shutil.copytree(Path(client_package.__file__).parent, tmp_path / "shop_search")
    addresses = [{"rest": bundle.url}, {"grpc": f"127.0.0.1:{bundle.server.grpc_port}"}]
    code = (
        "import json, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from shop_search import Client, video_wire, image_wire, audio_wire\n"
        "found = [Client(model_name='toy', **a).search(text='sko').ids for a in json.loads(sys.argv[2])]\n"
        "roots = {name.split('.')[0] for name in sys.modules}\n"
        "print(json.dumps([found, sorted(roots & {'tensorflow', 'serving', 'trainer', 'beam_preprocess'})]))\n"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path), json.dumps(addresses)]  # -I: no path but the copy's
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[["sko", "0", "0", ""]] * 2, []]


@pytest.mark.parametrize("dtype", [number for number in DTYPES if number != 7])
def test_tensors_travel_as_tensorflow_writes_them(dtype):
    kind = tf.as_dtype(dtype)
    values = np.array([[0, 1, 1]]).astype(kind.as_numpy_dtype)
    for proto in (
        to_proto(values, kind),
        tf.make_tensor_proto(values),
        tf.make_tensor_proto(values[0, 1], kind, [1, 3]),
    ):
        message = MESSAGES["Tensor"].FromString(proto.SerializeToString())
        found = tensor_to_array(message)
        np.testing.assert_array_equal(found, tf.make_ndarray(proto))
        assert found.dtype == values.dtype
        back = array_to_tensor(found).SerializeToString()
        np.testing.assert_array_equal(tf.make_ndarray(type(proto).FromString(back)), found)
