"""Warm-up requests in a bundle, TF Serving's `tf_serving_warmup_requests`: every signature runs before it is served.

https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

import io
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.bundle.saved_model import DEFAULT_SIGNATURE, SERVING_DEFAULT
from serving.bundle_layout import WARMUP_PATH
from trainer.spec.config import Config, WireConfig
from trainer.spec.serving.signature_fields import Signature, SignatureField
from trainer.spec.serving.signatures import signatures
from trainer.spec.units import SAMPLE_RATE_HZ

BATCH_SIZES = (1, 8)
_CONSTRAINED = "red shirt under 50 \N{EURO SIGN} without cotton".encode()  # the sign is one in every language
_EVERY_FILTER: dict[str, Any] = {
    "filter_category": [b"a"],
    "filter_brand": [b"a"],
    "filter_price_min": 1.0,
    "filter_price_max": 2.0,
    "filter_currency": [b"a"],
    "filter_attributes": [b"a=b"],
}


def write_warmup(directory: Path, *, config: Config, item_ids: Sequence[bytes]) -> int:
    """Writes the requests into the bundle at `directory`; returns their number.

    Args:
      directory: A SavedModel of the bundle.
      config: Its configuration.
      item_ids: Some items of the catalogue, for history and `similar_items`; may be empty.
    """
    requests = warmup_requests(config, item_ids=item_ids)
    path = directory / WARMUP_PATH
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString(deterministic=True))
    return len(requests)


def warmup_requests(config: Config, *, item_ids: Sequence[bytes]) -> list[predict_pb2.PredictRequest]:
    """Makes, for each signature, one request of each kind that its inputs allow, and one batch of all inputs."""
    contents = _contents(config.wire, item_ids)
    requests = []
    for signature in signatures(config):
        names = {port.name for port in signature.inputs}
        kinds = [{name: value for name, value in kind.items() if name in names} for kind in contents]
        distinct = [kind for position, kind in enumerate(kinds) if kind not in kinds[:position]]
        aliases = [signature.name, *([SERVING_DEFAULT] if signature.name == DEFAULT_SIGNATURE else [])]
        requests += [
            _request(signature, name=name, content=kind, batch=batch)
            for name in aliases
            for batch in BATCH_SIZES
            for kind in (distinct if batch == 1 else distinct[:1])
        ]
    return requests


def _contents(wire: WireConfig, item_ids: Sequence[bytes]) -> list[dict[str, Any]]:
    """Inputs of one row each: all modalities together, each alone, and what else the graph branches on.

    A branch that no request has taken is built when the first one takes it, which costs far more than the request.
    """
    photo, frame = sample_jpeg(wire.image_px), sample_jpeg(wire.frame_px)
    first = item_ids[0] if item_ids else b""
    history = [*item_ids[: wire.history_length]]
    text = {"query_text": b"red cotton shirt", "title": b"red cotton shirt", "item_id": first, "item_ids": history}
    image = {"query_image": photo, "images": [photo] * wire.num_images}
    video = {"query_video": [frame] * wire.num_frames, "video": [frame] * wire.num_frames}
    audio = dict.fromkeys(("query_audio", "audio"), sample_wav(wire))
    past = {"history_ids": history, "history_age_days": [1.0] * len(history), "history_counts": [2.0] * len(history)}
    past |= {"search_history_texts": [b"red shirt"], "search_history_age_days": [1.0], "profile": [b"country=de"]}
    larger, broken = sample_jpeg(wire.image_px + 8), photo[: len(photo) // 2] + photo[-2:]
    return [
        {**text, **image, **video, **audio, **past},
        text,
        image,
        video,
        audio,
        past,
        {},
        {"query_text": b"coton shrit", "item_id": first},  # terms with a spelling correction
        {"query_text": b"r"},
        {"query_text": _CONSTRAINED, "item_id": first},
        {"query_text": _CONSTRAINED, "item_id": first, "refused_constraints": [b"*"]},
        {"query_image": larger, "images": [larger] * wire.num_images},
        {"query_image": broken, "images": [broken] * wire.num_images},
        {**text, "filter_in_stock": 1},
        {"filter_in_stock": 1},
        {**text, **_EVERY_FILTER, "exclude_ids": [first]},
        {**text, "include_ids": history},  # few enough that exact search completes an approximate index
        {**text, "seed_item_ids": history, "seed_item_weights": [1.0] * len(history)},
        {**text, "boost_ids": history, "boost_values": [1.0] * len(history)},
        {**text, "diversity": 0.5, "page": 2},
        {**text, "fields": [b"title"]},
        {**text, "sort_by": b"price_up", "page": 2},
        {**text, **_EVERY_FILTER, "facets": [b"brand", b"price"], "facet_text": b"a"},
    ]


def sample_jpeg(px: int) -> bytes:
    """Returns a JPEG of px x px pixels."""
    ramp = np.linspace(0, 255, px, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[::-1, None]), axis=-1)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=90)
    return stream.getvalue()


def sample_wav(wire: WireConfig) -> bytes:
    """Returns a WAV of the maximum duration."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes((np.arange(wire.audio_samples) % 100).astype("<i2").tobytes())
    return stream.getvalue()


def _request(signature: Signature, *, name: str, content: Mapping[str, Any], batch: int) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "vitrine"
    request.model_spec.signature_name = name
    for port in signature.inputs:
        value = content.get(port.name, _blank(port))
        array = np.array([value] * batch, dtype=object if port.dtype == "string" else port.dtype.value)
        shape = [batch, *(len(value) if length is None else length for length in port.shape)]
        tensor = tf.make_tensor_proto(array.reshape(shape), dtype=port.dtype.value, shape=shape)
        request.inputs[port.name].CopyFrom(tensor)
    return request


def _blank(port: SignatureField) -> Any:
    value: Any = port.default
    for length in reversed(port.shape):
        value = [value] * (length or 0)
    return value
