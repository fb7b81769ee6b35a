"""aiohttp middleware around every REST request: request id, time limit, request log, metrics page."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from serving.server.json_codec.text import dump_json
from serving.server.protocol.errors import HTTP_STATUS, Code, ServingError
from serving.server.telemetry.metrics import CONTENT_TYPE
from serving.server.telemetry.request_id import HEADER, request_id
from serving.server.telemetry.request_log import RequestLog, RequestRecord

URL = re.compile(r"/v1/models/(?P<name>[^/:?]+)[^:?]*?(?P<what>:\w+|/metadata)?", re.IGNORECASE | re.ASCII)
METHODS = {
    ("POST", ":predict"): "Predict",
    ("POST", ":classify"): "Classify",
    ("POST", ":regress"): "Regress",
    ("GET", ""): "GetModelStatus",
    ("GET", "/metadata"): "GetModelMetadata",
}
RETRY_AFTER = "Retry-After"
STATUS_NAMES = {
    **{http: code.name for code, http in reversed(HTTP_STATUS.items())},
    400: "INVALID_ARGUMENT",
    413: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}


class RequestLogMiddleware:
    """Middleware of the REST application.

    Args:
      request_log: Counts and logs.
      timeout_seconds: Time limit of a request, its body included; 0: no limit.
      refresh: Updates the gauges before the metrics page is written.
      strict: Answers with TF Serving's headers only.
    """

    def __init__(
        self, request_log: RequestLog, *, timeout_seconds: float, refresh: Callable[[], None], strict: bool = False
    ) -> None:
        self._request_log = request_log
        self._refresh = refresh
        self._timeout = timeout_seconds or None
        self._strict = strict

    def middleware(self) -> Middleware:
        """Returns an entry of `web.Application.middlewares`."""

        @web.middleware
        async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        return around

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        path, metrics = request.raw_path, self._request_log.metrics
        if metrics and path == metrics.path and request.method == "GET":
            self._refresh()
            page = await asyncio.to_thread(metrics.page)
            return web.Response(body=page, content_type=CONTENT_TYPE, charset="utf-8")
        name = request_id(request.headers.get(HEADER))
        with self._request_log.request("REST", request_id=name) as record:
            _fill_record(record, request)
            try:
                async with asyncio.timeout(self._timeout):
                    response = await handler(request)
            except TimeoutError:
                response = _timeout_response()
            except asyncio.CancelledError:
                record.status = "CANCELLED"
                raise
            record.status = STATUS_NAMES.get(response.status, "UNKNOWN")
        if self._strict:
            response.headers.popall(RETRY_AFTER, None)
        else:
            response.headers[HEADER] = name
        return response


def _fill_record(record: RequestRecord, request: web.Request) -> None:
    """Fills in method and model where the URL is one of the protocol's."""
    found = URL.fullmatch(request.raw_path)
    method = found and METHODS.get((request.method, (found["what"] or "").lower()))
    if found and method:
        record.method, record.model = method, unquote(found["name"])


def _timeout_response() -> web.Response:
    error = ServingError(Code.DEADLINE_EXCEEDED, "The request took longer than --rest_api_timeout_in_ms allows.")
    return web.Response(
        body=dump_json({"error": error.message}), status=HTTP_STATUS[error.code], content_type="application/json"
    )
