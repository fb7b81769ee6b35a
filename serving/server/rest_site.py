"""The listening side of REST: connections that answer broken HTTP without quoting it, in the answer and in the log."""

import asyncio
import logging
from typing import Any

from aiohttp import web

from serving.server.json_text import dump
from serving.server.log import event

KEEP_ALIVE_SECONDS = 75.0
BACKLOG = 1024


class RestConnection(web.RequestHandler):
    """One client's connection. A request that is not whole within `KEEP_ALIVE_SECONDS` ends it."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP; aiohttp's own quotes the offending bytes."""
        event("http_refused", status=status, error_type=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun; there is no room for an error in it.")
        text = "Malformed HTTP request." if status < 500 else "Internal error of the server; its log says where."
        response = web.Response(body=dump({"error": text}), status=status, content_type="application/json")
        response.force_close()
        return response

    def log_exception(self, *arguments: Any, exc_info: Any = None, **_: Any) -> None:
        """One line without the exception's text, which may quote the request."""
        event("http_failed", level=logging.ERROR, error_type=type(exc_info).__name__)


class RestSite(web.TCPSite):
    """A TCP port that hands its clients to `RestConnection`."""

    __slots__ = ()

    async def start(self) -> None:
        """Begins to listen."""
        await web.BaseSite.start(self)
        server, loop = self._runner.server, asyncio.get_running_loop()
        if server is None:
            raise RuntimeError("The runner of the REST application was not set up.")

        def connection() -> RestConnection:
            options = {"access_log": None, "keepalive_timeout": KEEP_ALIVE_SECONDS}
            return RestConnection(server, loop=loop, **options)  # type: ignore[arg-type]

        self._server = await loop.create_server(
            connection,
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_address=self._reuse_address,
            reuse_port=self._reuse_port,
        )
