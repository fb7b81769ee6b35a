"""aiohttp middleware around every REST request: request id, access, time limit, request log, metrics page."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from serving.server.access.access_rules import AUTHORIZATION, AccessRules, Caller, is_loopback
from serving.server.access.tokens import Scope
from serving.server.json_codec.text import dump_json
from serving.server.protocol.errors import HTTP_STATUS, Code, ServingError
from serving.server.rest_api.service import is_events_path, path_scope, plain_path
from serving.server.telemetry.metrics import CONTENT_TYPE, Metrics
from serving.server.telemetry.request_id import HEADER, request_id
from serving.server.telemetry.request_log import RequestLog, RequestRecord

URL = re.compile(r"/v1/models/(?P<name>[^/:?]+)[^:?]*?(?P<what>:\w+|/metadata)?", re.IGNORECASE | re.ASCII)
METHODS = {
    ("POST", ":predict"): "Predict",
    ("POST", ":update"): "UpdateItems",
    ("POST", ":classify"): "Classify",
    ("POST", ":regress"): "Regress",
    ("GET", ""): "GetModelStatus",
    ("GET", "/metadata"): "GetModelMetadata",
}
RETRY_AFTER = "Retry-After"
TOO_SLOW = ServingError(Code.DEADLINE_EXCEEDED, "The request took longer than --rest_api_timeout_in_ms allows.")
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
      access: Authorises calls.
      strict: Answers with TF Serving's headers only.
    """

    def __init__(
        self,
        request_log: RequestLog,
        *,
        timeout_seconds: float,
        refresh: Callable[[], None],
        access: AccessRules,
        strict: bool = False,
    ) -> None:
        self._request_log = request_log
        self._refresh = refresh
        self._access = access
        self._timeout = timeout_seconds or None
        self._strict = strict

    def middleware(self) -> Middleware:
        """Returns an entry of `web.Application.middlewares`."""

        @web.middleware
        async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        return around

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = _caller(request)
        metrics = self._request_log.metrics
        if metrics and request.raw_path == metrics.path and request.method == "GET" and self._shows(metrics, caller):
            self._refresh()
            page = await asyncio.to_thread(metrics.page)
            return web.Response(body=page, content_type=CONTENT_TYPE, charset="utf-8")
        name = request_id(request.headers.get(HEADER))
        with self._request_log.request("REST", request_id=name) as record:
            _fill_record(record, request)
            try:
                self._check(request, caller)
                async with asyncio.timeout(self._timeout):
                    response = await handler(request)
            except ServingError as error:
                response = _error_response(error)
            except TimeoutError:
                response = _error_response(TOO_SLOW)
            except asyncio.CancelledError:
                record.status = "CANCELLED"
                raise
            record.status = STATUS_NAMES.get(response.status, "UNKNOWN")
        if self._strict:
            response.headers.popall(RETRY_AFTER, None)
        else:
            response.headers[HEADER] = name
        return response

    def _shows(self, metrics: Metrics, caller: Caller) -> bool:
        return metrics.is_public or self._access.allows(Scope.ADMIN, caller, is_locked=True)

    def _check(self, request: web.Request, caller: Caller) -> None:
        """Authorises a call of the protocol; health and preflights are open.

        Raises:
          ServingError: As `AccessRules.check`.
        """
        if request.method != "OPTIONS" and request.raw_path.lower().startswith("/v1/"):
            self._access.check(path_scope(plain_path(request.raw_path)), caller)


def _caller(request: web.Request) -> Caller:
    sent = request.headers.get(AUTHORIZATION)
    return Caller(is_local=is_loopback(request.remote), authorization=sent.encode() if sent else None)


def _fill_record(record: RequestRecord, request: web.Request) -> None:
    """Fills in method and model where the URL is one of the protocol's."""
    found = URL.fullmatch(request.raw_path)
    method = found and METHODS.get((request.method, (found["what"] or "").lower()))
    if found and method:
        record.method, record.model = method, unquote(found["name"])
    elif request.method == "POST" and is_events_path(plain_path(request.raw_path)):
        record.method = "Events"


def _error_response(error: ServingError) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.code is Code.UNAUTHENTICATED else None
    body = dump_json({"error": error.message})
    return web.Response(body=body, status=HTTP_STATUS[error.code], content_type="application/json", headers=headers)
