"""A client for a Vitrine bundle, behind TF Serving or `python -m serving.server`, over gRPC or REST.

    client = Client(rest="http://127.0.0.1:8501", model_name="vitrine")
    found = client.search(text="red shoe", image="photo.jpg", page_size=5)
    print(found.ids, found.scores)

This package stands alone, so that a shop's backend can take a copy of it as `serving/client/`: no TensorFlow, nothing
else of this project, only numpy, Pillow, and requests or grpcio and protobuf (PyAV for clips and sounds). It learns
the inputs, their defaults and the sizes of the wire form from the server, so a new input needs no new client.
"""

from serving.client.audio import sound_wire
from serving.client.client import Client, SearchResult
from serving.client.errors import ClientError, MediaError
from serving.client.images import Media, image_wire
from serving.client.search_options import Filters
from serving.client.specs import SignatureSpec, TensorSpec
from serving.client.video import clip_wire

__all__ = [
    "Client",
    "ClientError",
    "Filters",
    "Media",
    "MediaError",
    "SearchResult",
    "SignatureSpec",
    "TensorSpec",
    "clip_wire",
    "image_wire",
    "sound_wire",
]
