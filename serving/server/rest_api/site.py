"""REST connections and port: malformed HTTP is answered without quoting it, in the response and in the log."""

import asyncio
import logging
from typing import Any

from aiohttp import web

from serving.server.json_codec.text import dump_json
from serving.server.telemetry.log import log_event

KEEP_ALIVE_SECONDS = 75.0
BACKLOG = 1024


class RestConnection(web.RequestHandler):
    """Connection of one client.

    A request whose head is not whole within `KEEP_ALIVE_SECONDS` ends it, and so does an answer that the client has
    not read within `answer_seconds`: until then the answer is in the server's memory.

    Args:
      manager: aiohttp's server.
      answer_seconds: Time limit for a client to read an answer; None: no limit.
      **options: aiohttp's own.
    """

    __slots__ = ("_answer_seconds",)

    def __init__(self, manager: web.Server, *, answer_seconds: float | None, **options: Any) -> None:
        super().__init__(manager, **options)
        self._answer_seconds = answer_seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Makes the end of an answer wait until the kernel has taken all of it."""
        super().connection_made(transport)
        if isinstance(transport, asyncio.WriteTransport):
            transport.set_write_buffer_limits(high=0)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Sends the answer; cuts off a client that does not read it."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            log_event("slow_reader_cut_off", level=logging.WARNING)
            if self.transport is not None:
                self.transport.abort()
            return resp, True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answers malformed HTTP; aiohttp's own answer quotes the offending bytes."""
        log_event("http_refused", status=status, error_type=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun; there is no room for an error in it.")
        text = "Malformed HTTP request." if status < 500 else "Internal error of the server; its log has the details."
        response = web.Response(body=dump_json({"error": text}), status=status, content_type="application/json")
        response.force_close()
        return response

    def log_exception(self, *arguments: Any, exc_info: Any = None, **_: Any) -> None:
        """One line without the exception's text, which may quote the request."""
        log_event("http_failed", level=logging.ERROR, error_type=type(exc_info).__name__)


class RestSite(web.TCPSite):
    """A TCP port that hands its clients to `RestConnection`.

    Args:
      *address: aiohttp's runner, the host and the port.
      answer_seconds: Time limit for a client to read an answer; None: no limit.
      **options: aiohttp's own.
    """

    __slots__ = ("_answer_seconds",)

    def __init__(self, *address: Any, answer_seconds: float | None, **options: Any) -> None:
        super().__init__(*address, **options)
        self._answer_seconds = answer_seconds

    async def start(self) -> None:
        """Begins to listen."""
        await web.BaseSite.start(self)
        server, loop = self._runner.server, asyncio.get_running_loop()
        if server is None:
            raise RuntimeError("The runner of the REST application was not set up.")

        def connection() -> RestConnection:
            options: dict[str, Any] = {"access_log": None, "keepalive_timeout": KEEP_ALIVE_SECONDS}
            return RestConnection(server, loop=loop, answer_seconds=self._answer_seconds, **options)

        self._server = await loop.create_server(
            connection,
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_address=self._reuse_address,
            reuse_port=self._reuse_port,
            ssl=self._ssl_context,
        )
