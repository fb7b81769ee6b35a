import contextlib
import io

import pytest
import tensorflow as tf
from PIL import Image

from serving.bundle.warmup import warmup_requests
from trainer.spec.serving.signatures import signatures


def named(requests, signature):
    return [request for request in requests if request.model_spec.signature_name == signature]


@pytest.mark.parametrize("item_ids", [[], [b"a"], [b"item%d" % number for number in range(30)]])
def test_every_request_fills_every_input_in_the_declared_form(config, item_ids):
    requests = warmup_requests(config, item_ids=item_ids)
    for signature in signatures(config):
        for request in named(requests, signature.name):
            arrays = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            assert set(arrays) == {port.name for port in signature.inputs}
            assert len({len(array) for array in arrays.values()}) == 1
            for port in signature.inputs:
                got = arrays[port.name].shape[1:]
                assert len(got) == len(port.shape)
                assert all(want in (None, length) for want, length in zip(port.shape, got, strict=True))


def test_search_is_warmed_with_each_kind_of_query_and_a_batch_of_all_of_it(config):
    requests = named(warmup_requests(config, item_ids=[b"a", b"b"]), "search")
    kinds = ("query_text", "query_image", "query_video", "query_audio", "history_ids")
    asked = set()
    for request in requests:
        arrays = {name: tf.make_ndarray(request.inputs[name]) for name in kinds}
        asked.add((len(arrays["query_text"]), *(name for name, array in arrays.items() if any(array.ravel()))))
    assert asked == {(8, *kinds), *((1, *given) for given in [(), *((kind,) for kind in kinds), kinds])}


def test_every_input_that_a_graph_branches_on_is_asked_for(config):
    requests = named(warmup_requests(config, item_ids=[b"a", b"b"]), "search")
    values = {}
    for request in requests:
        for name, tensor in request.inputs.items():
            if tensor.tensor_shape.dim[0].size == 1:
                values.setdefault(name, set()).add(tf.make_ndarray(tensor).tobytes())
    never = {name for name, found in values.items() if len(found) == 1}
    assert never == {port for port in values if port.startswith(("weight_", "query_weight_"))} | {
        "page_size",
        "user_hash",
        "intent_weight",
    }


def test_pictures_are_jpegs_of_the_wire_size(config):
    requests = named(warmup_requests(config, item_ids=[]), "embed_item")
    for name, size in (("images", 32), ("video", 16)):  # of the tiny preset
        requested = {one for request in requests for one in tf.make_ndarray(request.inputs[name]).ravel()} - {b""}
        sizes = set()
        for one in requested:
            with contextlib.suppress(OSError):  # one of them is broken, and is to be
                photo = Image.open(io.BytesIO(one))
                sizes.add((photo.format, photo.size))
        # One that is brought to size stands beside those of the wire form.
        assert sizes == {("JPEG", (size, size)), *([("JPEG", (40, 40))] if name == "images" else [])}
