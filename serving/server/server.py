"""The server as a whole: one event loop with gRPC and REST, the models beside it, an orderly end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from aiohttp import web

from serving.server.answers import Answers
from serving.server.calls import Calls
from serving.server.flags import ServerFlags
from serving.server.grpc_service import grpc_server
from serving.server.log import event
from serving.server.models import Models
from serving.server.predict import warm_up
from serving.server.rest_service import RestService
from serving.server.saved_model import LoadedModel, load_op_libraries
from serving.server.versions import ModelVersions

READY_POLL_SECONDS = 0.02


class Server:
    """Listens on both ports while its models follow their base paths.

    Args:
      flags: What to serve, and where.
    """

    def __init__(self, flags: ServerFlags) -> None:
        self.flags = flags
        missing = load_op_libraries()

        def load(path: Path) -> LoadedModel:
            model = LoadedModel(path, missing_libraries=missing)
            try:
                warm_up(model, max_bytes=flags.max_body_bytes)
            except BaseException:
                model.close()
                raise
            return model

        versions = ModelVersions(flags.model_name, base_path=flags.model_base_path, load=load)
        self.models = Models({flags.model_name: versions})
        self.calls = Calls(threads=flags.call_threads, max_waiting=flags.max_waiting_calls)
        self.grpc_port = 0
        self.rest_port: int | None = None
        self._draining = False
        self._grpc: grpc.aio.Server | None = None
        self._rest: web.AppRunner | None = None

    @property
    def is_ready(self) -> bool:
        """True while every model serves and the server is not on its way out."""
        return self.models.ready and not self._draining

    async def start(self) -> None:
        """Opens the ports and starts to load.

        Raises:
          OSError: When a port cannot be had.
        """
        flags = self.flags
        answers = Answers(self.models, max_body_bytes=flags.max_body_bytes)
        self._grpc = grpc_server(answers, calls=self.calls, max_message_bytes=flags.max_body_bytes)
        try:
            self.grpc_port = self._grpc.add_insecure_port(f"{flags.host}:{flags.port}")
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {flags.host}:{flags.port}; is the port taken?") from error
        if flags.rest_api_port is not None:
            service = RestService(answers, calls=self.calls, is_ready=lambda: self.is_ready)
            self._rest = web.AppRunner(service.application(), access_log=None, shutdown_timeout=flags.grace_seconds)
            await self._rest.setup()
            await web.TCPSite(self._rest, flags.host, flags.rest_api_port).start()
            self.rest_port = self._rest.addresses[0][1]
        await self._grpc.start()
        self.models.start(poll_seconds=flags.file_system_poll_wait_seconds)

    async def wait_until_ready(self) -> None:
        """Returns once every model has a version that serves."""
        while not self.models.ready:
            await asyncio.sleep(READY_POLL_SECONDS)

    async def stop(self) -> None:
        """Stops accepting, lets calls in flight finish within the grace period, unloads the models."""
        self._draining = True
        event("stopping")
        doors = [self._grpc.stop(self.flags.grace_seconds)] if self._grpc else []
        if self._rest:
            doors.append(self._rest.cleanup())
        await asyncio.gather(*doors)
        self.calls.close()
        await asyncio.to_thread(self.models.stop, grace_seconds=1.0)
        event("stopped")


@contextlib.asynccontextmanager
async def running(flags: ServerFlags) -> AsyncIterator[Server]:
    """A started server, stopped at the end of the block; for tests and for `__main__`."""
    server = Server(flags)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
