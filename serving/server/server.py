"""The server as a whole: one event loop with gRPC and REST, the models beside it, an orderly end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from aiohttp import web

from serving.server.batching.batched_model import call_threads
from serving.server.call_pool import Calls
from serving.server.flags import ServerFlags
from serving.server.grpc_api.interceptor import GrpcWatch
from serving.server.grpc_api.service import channel_options, grpc_server
from serving.server.handlers import Answers
from serving.server.models.config_watcher import ConfigFollower
from serving.server.models.loader import ModelLoader
from serving.server.models.model_config import ModelPlan, plans_of_flags
from serving.server.models.server_core import Models
from serving.server.options import read_surroundings
from serving.server.rest_api.middleware import RestWatch
from serving.server.rest_api.service import RestService
from serving.server.rest_api.site import BACKLOG, RestSite
from serving.server.telemetry.log import event
from serving.server.telemetry.request_log import Watch
from serving.server.workers.reload_group import cohort_of

READY_POLL_SECONDS = 0.02
REFRESH_SECONDS = 1.0


class Server:
    """Listens on both ports while its models follow their base paths.

    Args:
      flags: What to serve, and where.
    """

    def __init__(self, flags: ServerFlags) -> None:
        self.flags = flags
        self.surroundings = read_surroundings(flags)
        self._cohort = cohort_of(worker=flags.worker, workers=flags.workers)
        agreed = self._cohort.plans() if self._cohort else None
        self._plans = plans_of_flags(flags) if agreed is None else agreed
        self._grpc_options = channel_options(flags.grpc_channel_arguments)
        loader = ModelLoader(flags)
        self.models = Models(
            loader,
            load_threads=flags.num_load_threads,
            labels_may_wait=flags.allow_version_labels_for_unavailable_models,
            retries=flags.retries,
        )
        self._follower = (
            ConfigFollower(flags.model_config_file, reload=self._follow_file) if flags.model_config_file else None
        )
        threads = flags.call_threads
        if loader.batching:
            threads = call_threads(loader.batching, at_least=threads)
        self.calls = Calls(threads=threads, max_waiting=flags.max_waiting_calls)
        self.grpc_port = 0
        self.rest_port: int | None = None
        self._draining = False
        self._grpc: grpc.aio.Server | None = None
        self._rest: web.AppRunner | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._health: Any = None
        self._following_health: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """True while every model serves and the server is not on its way out."""
        return self.models.ready and not self._draining

    async def start(self) -> None:
        """Starts to load and opens the ports: at once, or, as one of several workers, when every model serves.

        Raises:
          OSError: When a port cannot be had.
          ServingError: When the models cannot be what their configuration says.
        """
        flags, around = self.flags, self.surroundings
        self.models.start(
            self._plans,
            poll_seconds=flags.file_system_poll_wait_seconds,
            labels_may_wait=flags.behaviour.labels_may_wait or flags.allow_version_labels_for_unavailable_models,
        )
        if self._follower:
            self._follower.start(poll_seconds=flags.model_config_file_poll_wait_seconds)
        if flags.worker:
            await self.wait_until_ready()
        if self._cohort:
            await asyncio.to_thread(self._cohort.join, self.models)
        answers = Answers(
            self.models,
            max_body_bytes=flags.largest_body_bytes,
            behaviour=flags.behaviour,
            checks_method=flags.enable_signature_method_name_check,
            as_content=flags.enable_serialization_as_tensor_content,
            reload=self._cohort.reload if self._cohort else None,
        )
        watch = Watch(knows=self.models.knows, metrics=around.metrics, log_all=flags.log_requests)
        self._grpc = grpc_server(
            answers,
            calls=self.calls,
            max_message_bytes=flags.largest_body_bytes,
            share_port=flags.worker > 0,
            has_profiler=flags.enable_profiler,
            interceptors=[GrpcWatch(watch, admins=around.admins)],
            options=self._grpc_options,
        )
        self._add_extras(self._grpc)
        if flags.port is not None:
            self.grpc_port = self._listen(self._grpc, f"{flags.host}:{flags.port}")
        if flags.grpc_socket_path and flags.worker <= 1:
            self._listen(self._grpc, f"unix:{flags.grpc_socket_path}")
        if flags.rest_api_port is not None:
            await self._start_rest(answers, watch)
        await self._grpc.start()
        self._refreshing = asyncio.create_task(self._refresh_for_ever())

    def _follow_file(self, plans: Sequence[ModelPlan]) -> None:
        """Serves what the config file says now, whatever a reload said before."""
        self.models.reload(plans)
        if self._cohort:
            self._cohort.forget()

    def _add_extras(self, server: grpc.aio.Server) -> None:
        try:
            from serving.server.grpc_api.health_reflection import Health, add_reflection
        except Exception as error:  # Their packages may have been generated for another protobuf.
            reason = f"{type(error).__name__}: {error}"
            event("no_grpc_health_and_reflection", level=logging.ERROR, reason=reason)
            return
        has_health = self.flags.behaviour.has_health_urls or self.flags.enable_grpc_healthcheck_service
        if has_health:
            self._health = Health(server, is_ready=lambda: self.is_ready)
            self._following_health = asyncio.create_task(self._health.follow())
        add_reflection(server, has_health=has_health)

    def _listen(self, server: grpc.aio.Server, address: str) -> int:
        credentials = self.surroundings.credentials
        try:
            if credentials:
                return int(server.add_secure_port(address, credentials))
            return int(server.add_insecure_port(address))
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {address}; is the port taken?") from error

    async def _start_rest(self, answers: Answers, watch: Watch) -> None:
        flags = self.flags
        application = RestService(
            answers,
            calls=self.calls,
            is_ready=lambda: self.is_ready,
            timeout_seconds=flags.rest_api_timeout_in_ms / 1000 or None,
            sends_cors=flags.rest_api_enable_cors_support,
        ).application()
        application.middlewares.append(
            RestWatch(
                watch,
                timeout_seconds=flags.rest_api_timeout_in_ms / 1000,
                refresh=self._refresh_metrics,
                strict=flags.strict,
            ).middleware()
        )
        self._rest = web.AppRunner(
            application, access_log=None, shutdown_timeout=flags.grace_seconds, handler_cancellation=True
        )
        await self._rest.setup()
        site = RestSite(
            self._rest,
            flags.host,
            flags.rest_api_port,
            answer_seconds=flags.rest_api_timeout_in_ms / 1000 or None,
            backlog=BACKLOG,
            reuse_port=flags.worker > 0,
        )
        await site.start()
        self.rest_port = self._rest.addresses[0][1]

    async def _refresh_for_ever(self) -> None:
        """Keeps the metrics that are states up to date, for the pages of the other workers too."""
        while self.surroundings.metrics:
            self._refresh_metrics()
            await asyncio.sleep(REFRESH_SECONDS)

    def _refresh_metrics(self) -> None:
        metrics = self.surroundings.metrics
        if metrics:
            versions = self.models.serving_versions()
            metrics.refresh(ready=self.is_ready, pending=self.calls.pending, versions=versions)

    async def wait_until_ready(self) -> None:
        """Returns once every model has a version that serves."""
        while not self.models.ready:
            await asyncio.sleep(READY_POLL_SECONDS)

    async def stop(self) -> None:
        """Stops accepting, lets calls in flight finish within the grace period, unloads the models."""
        self._draining = True
        event("stopping")
        if self._refreshing:
            self._refreshing.cancel()
        if self._follower:
            self._follower.stop()
        if self._cohort:
            self._cohort.leave()
        if self._health and self._following_health:
            self._following_health.cancel()
            await self._health.leave()
        doors = [self._grpc.stop(self.flags.grace_seconds)] if self._grpc else []
        if self._rest:
            doors.append(self._rest.cleanup())
        await asyncio.gather(*doors)
        self.calls.close()
        await asyncio.to_thread(self.models.stop, grace_seconds=1.0)
        event("stopped")


@contextlib.asynccontextmanager
async def running(flags: ServerFlags, *, before_start: Callable[[], None] | None = None) -> AsyncIterator[Server]:
    """A started server, stopped at the end of the block; for tests and for `__main__`.

    Args:
      flags: What to serve, and where.
      before_start: Called when all is imported and nothing is loaded.
    """
    server = Server(flags)
    if before_start:
        before_start()
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
