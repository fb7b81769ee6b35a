"""Transports of requests: gRPC and REST, behind one interface."""

import base64
import contextlib
import dataclasses
import json
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import requests
from google.protobuf import json_format

from .errors import ClientError
from .protos import MESSAGES
from .specs import SignatureSpec, TensorSpec, to_array, update_inputs
from .tensors import array_to_tensor, signature_specs, tensor_to_array

BYTES_SUFFIX = "_bytes"
QUERY_ID_HEADER = "x-query-id"
_PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
_METHODS = (
    (_PREDICTION_SERVICE, "Predict", "PredictResponse"),
    (_PREDICTION_SERVICE, "GetModelMetadata", "MetadataResponse"),
    ("vitrine.ItemService", "UpdateItems", "PredictResponse"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Credentials:
    """Proof of who calls, and whose server is trusted.

    Args:
      token: A token of the server's, sent with every call.
      ca_path: PEM file of the authorities that may have signed the server's certificate; the system's where left out.
      certificate_path: PEM file of the client's certificate, where the server asks for one.
      key_path: PEM file of its key.

    Raises:
      ValueError: Only one of certificate and key is given, or the token cannot be sent.
    """

    token: str = dataclasses.field(default="", repr=False)
    ca_path: str | Path | None = None
    certificate_path: str | Path | None = None
    key_path: str | Path | None = None

    def __post_init__(self) -> None:
        """Checks what is given."""
        if (self.certificate_path is None) != (self.key_path is None):
            raise ValueError("Credentials has one of certificate_path and key_path; wanted both or none.")
        if not self.token.isascii() or any(letter.isspace() or not letter.isprintable() for letter in self.token):
            raise ValueError("Credentials has a token with blanks or letters beyond ASCII; wanted one word.")

    @property
    def needs_tls(self) -> bool:
        """Whether they mean something over TLS only."""
        return self.ca_path is not None or self.certificate_path is not None

    def headers(self) -> dict[str, str]:
        """The headers, or gRPC metadata, of a call."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def requests_options(self) -> dict[str, Any]:
        """Options of a call of `requests`; those of a session give way to variables of the environment."""
        options: dict[str, Any] = {"auth": _Token(self.headers())}
        if self.ca_path is not None:
            options["verify"] = str(self.ca_path)
        if self.certificate_path is not None:
            options["cert"] = (str(self.certificate_path), str(self.key_path))
        return options

    def grpc_credentials(self) -> Any:
        """Credentials of a gRPC channel over TLS."""
        import grpc

        files = (self.ca_path, self.key_path, self.certificate_path)
        return grpc.ssl_channel_credentials(*(Path(path).read_bytes() if path else None for path in files))


NO_CREDENTIALS = Credentials()


class Answer(NamedTuple):
    """Outputs of a signature, and the id of the query; "" from a server that gives none."""

    outputs: dict[str, np.ndarray]
    query_id: str


class Updated(NamedTuple):
    """Outcome of changes of items: the number of the change, and items that the bundle does not have."""

    live_sequence: int
    unknown_items: tuple[str, ...]


class Transport(Protocol):
    """Transport of requests to one model."""

    def signatures(self) -> dict[str, SignatureSpec]:
        """The signatures of the latest version."""

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], spec: SignatureSpec, *, query_id: str = ""
    ) -> Answer:
        """The answer to a full set of inputs; `query_id` is that of an earlier page."""

    def update_items(self, updates: Sequence[Mapping[str, Any]], *, skip_unknown: bool) -> Updated:
        """Changes items, all of them or none."""


class Grpc:
    """Transport over gRPC."""

    def __init__(
        self, address: str, *, model_name: str, timeout_seconds: float, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        import grpc

        target = _grpc_target(address)
        self._address, self._is_tls = target.address, target.is_tls or credentials.needs_tls
        self._credentials = credentials
        self._metadata = tuple(credentials.headers().items())
        self._spec = {"name": model_name}
        self._timeout_seconds = timeout_seconds
        self._error = grpc.RpcError
        self._methods: dict[str, Any] = {}
        self._process = 0

    def signatures(self) -> dict[str, SignatureSpec]:
        """The signatures of the latest version."""
        request = MESSAGES["MetadataRequest"](model_spec=self._spec, metadata_field=["signature_def"])
        found = self._call("GetModelMetadata", request).message.metadata["signature_def"].value
        return signature_specs(MESSAGES["SignatureMap"].FromString(found))

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], spec: SignatureSpec, *, query_id: str = ""
    ) -> Answer:
        """The answer to a full set of inputs; `query_id` is that of an earlier page."""
        request = MESSAGES["PredictRequest"](model_spec={**self._spec, "signature_name": signature_name})
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(array_to_tensor(array))
        answer = self._call("Predict", request, **_query_headers(query_id))
        outputs = answer.message.outputs
        arrays = {name: tensor_to_array(outputs[name]) for name in sorted(outputs)}
        return Answer(arrays, answer.metadata.get(QUERY_ID_HEADER, ""))

    def update_items(self, updates: Sequence[Mapping[str, Any]], *, skip_unknown: bool) -> Updated:
        """Changes items, all of them or none."""
        if skip_unknown:
            raise ValueError("update_items has skip_unknown=True over gRPC; wanted a client with rest=.")
        request = MESSAGES["PredictRequest"](model_spec=self._spec)
        for name, array in update_inputs(updates).items():
            request.inputs[name].CopyFrom(array_to_tensor(array))
        outputs = self._call("UpdateItems", request).message.outputs
        return Updated(int(tensor_to_array(outputs["live_sequence"])), ())

    def _call(self, method: str, request: Any, **headers: str) -> "_GrpcAnswer":
        if not self._methods:
            self._process = os.getpid()
            self._methods = self._connected()
        if self._process != os.getpid():
            raise ClientError(
                "FAILED_PRECONDITION",
                "This client used gRPC before the process was forked, which gRPC does not survive. "
                "Make a Client in each process, or use rest=.",
            )
        try:
            metadata = (*self._metadata, *headers.items())
            found, call = self._methods[method].with_call(request, timeout=self._timeout_seconds, metadata=metadata)
            return _GrpcAnswer(found, dict(call.trailing_metadata() or ()))
        except self._error as error:
            raise ClientError(error.code().name, error.details()) from error

    def _connected(self) -> dict[str, Any]:
        """The callables of a channel."""
        import grpc

        sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        if self._is_tls:
            channel = grpc.secure_channel(self._address, self._credentials.grpc_credentials(), options=sizes)
        else:
            channel = grpc.insecure_channel(self._address, options=sizes)
        return {
            method: channel.unary_unary(
                f"/{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=MESSAGES[answer].FromString,
            )
            for service, method, answer in _METHODS
        }


class Rest:
    """Transport over REST, in columnar format."""

    def __init__(
        self, root: str, *, model_name: str, timeout_seconds: float, credentials: Credentials = NO_CREDENTIALS
    ) -> None:
        self._options: dict[str, Any] = {"timeout": timeout_seconds, **credentials.requests_options()}
        self._url = f"{_rest_root(root)}/v1/models/{urllib.parse.quote(model_name, safe='')}"
        self._sessions: dict[int, requests.Session] = {}

    def signatures(self) -> dict[str, SignatureSpec]:
        """The signatures of the latest version."""
        with self._errors():
            found = self._answer(self._session().get(f"{self._url}/metadata", **self._options))
        signatures = found["metadata"]["signature_def"]
        message = json_format.ParseDict(signatures, MESSAGES["SignatureMap"](), ignore_unknown_fields=True)
        return signature_specs(message)

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], spec: SignatureSpec, *, query_id: str = ""
    ) -> Answer:
        """The answer to a full set of inputs; `query_id` is that of an earlier page."""
        columns = {name: _to_json(array.tolist()) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature_name, "inputs": columns}).encode()
        headers = {"Content-Type": "application/json", **_query_headers(query_id)}
        with self._errors():
            response = self._session().post(f"{self._url}:predict", data=body, headers=headers, **self._options)
            answer = self._answer(response)
        found = answer["outputs"]
        if len(spec.outputs) == 1:
            found = {next(iter(spec.outputs)): found}
        arrays = {name: _from_json(found[name], spec.outputs[name], name=name) for name in sorted(found)}
        return Answer(arrays, str(answer.get("query_id", "")))

    def update_items(self, updates: Sequence[Mapping[str, Any]], *, skip_unknown: bool) -> Updated:
        """Changes items, all of them or none."""
        body = json.dumps({"updates": [*updates], "skip_unknown": skip_unknown}).encode()
        headers = {"Content-Type": "application/json"}
        with self._errors():
            response = self._session().post(f"{self._url}/items:update", data=body, headers=headers, **self._options)
            found = self._answer(response)
        return Updated(int(found["live_sequence"]), tuple(found["unknown_items"]))

    def _session(self) -> requests.Session:
        """The session of this process: sockets that are shared over a fork mix the answers of both processes."""
        process = os.getpid()
        if process not in self._sessions:
            self._sessions = {process: requests.Session()}
        return self._sessions[process]

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


class _GrpcAnswer(NamedTuple):
    message: Any
    metadata: dict[str, Any]


def _query_headers(query_id: str) -> dict[str, str]:
    return {QUERY_ID_HEADER: query_id} if query_id else {}


class _Token(requests.auth.AuthBase):
    """Token of every request; as a plain header a `.netrc` file would replace it."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header."""
        request.headers.update(self._headers)
        return request


def _rest_root(address: str) -> str:
    """The root URL of an address: `http://` in front of `host:port`, no slash at the end.

    Raises:
      ValueError: It is no address of HTTP.
    """
    text = str(address).strip()
    root = (text if "://" in text else f"http://{text}").rstrip("/")
    parts = urllib.parse.urlsplit(root)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"rest is {address!r}; wanted an address such as http://localhost:8501.")
    return root


class GrpcTarget(NamedTuple):
    """Target of a gRPC channel."""

    address: str
    is_tls: bool


def _grpc_target(address: str) -> GrpcTarget:
    """The target of an address: `https://` or `grpcs://` in front asks for TLS, `http://` or `grpc://` does not.

    Raises:
      ValueError: It has no port.
    """
    target = str(address).strip()
    scheme, mark, rest = target.partition("://")
    is_tls = bool(mark) and scheme.lower() in ("https", "grpcs")
    if is_tls or (mark and scheme.lower() in ("http", "grpc")):
        target = rest.rstrip("/")
    is_resolved = target.startswith(("dns:", "unix:", "ipv4:", "ipv6:"))
    host, _, port = target.rpartition(":")
    if not is_resolved and ("/" in target or not host or not port.isdecimal()):
        raise ValueError(f"grpc is {address!r}; wanted host:port, such as localhost:8500.")
    return GrpcTarget(address=target, is_tls=is_tls)


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
        return to_array(value, spec.dtype)
    array = np.array(value, object)
    decoded = np.empty(array.size, object)
    decoded[:] = [base64.b64decode(item["b64"]) for item in array.flat]
    return decoded.reshape(array.shape)
