"""The REST side: TF Serving's URLs over `Answers`, plus /healthz and /readyz."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.server.answers import SIGNATURE_DEF, Answers, model_spec
from serving.server.calls import Calls
from serving.server.errors import HTTP_STATUS, Code, ServingError, invalid, quoted
from serving.server.json_answers import JsonAnswer
from serving.server.json_text import dump
from serving.server.log import crash

TARGET = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
PREDICT_URL = re.compile(rf"/v1/models/(?P<name>[^/:]+){TARGET}:predict", re.IGNORECASE | re.ASCII)
STATUS_URL = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{TARGET}(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
PAGE_404 = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
RETRY_SECONDS = "1"
NULLS = {"Warning": '199 - "NaN and infinities of the outputs are null; --strict writes them as they are"'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """The model a URL names."""

    name: str
    version: int | None
    label: str


class RestService:
    """Answers HTTP requests.

    Args:
      answers: What is answered.
      calls: Where it runs.
      is_ready: True while the server wants traffic.
    """

    def __init__(self, answers: Answers, *, calls: Calls, is_ready: Callable[[], bool]) -> None:
        self.answers = answers
        self._behaviour = answers.behaviour
        self.calls = calls
        self.is_ready = is_ready

    def application(self) -> web.Application:
        """The aiohttp application; one handler looks at the raw path, as TF Serving does (a query never matches)."""
        app = web.Application(client_max_size=self.answers.max_body_bytes)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.Response:
        """One request to one response; whatever goes wrong is a JSON error."""
        path = request.raw_path
        if path in ("/healthz", "/readyz") and self._behaviour.has_health_urls:
            return self._health(path)
        if not path.lower().startswith("/v1/"):
            return web.Response(status=404, text=PAGE_404, content_type="text/html")
        try:
            found = await self._answer(request, path)
            return _json(found.body, headers=NULLS if found.has_nulls_for_numbers else None)
        except ServingError as error:
            return self._error(error)
        except web.HTTPRequestEntityTooLarge:
            limit = self.answers.max_body_bytes
            return self._error(ServingError(Code.RESOURCE_EXHAUSTED, f"The body exceeds {limit} bytes."), status=413)
        except web.HTTPException as error:
            return self._error(invalid("The body could not be read."), status=error.status)
        except Exception as error:
            crash("rest_crashed", error)
            return self._error(ServingError(Code.INTERNAL, "Internal error of the server; its log says where."))

    def _error(self, error: ServingError, *, status: int | None = None) -> web.Response:
        status = status or HTTP_STATUS[error.code]
        headers = {"Retry-After": RETRY_SECONDS} if error.code is Code.UNAVAILABLE else None
        return _json(dump({"error": error.told(self._behaviour)}), status=status, headers=headers)

    async def _answer(self, request: web.Request, path: str) -> JsonAnswer:
        predict = PREDICT_URL.fullmatch(path) if request.method == "POST" else None
        if predict:
            body = await _body(request)
            target = _target(predict)
            return await self.calls.run(
                lambda: self.answers.predict_json(body, name=target.name, version=target.version, label=target.label)
            )
        status = STATUS_URL.fullmatch(path) if request.method == "GET" else None
        if status is None:
            raise invalid(f"Malformed request: {request.method} {quoted(path)}")
        if not status["name"]:
            raise invalid("Missing model name in request.")
        target = _target(status)
        answer = self._metadata if status["metadata"] else self._status
        return await self.calls.run(lambda: JsonAnswer(body=dump(answer(target))))

    def _status(self, target: Target) -> dict[str, Any]:
        spec = model_spec(target.name, version=target.version, label=target.label)
        return _proto_json(self.answers.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec)))

    def _metadata(self, target: Target) -> dict[str, Any]:
        spec = model_spec(target.name, version=target.version, label=target.label)
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
        response = self.answers.metadata(request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(definitions)
        version = str(response.model_spec.version.value)
        return {
            "model_spec": {"name": response.model_spec.name, "signature_name": "", "version": version},
            "metadata": {SIGNATURE_DEF: _proto_json(definitions)},
        }

    def _health(self, path: str) -> web.Response:
        good = path == "/healthz" or self.is_ready()
        return _json(dump({"status": "ok" if good else "not ready"}), status=200 if good else 503)


def _target(match: re.Match[str]) -> Target:
    """The model of a matched URL.

    Raises:
      ServingError: INVALID_ARGUMENT for a version beyond 64 bits.
    """
    version = int(match["version"][:20]) if match["version"] else None
    if version is not None and version >= 2**63:
        raise invalid(f"Failed to convert version: {match['version'][:64]} to numeric.")
    return Target(name=unquote(match["name"]), version=version, label=unquote(match["label"] or ""))


async def _body(request: web.Request) -> bytes:
    """The whole body, unzipped, within the size limit.

    Raises:
      ServingError: INVALID_ARGUMENT when it is not what its encoding says.
    """
    try:
        return await request.read()
    except web.HTTPException:
        raise
    except Exception as error:
        raise invalid("The body could not be read; check its length and Content-Encoding.") from error


def _proto_json(message: Any) -> dict[str, Any]:
    """A proto as TF Serving prints it: original names, empty fields too, 64-bit integers as strings."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
