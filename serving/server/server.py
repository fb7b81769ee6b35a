"""Model server: one event loop with gRPC and REST, the models beside it, an orderly end."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from serving.server.batching.batched_model import num_call_threads
from serving.server.call_pool import CallPool
from serving.server.events.collector import EventCollector
from serving.server.events.event_log import EventLog
from serving.server.events.event_schema import SHOP
from serving.server.events.impressions import ImpressionLog, Sampling
from serving.server.flags import ServerFlags
from serving.server.grpc_api.interceptor import RequestLogInterceptor
from serving.server.grpc_api.service import channel_options, grpc_server
from serving.server.handlers import RequestHandlers
from serving.server.live.live_items import LiveItems
from serving.server.models.config_watcher import ConfigWatcher
from serving.server.models.loader import ModelLoader
from serving.server.models.model_config import ModelConfig, model_configs_from_flags
from serving.server.models.server_core import ServerCore
from serving.server.options import read_server_options
from serving.server.pages.storefront import Storefront
from serving.server.rest_api.middleware import RequestLogMiddleware
from serving.server.rest_api.service import RestService
from serving.server.rest_api.site import BACKLOG, RestSite
from serving.server.telemetry.log import log_event
from serving.server.telemetry.request_log import RequestLog
from serving.server.workers.reload_group import reload_group_of
from trainer.pseudonyms import user_keys

READY_POLL_SECONDS = 0.02
REFRESH_SECONDS = 1.0


class Server:
    """Server that listens on both ports while its models follow their base paths.

    Args:
      flags: Models, ports and limits.
    """

    def __init__(self, flags: ServerFlags) -> None:
        self.flags = flags
        self.options = read_server_options(flags)
        self._reload_group = reload_group_of(worker=flags.worker, workers=flags.workers)
        agreed = self._reload_group.agreed_configs() if self._reload_group else None
        self._configs = model_configs_from_flags(flags) if agreed is None else agreed
        self._grpc_options = channel_options(flags.grpc_channel_arguments)
        self._live_items = _live_items(flags, self._configs)
        loader = ModelLoader(flags)
        self.core = ServerCore(
            loader,
            load_threads=flags.num_load_threads,
            allows_pending_labels=flags.allow_version_labels_for_unavailable_models,
            retries=flags.retries,
            attach=self._live_items.attach if self._live_items else None,
        )
        self._config_watcher = (
            ConfigWatcher(flags.model_config_file, reload=self._apply_config_file) if flags.model_config_file else None
        )
        threads = flags.call_threads
        if loader.batching:
            threads = num_call_threads(loader.batching, at_least=threads)
        self.call_pool = CallPool(threads=threads, max_waiting=flags.max_waiting_calls)
        self.collector: EventCollector | None = None
        if flags.events_dir:
            log = EventLog(flags.events_dir, max_bytes=flags.max_events_bytes)
            self.collector = EventCollector(log, keys=user_keys())
        self.grpc_port = 0
        self.rest_port: int | None = None
        self._draining = False
        self._grpc: grpc.aio.Server | None = None
        self._rest: web.AppRunner | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._health: Any = None
        self._health_task: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """True while every model serves and the server is not on its way out."""
        return self.core.ready and not self._draining

    async def start(self) -> None:
        """Starts to load and opens the ports: at once, or, as one of several workers, when every model serves.

        Raises:
          OSError: When a port cannot be had.
          ServingError: When the models do not match their configuration.
        """
        flags = self.flags
        if self.collector:
            await asyncio.to_thread(self.collector.log.start)
        self.core.start(
            self._configs,
            poll_seconds=flags.file_system_poll_wait_seconds,
            allows_pending_labels=flags.compatibility.allows_pending_labels
            or flags.allow_version_labels_for_unavailable_models,
        )
        if self._config_watcher:
            self._config_watcher.start(poll_seconds=flags.model_config_file_poll_wait_seconds)
        if flags.worker:
            await self.wait_until_ready()
        if self._reload_group:
            await asyncio.to_thread(self._reload_group.join, self.core)
        handlers = RequestHandlers(
            self.core,
            max_body_bytes=flags.largest_body_bytes,
            compatibility=flags.compatibility,
            checks_method_name=flags.enable_signature_method_name_check,
            as_tensor_content=flags.enable_serialization_as_tensor_content,
            reload=self._reload_group.reload if self._reload_group else None,
            impressions=self._impressions(),
            live_items=self._live_items,
        )
        request_log = RequestLog(
            is_known_model=self.core.is_known_model, metrics=self.options.metrics, log_all=flags.log_requests
        )
        self._grpc = self._grpc_server(handlers, request_log)
        if flags.rest_api_port is not None:
            await self._start_rest(handlers, request_log)
        await self._grpc.start()
        self._refreshing = asyncio.create_task(self._refresh_periodically())

    def _impressions(self) -> ImpressionLog | None:
        """The log of what searches show; without --events_dir there is none, whatever a model's config asks for."""
        if self.collector is None:
            for config in self._configs:
                if config.logging:
                    reason = "it needs --events_dir"
                    log_event("request_logging_ignored", level=logging.WARNING, model=config.name, reason=reason)
            return None

        def sampling_of(model: str) -> Sampling:
            own = self.core.logging_of(model)
            return Sampling(own.rate, own.folder or SHOP) if own else Sampling(self.flags.log_impressions)

        return ImpressionLog(self.collector.log, sampling_of=sampling_of)

    def _grpc_server(self, handlers: RequestHandlers, request_log: RequestLog) -> grpc.aio.Server:
        """The gRPC server with its ports, not started."""
        flags = self.flags
        server = grpc_server(
            handlers,
            call_pool=self.call_pool,
            max_message_bytes=flags.largest_body_bytes,
            share_port=flags.worker > 0,
            has_profiler=flags.enable_profiler,
            interceptors=[RequestLogInterceptor(request_log, access=self.options.access)],
            options=self._grpc_options,
        )
        self._add_health_and_reflection(server)
        if flags.port is not None:
            self.grpc_port = self._listen(server, f"{flags.listen_host}:{flags.port}")
        if flags.grpc_socket_path and flags.worker <= 1:
            self._listen(server, f"unix:{flags.grpc_socket_path}")
        return server

    def _apply_config_file(self, configs: Sequence[ModelConfig]) -> None:
        """Serves the models of the config file, which replace those of an earlier reload."""
        self.core.reload(configs)
        if self._reload_group:
            self._reload_group.forget_agreement()

    def _add_health_and_reflection(self, server: grpc.aio.Server) -> None:
        try:
            from serving.server.grpc_api.health_reflection import Health, add_reflection
        except Exception as error:  # Their packages may have been generated for another protobuf.
            reason = f"{type(error).__name__}: {error}"
            log_event("no_grpc_health_and_reflection", level=logging.ERROR, reason=reason)
            return
        has_health = self.flags.compatibility.has_health_urls or self.flags.enable_grpc_healthcheck_service
        if has_health:
            self._health = Health(server, is_ready=lambda: self.is_ready)
            self._health_task = asyncio.create_task(self._health.publish())
        add_reflection(server, has_health=has_health)

    def _listen(self, server: grpc.aio.Server, address: str) -> int:
        tls = self.options.tls
        try:
            if tls:
                return int(server.add_secure_port(address, tls.grpc_credentials()))
            return int(server.add_insecure_port(address))
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {address}; is the port taken?") from error

    async def _start_rest(self, handlers: RequestHandlers, request_log: RequestLog) -> None:
        flags = self.flags
        application = RestService(
            handlers,
            call_pool=self.call_pool,
            is_ready=lambda: self.is_ready,
            timeout_seconds=flags.rest_api_timeout_in_ms / 1000 or None,
            sends_cors=flags.rest_api_enable_cors_support,
            collector=self.collector,
            storefront=self._storefront(),
        ).application()
        application.middlewares.append(
            RequestLogMiddleware(
                request_log,
                timeout_seconds=flags.rest_api_timeout_in_ms / 1000,
                refresh=self._refresh_metrics,
                access=self.options.access,
                strict=flags.strict,
            ).middleware()
        )
        self._rest = web.AppRunner(
            application, access_log=None, shutdown_timeout=flags.grace_seconds, handler_cancellation=True
        )
        await self._rest.setup()
        site = RestSite(
            self._rest,
            flags.listen_host,
            flags.rest_api_port,
            answer_seconds=flags.rest_api_timeout_in_ms / 1000 or None,
            backlog=BACKLOG,
            ssl_context=self._rest_tls(),
            reuse_port=flags.worker > 0,
        )
        await site.start()
        self.rest_port = self._rest.addresses[0][1]

    def _storefront(self) -> Storefront | None:
        if not self.flags.ui:
            return None
        return Storefront(
            lambda: [config.name for config in self._configs],
            media_dir=self.flags.ui_media,
            takes_events=self.collector is not None,
        )

    def _rest_tls(self) -> ssl.SSLContext | None:
        tls = self.options.tls if self.flags.compatibility.has_tls_on_rest else None
        return tls.rest_context() if tls else None

    async def _refresh_periodically(self) -> None:
        """Keeps gauges up to date, for the pages of the other workers too."""
        while self.options.metrics:
            self._refresh_metrics()
            await asyncio.sleep(REFRESH_SECONDS)

    def _refresh_metrics(self) -> None:
        metrics = self.options.metrics
        if metrics:
            versions = self.core.serving_versions()
            metrics.refresh(ready=self.is_ready, pending=self.call_pool.pending, versions=versions)

    async def wait_until_ready(self) -> None:
        """Returns once every model has a version that serves."""
        while not self.core.ready:
            await asyncio.sleep(READY_POLL_SECONDS)

    async def stop(self) -> None:
        """Stops accepting, lets calls in flight finish within the grace period, unloads the models."""
        self._draining = True
        log_event("stopping")
        if self._refreshing:
            self._refreshing.cancel()
        if self._config_watcher:
            self._config_watcher.stop()
        if self._reload_group:
            self._reload_group.close()
        if self._health and self._health_task:
            self._health_task.cancel()
            await self._health.stop()
        servers = [self._grpc.stop(self.flags.grace_seconds)] if self._grpc else []
        if self._rest:
            servers.append(self._rest.cleanup())
        await asyncio.gather(*servers)
        self.call_pool.close()
        if self.collector:
            await asyncio.to_thread(self.collector.log.close)
        if self._live_items:
            await asyncio.to_thread(self._live_items.close)
        await asyncio.to_thread(self.core.stop, grace_seconds=1.0)
        log_event("stopped")


def _live_items(flags: ServerFlags, configs: Sequence[ModelConfig]) -> LiveItems | None:
    """The live changes of items, where a flag asks for them.

    Raises:
      ValueError: The log would be in the folder of a model, whose versions come and go.
    """
    if flags.live_log is None:
        return None
    for config in configs:
        base = config.base_path
        if isinstance(base, Path) and flags.live_log.resolve().is_relative_to(base.resolve()):
            raise ValueError(
                f"--live_log {str(flags.live_log)!r} is in the folder of model {config.name}; wanted one beside it, as "
                "versions come and go there."
            )
    return LiveItems(flags.live_log, max_bytes=flags.max_live_log_bytes)


@contextlib.asynccontextmanager
async def running(flags: ServerFlags, *, before_start: Callable[[], None] | None = None) -> AsyncIterator[Server]:
    """Runs a server until the end of the block; for tests and for `__main__`.

    Args:
      flags: Models, ports and limits.
      before_start: Called after all imports and before a model is loaded.
    """
    server = Server(flags)
    if before_start:
        before_start()
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
