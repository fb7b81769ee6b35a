"""Photos over the protocol: what the graph does not read is converted as the client does it, the rest is untouched."""

import builtins
import json

import numpy as np
import pytest
from PIL import Image

from serving.client import image_wire
from serving.server.protocol.photo_inputs import convert_photos
from tests.support import fake_media


class Model:
    """A bundle of which `wire_spec` alone is called, and counted."""

    def __init__(self, *, signatures=("search", "wire_spec")):
        self.signatures = {name: name for name in signatures}
        self.num_calls = 0

    def run(self, signature, inputs, *, outputs):
        assert (signature, list(inputs), outputs) == ("wire_spec", ["placeholder"], ("spec_json",))
        self.num_calls += 1
        return {"spec_json": np.array([json.dumps({"image_px": 16, "frame_px": 8}).encode()], object)}


def photos(*found: bytes) -> np.ndarray:
    return np.array(found, object)


def of_kind(name: str, **options) -> bytes:
    return fake_media.encoded(fake_media.quadrants(), name, **options)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "TIFF", "BMP", "JPEG2000", "GIF"])
def test_a_kind_that_the_graph_does_not_read_is_converted(kind):
    model, source = Model(), of_kind(kind)
    jpeg = of_kind("JPEG")
    found = convert_photos(model, {"query_image": photos(source, b"", jpeg), "query_text": photos(b"a", b"b", b"c")})
    assert found["query_image"].tolist() == [image_wire(source, px=16), b"", jpeg]
    assert found["query_text"].tolist() == [b"a", b"b", b"c"]


def test_frames_have_the_size_of_frames_and_the_sizes_are_asked_for_once():
    model, source = Model(), of_kind("WEBP")
    for _ in range(2):
        found = convert_photos(model, {"query_video": np.array([[source, source]], object)})
    assert found["query_video"].tolist() == [[image_wire(source, px=8)] * 2]
    assert model.num_calls == 1


def test_what_the_graph_reads_is_not_touched_and_costs_no_call():
    model = Model()
    inputs = {"query_image": photos(of_kind("JPEG"), of_kind("PNG"), of_kind("JPEG", icc_profile=b"of a screen"), b"")}
    assert convert_photos(model, inputs)["query_image"].tolist() == inputs["query_image"].tolist()
    assert model.num_calls == 0


def test_cmyk_with_a_profile_is_converted():
    source = fake_media.encoded(Image.new("CMYK", (20, 20), (255, 0, 0, 0)), "JPEG", icc_profile=b"of a printer")
    assert convert_photos(Model(), {"query_image": photos(source)})["query_image"].tolist() == [
        image_wire(source, px=16)
    ]


def test_what_cannot_be_converted_is_left_to_the_graph():
    inputs = {"query_image": photos(b"<svg/>", of_kind("WEBP")[:40])}
    assert convert_photos(Model(), inputs)["query_image"].tolist() == inputs["query_image"].tolist()


def test_another_model_keeps_its_inputs():
    inputs = {"query_image": photos(of_kind("WEBP"))}
    assert convert_photos(Model(signatures=("search",)), inputs) is inputs


def test_without_pillow_nothing_is_converted(monkeypatch):
    real = builtins.__import__

    def without_client(name, *args, **kwargs):
        if name.startswith("serving.client"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    inputs = {"query_image": photos(of_kind("WEBP"))}
    monkeypatch.setattr(builtins, "__import__", without_client)
    assert convert_photos(Model(), inputs)["query_image"] is inputs["query_image"]
