"""A client for a Vitrine bundle, behind TF Serving or `python -m serving.server`, over gRPC or REST.

    client = Client(rest="http://127.0.0.1:8501", model_name="vitrine")
    found = client.search(text="red shoe", image="photo.jpg", page_size=5)
    print(found.ids, found.scores)

This file stands alone, so that a shop's backend can take a copy of it: no TensorFlow, nothing else of this project,
only numpy, Pillow, and requests or grpcio and protobuf (PyAV for clips). That is why it is longer than its neighbours.
It learns the inputs, their defaults and the sizes of the wire form from the server, so a new input needs no new client.
"""

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import io
import json
import re
import types
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import requests
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from PIL import ExifTags, Image

Media = str | Path | bytes
MAX_PIXELS = 50_000_000
JPEG_QUALITY = 90
DEFAULT_TIMEOUT_SECONDS = 10.0
SCORE_PREFIX = "score_"
WEIGHT_PREFIX = "weight_"
BYTES_SUFFIX = "_bytes"
STALE_CODES = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "HTTP 400")


class ClientError(Exception):
    """The server refused a request or could not be reached.

    Args:
      code: The gRPC code by name, or `HTTP` and the status.
      message: What the server said.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchResult:
    """One page of results, best first.

    Args:
      ids: Item ids.
      scores: The score of each.
      parts: The parts of each score by name (dense, click, ...), one value a result.
      n_valid: How many results there are; the length of `ids`.
      query_status: Remarks on the query as a bit mask; 0 means that everything was understood.
      bundle_version: The version of the bundle that answered.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    parts: Mapping[str, tuple[float, ...]]
    n_valid: int
    query_status: int
    bundle_version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """An input or output of a signature: numpy dtype, shape (-1 open, None unknown rank), default of an input."""

    dtype: np.dtype
    shape: tuple[int, ...] | None
    default: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignatureSpec:
    """The inputs and outputs of a signature by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


class Client:
    """Searches a bundle.

    Args:
      rest: Root URL of the REST surface (`http://host:8501`); give this or `grpc`.
      grpc: `host:port` of the gRPC surface.
      model_name: The name the server has the model under.
      user_hash_key: Key of the hash that stands for a user; needed only with `user_id`. The same key as in training.
      timeout_seconds: Of each call.

    Raises:
      ValueError: Unless exactly one of `rest` and `grpc` is given.
    """

    def __init__(
        self,
        *,
        rest: str | None = None,
        grpc: str | None = None,
        model_name: str = "vitrine",
        user_hash_key: bytes | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if (rest is None) == (grpc is None):
            raise ValueError("Client needs either rest='http://host:port' or grpc='host:port'; give exactly one.")
        self._user_hash_key = user_hash_key
        self._transport: _Transport
        if rest is not None:
            self._transport = _Rest(rest, model_name=model_name, timeout_seconds=timeout_seconds)
        else:
            self._transport = _Grpc(str(grpc), model_name=model_name, timeout_seconds=timeout_seconds)
        self._signatures: Mapping[str, SignatureSpec] | None = None
        self._wire_spec: Mapping[str, Any] | None = None

    def search(
        self,
        *,
        text: str | None = None,
        image: Media | None = None,
        video: Media | None = None,
        history: Sequence[str] = (),
        history_ages_days: Sequence[float] | None = None,
        page: int = 1,
        page_size: int = 10,
        weights: Mapping[str, float] | None = None,
        user_id: str | None = None,
    ) -> SearchResult:
        """Items for a query of any mixture of text, photo, clip and history.

        Args:
          text: In any language.
          image: Path or bytes of a photo.
          video: Path or bytes of a clip.
          history: Ids of items the user met before this query.
          history_ages_days: How long ago each was met, in days; zeros when left out.
          page: From 1.
          page_size: Results a page.
          weights: Weight of each score part by name (`dense`, `click`, ...); the bundle's own where left out.
          user_id: Leaves this process only as a keyed hash.

        Raises:
          ValueError: For a weight the bundle lacks, ages that do not match the history, unreadable media.
          ClientError: When the server refuses or cannot be reached.
        """
        query = self._query(text=text, image=image, video=video, user_id=user_id)
        query |= self._history(history, history_ages_days)
        known = self.signatures()["search"].inputs
        for name, weight in (weights or {}).items():
            if WEIGHT_PREFIX + name not in known:
                names = ", ".join(key.removeprefix(WEIGHT_PREFIX) for key in known if key.startswith(WEIGHT_PREFIX))
                raise ValueError(f"Weight {name!r} is not one of the bundle's score parts; it has {names}.")
            query[WEIGHT_PREFIX + name] = [weight]
        return _search_result(self.predict("search", {**query, "page": [page], "page_size": [page_size]}))

    def similar_items(self, item_id: str, *, page: int = 1, page_size: int = 10) -> SearchResult:
        """Items like the given one, which is not among them."""
        inputs = {"item_id": [item_id], "page": [page], "page_size": [page_size]}
        return _search_result(self.predict("similar_items", inputs))

    def embed_query(
        self,
        *,
        text: str | None = None,
        image: Media | None = None,
        video: Media | None = None,
        history: Sequence[str] = (),
        history_ages_days: Sequence[float] | None = None,
        user_id: str | None = None,
    ) -> dict[str, np.ndarray]:
        """The outputs of `embed_query` for one query, without the batch axis (`vector` is [dim])."""
        query = self._query(text=text, image=image, video=video, user_id=user_id)
        query |= self._history(history, history_ages_days)
        return {name: value[0] for name, value in self.predict("embed_query", query).items()}

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The outputs of any signature by name.

        Args:
          signature_name: As the bundle has it.
          inputs: Arrays or lists, [batch, ...] each; what is left out is sent with its default.

        Raises:
          ValueError: For an unknown signature or input, or one that is missing and has no default.
          ClientError: When the server refuses or cannot be reached.
        """
        specs = self.signatures()
        try:
            return self._predict(signature_name, inputs, specs)
        except (ClientError, ValueError) as error:
            if isinstance(error, ClientError) and error.code not in STALE_CODES:
                raise
            fresh = self.signatures(refresh=True)
            if repr(fresh) == repr(specs):
                raise
            return self._predict(signature_name, inputs, fresh)  # A new bundle has come with other signatures.

    def signatures(self, *, refresh: bool = False) -> Mapping[str, SignatureSpec]:
        """The signatures by name, asked for once."""
        if self._signatures is None or refresh:
            self._signatures = self._transport.signatures()
            self._wire_spec = None
        return self._signatures

    def wire_spec(self) -> Mapping[str, Any]:
        """The sizes of the wire form (`image_px`, `frames`, `frame_px`, `max_history`), asked for once."""
        if self._wire_spec is None:
            found = self.predict("wire_spec", {"unused": [0]})["spec_json"]
            self._wire_spec = json.loads(found[0])
        return self._wire_spec

    def _predict(
        self, signature_name: str, inputs: Mapping[str, Any], specs: Mapping[str, SignatureSpec]
    ) -> dict[str, np.ndarray]:
        if signature_name not in specs:
            names = ", ".join(sorted(specs))
            raise ValueError(f"Signature {signature_name!r} is not in the bundle; it has {names}.")
        spec = specs[signature_name]
        return self._transport.predict(signature_name, _fill(signature_name, inputs, spec), spec)

    def _query(
        self, *, text: str | None, image: Media | None, video: Media | None, user_id: str | None
    ) -> dict[str, Any]:
        """The wire inputs of a query of one row; what is absent is left out."""
        query: dict[str, Any] = {}
        if text is not None:
            query["query_text"] = [text]
        if image is not None:
            query["query_image"] = [image_wire(image, px=self.wire_spec()["image_px"])]
        if video is not None:
            sizes = self.wire_spec()
            query["query_video"] = [clip_wire(video, frames=sizes["frames"], px=sizes["frame_px"])]
        if user_id is not None:
            if not self._user_hash_key:
                raise ValueError("user_id needs Client(user_hash_key=...): a user id never leaves in the clear.")
            query["user_key"] = [hmac.new(self._user_hash_key, user_id.encode(), hashlib.sha256).hexdigest()]
        return query

    def _history(self, history: Sequence[str], ages_days: Sequence[float] | None) -> dict[str, Any]:
        """The history inputs of one row, cut to the most recent items the bundle takes."""
        if not history:
            return {}
        ages = [0.0] * len(history) if ages_days is None else [float(age) for age in ages_days]
        if len(ages) != len(history):
            raise ValueError(f"history_ages_days has {len(ages)} values for {len(history)} items; give one for each.")
        limit = int(self.wire_spec().get("max_history", len(history)))
        recent = sorted(sorted(range(len(history)), key=lambda index: (ages[index], -index))[:limit])
        return {
            "history_ids": [[history[index] for index in recent]],
            "history_ages": [[ages[index] for index in recent]],
        }


def _search_result(outputs: Mapping[str, np.ndarray]) -> SearchResult:
    """The first row of a search answer."""
    count = int(outputs["n_valid"][0])
    parts = {
        name.removeprefix(SCORE_PREFIX): tuple(float(value) for value in values[0][:count])
        for name, values in sorted(outputs.items())
        if name.startswith(SCORE_PREFIX)
    }
    return SearchResult(
        ids=tuple(_text(item) for item in outputs["ids"][0][:count]),
        scores=tuple(float(score) for score in outputs["scores"][0][:count]),
        parts=types.MappingProxyType(parts),
        n_valid=count,
        query_status=int(outputs["query_status"][0]),
        bundle_version=_text(outputs["bundle_version"][0]),
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


# Inputs: given values and defaults as arrays.


def _fill(signature_name: str, inputs: Mapping[str, Any], spec: SignatureSpec) -> dict[str, np.ndarray]:
    """Every input of the signature as an array; defaults are repeated to the batch of what is given.

    Stock TF Serving wants every key in REST, and equal batch sizes under `--enable_batching`.
    """
    unknown = sorted(set(inputs) - set(spec.inputs))
    if unknown:
        names = ", ".join(sorted(spec.inputs))
        raise ValueError(f"Signature {signature_name!r} has no input {', '.join(unknown)}; it has {names}.")
    given = {name: _to_array(value, spec.inputs[name].dtype) for name, value in inputs.items()}
    sizes = {len(array) for array in given.values() if array.ndim}
    batch = sizes.pop() if len(sizes) == 1 else 1
    filled = {}
    for name, tensor in spec.inputs.items():
        value = given.get(name, tensor.default)
        if value is None:
            raise ValueError(f"Input {name!r} of signature {signature_name!r} has no default; give it.")
        open_batch = tensor.shape is None or tensor.shape[:1] == (-1,)
        if name not in given and value.ndim and len(value) == 1 and open_batch:
            value = np.repeat(value, batch, axis=0)
        filled[name] = value
    return filled


def _to_array(value: Any, dtype: np.dtype) -> np.ndarray:
    if dtype.kind != "O":
        return np.asarray(value, dtype)
    array = np.array(value, object)
    encoded = np.empty(array.size, object)
    encoded[:] = [_to_bytes(item) for item in array.flat]
    return encoded.reshape(array.shape)


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        what = type(value).__name__
        raise ValueError(f"A string input holds a {what}; give str or bytes, and lists of one length.")
    return value.encode("utf-8", "replace")


# Media: the wire form, in the same steps as `beam_preprocess.media` (a test compares the bytes).


def image_wire(source: Media, *, px: int) -> bytes:
    """The JPEG of `px` x `px` that stands for a photo: turned by EXIF, RGB over white, bilinear, quality 90.

    Args:
      source: Path or bytes of a JPEG, PNG, WebP or GIF (its first frame).
      px: Side of the square, in pixels.

    Raises:
      ValueError: The photo has more than 50 megapixels (seen in the header, before decoding) or does not decode.
    """
    data = _read(source)
    _check_pixels(*_webp_size(data))
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF")) as image:
            _check_pixels(*image.size)
            image.load()
            return _jpeg(_rgb(_upright(image)), px=px)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"Image is larger than {MAX_PIXELS // 10**6} megapixels; send a smaller one.") from error
    except ValueError:
        raise
    except Exception as error:  # What a decoder raises on hostile bytes is listed nowhere.
        raise ValueError("Image does not decode as JPEG, PNG, WebP or GIF; send a whole file of these.") from error


def clip_wire(source: Media, *, frames: int, px: int) -> list[bytes]:
    """The JPEGs of `px` x `px` that stand for a clip, at (i + 0.5) / frames of its duration.

    The frame of a time is the first that begins then or later, or the last one.

    Args:
      source: Path or bytes of an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF.
      frames: How many.
      px: Side of the square, in pixels.

    Raises:
      ValueError: The clip has frames of more than 50 megapixels or does not decode.
    """
    import av

    data = _read(source)
    reader = next((name for name, pattern in CLIP_MAGIC if re.match(pattern, data, re.DOTALL)), None)
    if reader is None:
        raise ValueError("Clip is not an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF; send one of these.")
    try:
        with av.open(io.BytesIO(data), "r", format=reader, metadata_errors="replace") as container:
            stream = container.streams.video[0]
            _check_pixels(stream.codec_context.width, stream.codec_context.height)
            stream.codec_context.thread_count = 1
            base = Fraction(stream.time_base or 0)
            seconds = stream.duration * base if stream.duration else Fraction(container.duration or 0, av.time_base)
            if seconds <= 0:
                raise ValueError("Clip does not say how long it is; send one with a duration in its header.")
            start = (stream.start_time or 0) * base
            times = [start + seconds * Fraction(2 * i + 1, 2 * frames) for i in range(frames)]
            return [_jpeg(_clip_image(container, stream, time), px=px) for time in times]
    except (av.error.FFmpegError, IndexError, EOFError) as error:
        raise ValueError("Clip does not decode; send a whole file with a video track.") from error


# Each by its own reader: left to guess, the library would follow playlists, which name other files and hosts.
CLIP_MAGIC = (
    ("mov", rb".{4}(ftyp|moov|mdat|wide|free|skip)"),
    ("matroska", rb"\x1a\x45\xdf\xa3"),
    ("avi", rb"RIFF.{4}AVI "),
    ("gif", rb"GIF8[79]a"),
    ("mpegts", rb"\x47.{187}\x47.{187}\x47"),
)
TURN_BY_EXIF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURN_BY_DEGREES = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def _clip_image(container: Any, stream: Any, time: Fraction) -> Image.Image:
    """The upright frame at `time`: from the key frame before it, or from the start where a seek lands late."""
    for stamp in (int(time / stream.time_base), stream.start_time or 0):
        container.seek(stamp, stream=stream)
        frames = container.decode(stream)
        first = frame = next(frames, None)
        while frame is not None and _begins(frame) < time and (following := next(frames, None)) is not None:
            frame = following
        if first is not None and _begins(first) <= time:
            break
    if frame is None:
        raise ValueError("Clip has no frame that decodes; send a whole file.")
    image: Image.Image = frame.to_image()
    turn = TURN_BY_DEGREES.get(round(frame.rotation / 90) * 90 % 360)
    return image.transpose(turn) if turn is not None else image


def _begins(frame: Any) -> Fraction:
    """Seconds at which a frame begins; one without a time counts as the very first."""
    return Fraction(-1) if frame.pts is None else frame.pts * Fraction(frame.time_base)


def _read(source: Media) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP by its header (Pillow allocates its canvas while it opens it); 0 x 0 of others."""
    chunk, body = data[12:16], data[20:30]
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(body) < 10:
        return 0, 0
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 10**6
        raise ValueError(f"Media is {width} x {height} pixels; at most {limit} megapixels. Send a smaller one.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The picture is whole; its metadata may hold anything.
        orientation = 1
    turn = TURN_BY_EXIF.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(turn) if turn is not None else image


def _rgb(image: Image.Image) -> Image.Image:
    """RGB: 16 bits to their upper 8, what is transparent over white."""
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image), 0, 65_535).astype(np.uint16) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _jpeg(image: Image.Image, *, px: int) -> bytes:
    square = image.resize((px, px), Image.Resampling.BILINEAR)
    square.info.clear()  # Pillow would write the source's comment again.
    target = io.BytesIO()
    square.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()


# The few TF Serving messages, with the field numbers of its .proto files. They live in a pool of their own, so that
# they cannot clash with TensorFlow's where that is loaded. Names of messages are not on the wire.

PROTO = """
enum DataType { DT_INVALID = 0; DT_FLOAT = 1; DT_DOUBLE = 2; DT_INT32 = 3; DT_UINT8 = 4; DT_INT16 = 5; DT_INT8 = 6;
  DT_STRING = 7; DT_INT64 = 9; DT_BOOL = 10; DT_UINT16 = 17; DT_HALF = 19; DT_UINT32 = 22; DT_UINT64 = 23; }
message Int64Value { int64 value = 1; }
message Any { string type_url = 1; bytes value = 2; }
message Dim { int64 size = 1; }
message TensorShape { repeated Dim dim = 2; bool unknown_rank = 3; }
message Tensor { DataType dtype = 1; TensorShape tensor_shape = 2; bytes tensor_content = 4;
  repeated float float_val = 5; repeated double double_val = 6; repeated int32 int_val = 7;
  repeated bytes string_val = 8; repeated int64 int64_val = 10; repeated bool bool_val = 11;
  repeated int32 half_val = 13;
  repeated uint32 uint32_val = 16; repeated uint64 uint64_val = 17; }
message TensorInfo { string name = 1; DataType dtype = 2; TensorShape tensor_shape = 3; }
message Signature { map<TensorInfo> inputs = 1; map<TensorInfo> outputs = 2; map<Tensor> defaults = 4; }
message SignatureMap { map<Signature> signature_def = 1; }
message ModelSpec { string name = 1; Int64Value version = 2; string signature_name = 3; }
message PredictRequest { ModelSpec model_spec = 1; map<Tensor> inputs = 2; }
message PredictResponse { map<Tensor> outputs = 1; ModelSpec model_spec = 2; }
message MetadataRequest { ModelSpec model_spec = 1; repeated string metadata_field = 2; }
message MetadataResponse { ModelSpec model_spec = 1; map<Any> metadata = 2; }
"""
PACKAGE = "vitrine_client"
SCALARS = ("string", "bytes", "bool", "float", "double", "int32", "int64", "uint32", "uint64")


def _build_messages() -> dict[str, Any]:
    """Message classes of `PROTO` by name; `map<T>` is a map from string to T."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{PACKAGE}.proto", package=PACKAGE, syntax="proto3")
    field_type = descriptor_pb2.FieldDescriptorProto
    enums: set[str] = set()

    def add_field(message: Any, *, kind: str, name: str, number: int) -> None:
        repeated, map_of = kind.startswith("repeated "), re.fullmatch(r"map<(\w+)>", kind)
        base = kind.removeprefix("repeated ")
        field = message.field.add(name=name, number=number)
        field.label = field_type.LABEL_REPEATED if repeated or map_of else field_type.LABEL_OPTIONAL
        if map_of:
            entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
            entry.options.map_entry = True
            add_field(entry, kind="string", name="key", number=1)
            add_field(entry, kind=map_of[1], name="value", number=2)
            field.type, field.type_name = field_type.TYPE_MESSAGE, f".{PACKAGE}.{message.name}.{entry.name}"
        elif base in SCALARS:
            field.type = field_type.Type.Value(f"TYPE_{base.upper()}")
        else:
            field.type = field_type.TYPE_ENUM if base in enums else field_type.TYPE_MESSAGE
            field.type_name = f".{PACKAGE}.{base}"

    for what, name, body in re.findall(r"(enum|message) (\w+) \{([^}]*)\}", PROTO):
        if what == "enum":
            enums.add(name)
            target = file.enum_type.add(name=name)
            for value, number in re.findall(r"(\w+) = (\d+);", body):
                target.value.add(name=value, number=int(number))
            continue
        message = file.message_type.add(name=name)
        for kind, field_name, number in re.findall(r"((?:repeated )?[\w<>]+) (\w+) = (\d+);", body):
            add_field(message, kind=kind, name=field_name, number=int(number))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = (message.name for message in file.message_type)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in names}


MESSAGES = _build_messages()

# Number of a TensorFlow dtype: its numpy dtype and the field that holds its values.
DTYPES: dict[int, tuple[np.dtype, str]] = {
    1: (np.dtype(np.float32), "float_val"),
    2: (np.dtype(np.float64), "double_val"),
    3: (np.dtype(np.int32), "int_val"),
    4: (np.dtype(np.uint8), "int_val"),
    5: (np.dtype(np.int16), "int_val"),
    6: (np.dtype(np.int8), "int_val"),
    7: (np.dtype(object), "string_val"),
    9: (np.dtype(np.int64), "int64_val"),
    10: (np.dtype(np.bool_), "bool_val"),
    17: (np.dtype(np.uint16), "int_val"),
    19: (np.dtype(np.float16), "half_val"),
    22: (np.dtype(np.uint32), "uint32_val"),
    23: (np.dtype(np.uint64), "uint64_val"),
}
NUMBER_OF_DTYPE = {dtype: number for number, (dtype, _) in DTYPES.items()}


def _tensor_to_array(tensor: Any) -> np.ndarray:
    """The array of a Tensor message; one value stands for all, fewer values repeat the last."""
    dtype, field = DTYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    values = list(getattr(tensor, field))
    count = int(np.prod(shape))
    values += values[-1:] * (count - len(values)) if values else [b"" if dtype.kind == "O" else 0] * count
    array = np.array(values, np.uint16).view(np.float16) if dtype == np.float16 else np.empty(count, dtype)
    if dtype != np.float16:
        array[:] = values
    return array.reshape(shape)


def _array_to_tensor(array: np.ndarray) -> Any:
    tensor = MESSAGES["Tensor"](dtype=NUMBER_OF_DTYPE[array.dtype])
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.kind == "O":
        tensor.string_val.extend(array.reshape(-1).tolist())
    else:
        tensor.tensor_content = np.ascontiguousarray(array).tobytes()
    return tensor


def _signature_specs(signatures: Any) -> dict[str, SignatureSpec]:
    """The specs in a SignatureMap message; inputs of a dtype unknown here make their signature unusable, so it goes."""
    specs = {}
    for name in sorted(signatures.signature_def):
        signature = signatures.signature_def[name]
        inputs, outputs = ({key: info[key] for key in sorted(info)} for info in (signature.inputs, signature.outputs))
        if any(info.dtype not in DTYPES for info in (*inputs.values(), *outputs.values())):
            continue
        defaults = {key: _tensor_to_array(tensor) for key, tensor in signature.defaults.items()}
        specs[name] = SignatureSpec(
            inputs={key: _tensor_spec(info, defaults.get(key)) for key, info in inputs.items()},
            outputs={key: _tensor_spec(info, None) for key, info in outputs.items()},
        )
    return specs


def _tensor_spec(info: Any, default: np.ndarray | None) -> TensorSpec:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(dtype=DTYPES[info.dtype][0], shape=shape, default=default)


# Transports.


class _Transport(Protocol):
    """How requests travel."""

    def signatures(self) -> dict[str, SignatureSpec]:
        """The signatures of the latest version."""

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], spec: SignatureSpec
    ) -> dict[str, np.ndarray]:
        """The outputs for a full set of inputs."""


class _Grpc:
    """gRPC, with the messages of `PROTO`."""

    def __init__(self, address: str, *, model_name: str, timeout_seconds: float) -> None:
        import grpc

        self._spec = {"name": model_name}
        self._timeout_seconds = timeout_seconds
        self._error = grpc.RpcError
        sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=sizes)
        self._methods = {
            method: self._channel.unary_unary(
                f"/tensorflow.serving.PredictionService/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=MESSAGES[answer].FromString,
            )
            for method, answer in (("Predict", "PredictResponse"), ("GetModelMetadata", "MetadataResponse"))
        }

    def signatures(self) -> dict[str, SignatureSpec]:
        request = MESSAGES["MetadataRequest"](model_spec=self._spec, metadata_field=["signature_def"])
        found = self._call("GetModelMetadata", request).metadata["signature_def"].value
        return _signature_specs(MESSAGES["SignatureMap"].FromString(found))

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], spec: SignatureSpec
    ) -> dict[str, np.ndarray]:
        request = MESSAGES["PredictRequest"](model_spec={**self._spec, "signature_name": signature_name})
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(_array_to_tensor(array))
        outputs = self._call("Predict", request).outputs
        return {name: _tensor_to_array(outputs[name]) for name in sorted(outputs)}

    def _call(self, method: str, request: Any) -> Any:
        try:
            return self._methods[method](request, timeout=self._timeout_seconds)
        except self._error as error:
            raise ClientError(error.code().name, error.details()) from error


class _Rest:
    """REST, in columnar form."""

    def __init__(self, root: str, *, model_name: str, timeout_seconds: float) -> None:
        self._url = f"{root.rstrip('/')}/v1/models/{urllib.parse.quote(model_name, safe='')}"
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()

    def signatures(self) -> dict[str, SignatureSpec]:
        with self._errors():
            found = self._answer(self._session.get(f"{self._url}/metadata", timeout=self._timeout_seconds))
        signatures = found["metadata"]["signature_def"]
        message = json_format.ParseDict(signatures, MESSAGES["SignatureMap"](), ignore_unknown_fields=True)
        return _signature_specs(message)

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], spec: SignatureSpec
    ) -> dict[str, np.ndarray]:
        columns = {name: _to_json(array.tolist()) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature_name, "inputs": columns}).encode()
        headers = {"Content-Type": "application/json"}
        with self._errors():
            response = self._session.post(
                f"{self._url}:predict", data=body, headers=headers, timeout=self._timeout_seconds
            )
            found = self._answer(response)["outputs"]
        if len(spec.outputs) == 1:
            found = {next(iter(spec.outputs)): found}
        return {name: _from_json(found[name], spec.outputs[name], name=name) for name in sorted(found)}

    def _answer(self, response: requests.Response) -> Any:
        if response.status_code == 200:
            return json.loads(response.content)
        try:
            message = str(json.loads(response.content)["error"])
        except (ValueError, KeyError, TypeError):
            message = response.reason
        raise ClientError(f"HTTP {response.status_code}", message)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except requests.RequestException as error:
            raise ClientError("UNAVAILABLE", f"{type(error).__name__} at {self._url}") from error


def _to_json(value: Any) -> Any:
    """Nested lists with bytes as text where they are UTF-8, else base64."""
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode("ascii")}


def _from_json(value: Any, spec: TensorSpec, *, name: str) -> np.ndarray:
    if spec.dtype.kind != "O":
        return np.array(value, spec.dtype)
    if not name.endswith(BYTES_SUFFIX):
        return _to_array(value, spec.dtype)
    array = np.array(value, object)
    decoded = np.empty(array.size, object)
    decoded[:] = [base64.b64decode(item["b64"]) for item in array.flat]
    return decoded.reshape(array.shape)
