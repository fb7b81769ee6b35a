"""Supervisor of worker processes on one pair of ports: starts, watches, restarts and ends them.

The kernel spreads connections over the workers (SO_REUSEPORT); a worker opens the ports once its models serve, so none
is sent to one that cannot answer. This process loads no TensorFlow and holds the ports' numbers, not their traffic.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from prometheus_client import multiprocess

from serving.server.flags import ServerFlags
from serving.server.telemetry.log import log_event
from serving.server.telemetry.metrics import SHARED_DIRECTORY
from serving.server.workers.worker import WORKERS_DIRECTORY

READY_PREFIX = b"vitrine server ready"
KILL_MARGIN_SECONDS = 10.0
MAX_RESTART_DELAY_SECONDS = 30.0
STABLE_SECONDS = 60.0


class Supervisor:
    """Supervisor that keeps the workers alive until a signal ends it.

    Args:
      flags: The flags of the workers; `workers` is their number.
      arguments: The command line they are started with, after `python -m serving.server`.
    """

    def __init__(self, flags: ServerFlags, arguments: Sequence[str]) -> None:
        self.flags = flags
        self._arguments = list(arguments)
        self._stop = asyncio.Event()
        self._ready: dict[int, asyncio.Event] = {}
        self._exit_code = 0
        self._ready_line = ""

    async def run(self) -> int:
        """Supervises until SIGTERM or SIGINT.

        Returns:
          0 after an orderly end of every worker; the code of a worker that could not start at all; 1 when one had to
          be killed.

        Raises:
          OSError: When a port cannot be had.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        flags = self.flags
        with (
            reserved_port(flags.listen_host, flags.port) as grpc,
            reserved_port(flags.listen_host, flags.rest_api_port) as rest,
            tempfile.TemporaryDirectory(prefix="vitrine-metrics-") as shared,
            tempfile.TemporaryDirectory(prefix="vitrine-workers-") as sockets,
        ):
            os.environ[SHARED_DIRECTORY], os.environ[WORKERS_DIRECTORY] = shared, sockets
            wanted = {"port": grpc, "rest_api_port": rest}
            ports = [f"--{name}={port}" for name, port in wanted.items() if port is not None]
            self._ready = {number: asyncio.Event() for number in range(1, flags.workers + 1)}
            log_event("supervising", workers=flags.workers, grpc=grpc, rest=rest, host=flags.listen_host)
            keepers = [asyncio.create_task(self._keep(number, ports)) for number in self._ready]
            announcer = asyncio.create_task(self._announce())
            await self._stop.wait()
            log_event("stopping")
            announcer.cancel()
            await asyncio.gather(*keepers)
        log_event("stopped")
        return self._exit_code

    async def _announce(self) -> None:
        """Repeats the workers' ready line, which is the same for all, once every one has written it."""
        for ready in self._ready.values():
            await ready.wait()
        print(self._ready_line, flush=True)

    async def _keep(self, number: int, ports: list[str]) -> None:
        """Starts one worker, and starts it again until the supervisor stops."""
        pause = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            code = await self._run_worker(number, ports)
            if self._stop.is_set():
                return
            log_event("worker_died", level=logging.ERROR, worker=number, exit_code=code)
            if not self._ready[number].is_set() and code in (1, 2):
                self._exit_code = code
                self._stop.set()
                return
            steady = time.monotonic() - began > STABLE_SECONDS
            pause = 0.0 if steady else min(max(2 * pause, 0.1), MAX_RESTART_DELAY_SECONDS)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    async def _run_worker(self, number: int, ports: list[str]) -> int:
        """Runs one worker process until it ends; returns its exit code."""
        command = [sys.executable, "-m", "serving.server", *self._arguments, *ports]
        process = await asyncio.create_subprocess_exec(
            *command, f"--worker={number}", stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        log_event("worker_started", worker=number, pid=process.pid)
        reader = asyncio.create_task(self._read(number, process))
        ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            await self._end(number, process)
        await reader
        code = await ended
        multiprocess.mark_process_dead(process.pid)
        return code

    async def _end(self, number: int, process: asyncio.subprocess.Process) -> None:
        """SIGTERM, and SIGKILL to one that takes longer than its grace period."""
        process.terminate()
        try:
            code = await asyncio.wait_for(process.wait(), self.flags.grace_seconds + KILL_MARGIN_SECONDS)
        except TimeoutError:
            log_event("worker_killed", level=logging.ERROR, worker=number)
            process.kill()
            code = await process.wait()
        if code != 0:
            self._exit_code = 1

    async def _read(self, number: int, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError("The worker's standard output is not a pipe.")
        async for line in process.stdout:
            if line.startswith(READY_PREFIX):
                self._ready_line = line.decode(errors="replace").rstrip()
                self._ready[number].set()


@contextlib.contextmanager
def reserved_port(host: str, port: int | None) -> Iterator[int | None]:
    """Reserves a port that only sockets with SO_REUSEPORT of this user can share; None stays None.

    The socket is bound and never listens, so the kernel sends it no connection.

    Raises:
      OSError: When another process has the port.
    """
    if port is None:
        yield None
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind((host.strip("[]"), port))
        except OSError as error:
            raise OSError(f"cannot listen on {host}:{port} ({error.strerror}); is the port taken?") from error
        yield int(held.getsockname()[1])
