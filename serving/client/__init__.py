"""Client of a Vitrine bundle, behind TF Serving or `python -m serving.server`, over gRPC or REST.

    client = Client(rest="http://127.0.0.1:8501", model_name="vitrine")
    found = client.search(text="red shoe", image="photo.jpg", page_size=5)
    print(found.ids, found.scores)

This package depends on nothing else of this project and imports itself relatively, so a shop's backend can copy the
folder under any name: no TensorFlow, only numpy, Pillow, and requests or grpcio and protobuf (PyAV for clips and
sounds). It reads the inputs, their defaults and the sizes of the wire form from the server, so a new input needs no
new client.
"""

from .audio import audio_wire
from .client import Client
from .errors import ClientError, MediaError
from .images import Media, image_wire
from .results import FacetCounts, SearchResult
from .search_options import BrowseOptions, FacetOptions, Filters, PageOptions, QueryOptions, ScoreOptions, SearchOptions
from .specs import SignatureSpec, TensorSpec
from .transports import Credentials, Updated
from .video import video_wire

__all__ = [
    "BrowseOptions",
    "Client",
    "ClientError",
    "Credentials",
    "FacetCounts",
    "FacetOptions",
    "Filters",
    "Media",
    "MediaError",
    "PageOptions",
    "QueryOptions",
    "ScoreOptions",
    "SearchOptions",
    "SearchResult",
    "SignatureSpec",
    "TensorSpec",
    "Updated",
    "video_wire",
    "image_wire",
    "audio_wire",
]
