"""Command line of the server (`python -m serving.server`): serves until SIGTERM, finishes calls in flight, exits 0."""

import asyncio
import logging
import os
import signal
import sys

from serving.server.flags import ServerFlags, parse_flags_and_warnings
from serving.server.protocol.errors import ServingError
from serving.server.telemetry.log import log_event, log_to_stderr
from serving.server.workers.supervisor import Supervisor
from serving.server.workers.worker import terminate_with_parent


async def serve(flags: ServerFlags) -> None:
    """Serves until SIGTERM or SIGINT; prints a line on standard output when it is ready."""
    from serving.server.models.memory import freeze_gc
    from serving.server.server import running

    stop, listening = asyncio.Event(), asyncio.Event()

    def end() -> None:
        stop.set()
        if flags.worker and not listening.is_set():
            os._exit(0)  # A worker that still loads has no client to answer.

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    async with running(flags, before_start=freeze_gc) as server:
        listening.set()
        host, names = flags.listen_host, server.core.names
        log_event("listening", grpc=server.grpc_port, rest=server.rest_port, host=host, models=names)
        stopped = asyncio.create_task(stop.wait())
        ready = asyncio.create_task(server.wait_until_ready())
        await asyncio.wait({stopped, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            rest = "off" if server.rest_port is None else server.rest_port
            print(
                f"vitrine server ready grpc={server.grpc_port} rest={rest} model={','.join(server.core.names)}",
                flush=True,
            )
        await stopped
        ready.cancel()


def main() -> int:
    """Runs the server; returns 0 after an orderly end, 1 when it cannot start."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    flags, warnings = parse_flags_and_warnings()
    if flags.worker:
        terminate_with_parent()
    log_to_stderr(**({"worker": flags.worker} if flags.worker else {}))
    for warning in warnings:
        log_event("flag_ignored", level=logging.WARNING, reason=warning)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        if flags.workers > 1 and not flags.worker:
            return asyncio.run(Supervisor(flags, sys.argv[1:]).run())
        asyncio.run(serve(flags))
    except (OSError, ValueError, ServingError) as error:
        log_event("cannot_start", level=logging.ERROR, reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # TensorFlow's threads may still be loading a version; an orderly end does not wait for their destructors.
    os._exit(code)
