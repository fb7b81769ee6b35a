"""REST API of TF Serving over `RequestHandlers`, plus /healthz and /readyz."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving.server.access.tokens import Scope
from serving.server.call_pool import CallPool
from serving.server.events.collector import EventCollector
from serving.server.handlers import SIGNATURE_DEF, RequestHandlers, model_spec_of_url
from serving.server.json_codec.outputs import JsonResponse
from serving.server.json_codec.text import dump_json, parse_json
from serving.server.pages.storefront import Storefront
from serving.server.protocol.deadline import Deadline
from serving.server.protocol.errors import HTTP_STATUS, Code, ServingError, invalid, quoted
from serving.server.telemetry import query_id
from serving.server.telemetry.log import log_exception

TARGET = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
CALL_URL = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){TARGET}:(?P<call>classify|regress|predict)", re.IGNORECASE | re.ASCII
)
STATUS_URL = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{TARGET}(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
EVENTS_URL = "/v1/events"
UPDATE_URL = re.compile(r"/v1/models/(?P<name>[^/:]+)/items:update", re.IGNORECASE | re.ASCII)
LINES_TYPES = ("application/x-ndjson", "application/jsonl")
PAGE_404 = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
RETRY_AFTER_SECONDS = "1"
ORIGIN = re.compile("https?://", re.IGNORECASE)
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Origin, Content-Type, Accept",
}
NULLS_WARNING = {"Warning": '199 - "NaN and infinities of the outputs are null; --strict writes them as they are"'}


class RestService:
    """Service of HTTP requests.

    Args:
      handlers: The calls of the protocol.
      call_pool: The threads in which they run.
      is_ready: True while the server wants traffic.
      timeout_seconds: Time limit of a request, its body included; None: no limit.
      sends_cors: Let pages of any origin call the server.
      collector: Takes what shops report back; None: the server takes nothing.
      storefront: Answers the addresses of the page; None: there is none.
    """

    def __init__(
        self,
        handlers: RequestHandlers,
        *,
        call_pool: CallPool,
        is_ready: Callable[[], bool],
        timeout_seconds: float | None = None,
        sends_cors: bool = False,
        collector: EventCollector | None = None,
        storefront: Storefront | None = None,
    ) -> None:
        self._handlers = handlers
        self._compatibility = handlers.compatibility
        self._call_pool = call_pool
        self.is_ready = is_ready
        self._collector = collector
        self._storefront = storefront
        self._timeout_seconds = timeout_seconds
        self._headers = CORS if sends_cors else {}
        self._posts: dict[str, Callable[..., JsonResponse]] = {
            "predict": handlers.predict_json,
            "classify": handlers.classify_json,
            "regress": handlers.regress_json,
        }

    def application(self) -> web.Application:
        """Builds the aiohttp application; one handler matches the raw path, as TF Serving does."""
        app = web.Application(client_max_size=self._handlers.max_body_bytes)
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request; every failure is a JSON error."""
        path = plain_path(request.raw_path) if self._compatibility.ignores_query_and_slash else request.raw_path
        if path in ("/healthz", "/readyz") and self._compatibility.has_health_urls:
            return self._health(path)
        if not path.lower().startswith("/v1/"):
            page = self._storefront.answer(request.method, request.path) if self._storefront else None
            return page or web.Response(status=404, text=PAGE_404, content_type="text/html")
        deadline = Deadline.after(self._timeout_seconds)
        try:
            found = await self._answer(request, path, deadline)
            return self._json(found.body, headers=NULLS_WARNING if found.has_null_numbers else None)
        except asyncio.CancelledError:
            deadline.cancel()
            raise
        except ServingError as error:
            return self._error(error)
        except web.HTTPRequestEntityTooLarge:
            limit = self._handlers.max_body_bytes
            return self._error(ServingError(Code.RESOURCE_EXHAUSTED, f"The body exceeds {limit} bytes."), status=413)
        except web.HTTPException as error:
            return self._error(invalid("The body could not be read."), status=error.status)
        except Exception as error:
            log_exception("rest_crashed", error)
            return self._error(ServingError(Code.INTERNAL, "Internal error of the server; its log has the details."))

    def _error(self, error: ServingError, *, status: int | None = None) -> web.Response:
        status = status or HTTP_STATUS[error.code]
        headers = {"Retry-After": RETRY_AFTER_SECONDS} if error.code is Code.UNAVAILABLE else None
        return self._json(
            dump_json({"error": error.client_message(self._compatibility)}, self._compatibility),
            status=status,
            headers=headers,
        )

    def _json(self, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        together = {**self._headers, **(headers or {})}
        return web.Response(body=body, status=status, headers=together, content_type="application/json")

    async def _answer(self, request: web.Request, path: str, deadline: Deadline) -> JsonResponse:
        if request.method == "OPTIONS":
            return _preflight(request)
        if is_events_path(path) and request.method == "POST" and self._compatibility.takes_events:
            return await self._collect(request)
        update = UPDATE_URL.fullmatch(path) if request.method == "POST" else None
        if update and self._compatibility.changes_items:
            return await self._update(request, unquote(update["name"]))
        call = CALL_URL.fullmatch(path) if request.method == "POST" else None
        if call:
            return await self._query(request, call, deadline)
        status = STATUS_URL.fullmatch(path) if request.method == "GET" else None
        if status is None:
            raise invalid(f"Malformed request: {request.method} {quoted(request.raw_path)}")
        if not status["name"]:
            raise invalid("Missing model name in request.")
        spec, get = _spec(status), self._metadata if status["metadata"] else self._status
        return await self._call_pool.run(lambda: JsonResponse(body=dump_json(get(spec))))

    async def _query(self, request: web.Request, call: re.Match[str], deadline: Deadline) -> JsonResponse:
        """Answers a call of the model, under the id of its query."""
        gives_id = self._compatibility.gives_query_ids
        name = query_id.query_id(request.headers.get(query_id.HEADER)) if gives_id else ""
        body, spec, post = await _body(request), _spec(call), self._posts[call["call"].lower()]
        found = await self._call_pool.run(lambda: post(body, spec, deadline=deadline, query_id=name))
        return found.with_field(query_id.FIELD, name) if name else found

    async def _collect(self, request: web.Request) -> JsonResponse:
        """Takes events; the answer is sent once they are on the disk."""
        collector = self._collector
        if collector is None:
            raise ServingError(Code.FAILED_PRECONDITION, "This server takes no events; start it with --events_dir.")
        body, content_type = await _body(request), request.content_type
        found = await self._call_pool.run(lambda: collector.collect(_payload(body, content_type)))
        outcome = await asyncio.wrap_future(collector.log.append(found.events))
        answer = {**outcome._asdict(), "ignored_fields": found.ignored_fields}
        return JsonResponse(body=dump_json(answer))

    async def _update(self, request: web.Request, name: str) -> JsonResponse:
        """Changes items; the answer is sent once the change is on the disk and counts here."""
        body, content_type = await _body(request), request.content_type
        spec, handlers = model_spec_of_url(name, version=None), self._handlers
        updated = await self._call_pool.run(lambda: handlers.update_items(spec, _payload(body, content_type)))
        return JsonResponse(body=dump_json(updated._asdict()))

    def _status(self, spec: model_pb2.ModelSpec) -> dict[str, Any]:
        return _proto_json(self._handlers.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec)))

    def _metadata(self, spec: model_pb2.ModelSpec) -> dict[str, Any]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
        response = self._handlers.metadata(request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(definitions)
        version = str(response.model_spec.version.value)
        return {
            "model_spec": {"name": response.model_spec.name, "signature_name": "", "version": version},
            "metadata": {SIGNATURE_DEF: _proto_json(definitions)},
        }

    def _health(self, path: str) -> web.Response:
        good = path == "/healthz" or self.is_ready()
        return self._json(dump_json({"status": "ok" if good else "not ready"}), status=200 if good else 503)


def is_events_path(path: str) -> bool:
    """Returns whether a path without a query is that of events."""
    return path.lower() == EVENTS_URL


def path_scope(path: str) -> Scope:
    """Returns the scope that a path without a query needs."""
    if is_events_path(path):
        return Scope.EVENTS
    return Scope.UPDATE if UPDATE_URL.fullmatch(path) else Scope.SEARCH


def plain_path(path: str) -> str:
    """A path without a query and without slashes at its end; `/v1/` keeps its own."""
    path = path.partition("?")[0]
    return path if path.lower() == "/v1/" else path.rstrip("/")


def _preflight(request: web.Request) -> JsonResponse:
    """Answers a CORS preflight.

    Raises:
      ServingError: FAILED_PRECONDITION without an Origin header.
    """
    if not ORIGIN.search(request.headers.get("Origin", "")):
        raise ServingError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
    return JsonResponse(body=b"")


def _spec(match: re.Match[str]) -> model_pb2.ModelSpec:
    """The ModelSpec of a matched URL.

    Raises:
      ServingError: INVALID_ARGUMENT for a version beyond 64 bits.
    """
    version = int(match["version"][:20]) if match["version"] else None
    if version is not None and version >= 2**63:
        raise invalid(f"Failed to convert version: {match['version'][:64]} to numeric.")
    return model_spec_of_url(unquote(match["name"]), version=version, label=unquote(match["label"] or ""))


async def _body(request: web.Request) -> bytes:
    """The whole body, unzipped, within the size limit.

    Raises:
      ServingError: INVALID_ARGUMENT when it does not match its encoding.
    """
    try:
        return await request.read()
    except web.HTTPException:
        raise
    except Exception as error:
        raise invalid("The body could not be read; check its length and Content-Encoding.") from error


def _payload(body: bytes, content_type: str) -> Any:
    """The JSON of a body; of lines, a list."""
    if content_type in LINES_TYPES:
        return [parse_json(line) for line in body.splitlines() if line.strip()]
    return parse_json(body)


def _proto_json(message: Any) -> dict[str, Any]:
    """A proto as TF Serving prints it: original names, empty fields too, 64-bit integers as strings."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
