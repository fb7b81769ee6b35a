"""TensorFlow's profiler service on the gRPC port, as in TF Serving, for administrators.

The messages are those of TensorFlow's `profiler_service.proto`, which its Python package does not ship.
"""

import asyncio
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf

from serving.server.protocol.deadline import Deadline
from serving.server.protocol.errors import Code, ServingError, invalid
from serving.server.protocol.protos import PROFILER
from serving.server.telemetry.log import log_event

SERVICE = "tensorflow.ProfilerService"
ProfileRequest = PROFILER["ProfileRequest"]
ProfileResponse = PROFILER["ProfileResponse"]
TerminateRequest = PROFILER["TerminateRequest"]
TerminateResponse = PROFILER["TerminateResponse"]
MonitorRequest = PROFILER["MonitorRequest"]
MonitorResponse = PROFILER["MonitorResponse"]
METHODS = {
    "Profile": (ProfileRequest, ProfileResponse),
    "Terminate": (TerminateRequest, TerminateResponse),
    "Monitor": (MonitorRequest, MonitorResponse),
}
MAX_SECONDS = 600.0
POLL_SECONDS = 0.05
TOOL = "xplane.pb"
PLAIN_NAME = re.compile(r"[\w:.-]*", re.ASCII)


class Profiler:
    """Runs one profile at a time."""

    def __init__(self) -> None:
        self._running = threading.Lock()
        self._session_id = ""
        self._end = threading.Event()

    def profile(self, request: Any, *, deadline: Deadline) -> Any:
        """Traces the process for `duration_ms`, or until `Terminate`, the client's deadline or its cancellation.

        The trace is written to REPOSITORY_ROOT/SESSION_ID/HOST_NAME.xplane.pb, or returned where no root is named.

        Raises:
          ServingError: INVALID_ARGUMENT for invalid names or times, ALREADY_EXISTS while another profile runs.
        """
        seconds = request.duration_ms / 1e3
        if not 0 < seconds <= MAX_SECONDS:
            raise invalid(f"duration_ms must be above 0 and at most {MAX_SECONDS * 1e3:.0f}.")
        for name in (request.session_id, request.host_name):
            if not PLAIN_NAME.fullmatch(name) or name.strip(".") != name:
                raise invalid("session_id and host_name must be plain names: letters, digits, and - . : _ inside.")
        if not self._running.acquire(blocking=False):
            raise ServingError(Code.ALREADY_EXISTS, "Another profile is running; wait for it or send Terminate.")
        try:
            self._session_id = request.session_id
            self._end.clear()
            trace = self._trace(request.opts, seconds, deadline)
        finally:
            self._running.release()
        log_event("profiled", seconds=seconds, trace_bytes=len(trace))
        return _response(request, trace)

    def terminate(self, request: Any) -> Any:
        """Ends the profile of that session early.

        Raises:
          ServingError: NOT_FOUND where no such profile runs.
        """
        if not self._running.locked() or request.session_id != self._session_id:
            raise ServingError(Code.NOT_FOUND, "No profile of that session is running.")
        self._end.set()
        return TerminateResponse()

    def _trace(self, options: Any, seconds: float, deadline: Deadline) -> bytes:
        """Records a serialised XSpace."""
        levels = tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=options.host_tracer_level or 2,
            python_tracer_level=options.python_tracer_level,
            device_tracer_level=options.device_tracer_level or 1,
        )
        until = time.monotonic() + seconds
        with tempfile.TemporaryDirectory(prefix="vitrine-profile-") as folder:
            tf.profiler.experimental.start(folder, levels)
            try:
                while time.monotonic() < until and deadline.error is None:
                    if self._end.wait(min(POLL_SECONDS, max(0.0, until - time.monotonic()))):
                        break
            finally:
                tf.profiler.experimental.stop()
            return b"".join(path.read_bytes() for path in sorted(Path(folder).rglob(f"*.{TOOL}")))


def _response(request: Any, trace: bytes) -> Any:
    """The response, with the trace in it or at the place that the request names."""
    response = ProfileResponse(empty_trace=not trace)
    if request.repository_root:
        folder = f"{request.repository_root.rstrip('/')}/{request.session_id}".rstrip("/")
        try:
            tf.io.gfile.makedirs(folder)
            with tf.io.gfile.GFile(f"{folder}/{request.host_name or 'server'}.{TOOL}", "wb") as stream:
                stream.write(trace)
        except tf.errors.OpError as error:
            raise ServingError(
                Code.FAILED_PRECONDITION, f"The trace cannot be written there ({type(error).__name__})."
            ) from error
    else:
        response.tool_data.add(name=TOOL, data=trace)
    return response


def add_profiler(server: grpc.aio.Server, *, run: Any) -> None:
    """Adds the service to a server.

    Args:
      server: The server.
      run: Runs a blocking call outside the pool of model calls and turns its errors into those of gRPC.
    """
    profiler = Profiler()

    async def profile(request: Any, context: grpc.aio.ServicerContext) -> Any:
        return await run(lambda until: profiler.profile(request, deadline=until), context)

    async def terminate(request: Any, context: grpc.aio.ServicerContext) -> Any:
        return await run(lambda _: profiler.terminate(request), context)

    async def monitor(request: Any, context: grpc.aio.ServicerContext) -> Any:
        await asyncio.sleep(0)
        return await context.abort(grpc.StatusCode.UNIMPLEMENTED, "There is nothing to monitor on a CPU.")

    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            handler,
            request_deserializer=METHODS[name][0].FromString,
            response_serializer=METHODS[name][1].SerializeToString,
        )
        for name, handler in (("Profile", profile), ("Terminate", terminate), ("Monitor", monitor))
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
