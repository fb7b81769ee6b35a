"""The server as a child process, for the smoke test of bundles and for tests. Imports no TensorFlow."""

import collections
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

READY_LINE = re.compile(r"vitrine server ready grpc=(\d+) rest=(\d+) model=(.*)")
SOURCE_ROOT = Path(__file__).resolve().parents[3]
KEPT_LOG_LINES = 80


class ServerProcess:
    """A server on loopback with free ports, started on entry and stopped on exit.

    Args:
      model_name: The name in requests.
      base_path: The folder with the numbered versions.
      start_seconds: How long it may take until a version serves.
      stop_seconds: How long it may take to end after SIGTERM before it is killed.
      flags: More flags of `python -m serving.server`.
    """

    def __init__(
        self,
        model_name: str,
        base_path: Path | str,
        *,
        start_seconds: float = 600.0,
        stop_seconds: float = 30.0,
        flags: Sequence[str] = (),
    ) -> None:
        self.model_name = model_name
        self.base_path = Path(base_path)
        self.start_seconds = start_seconds
        self.stop_seconds = stop_seconds
        self.flags = tuple(flags)
        self.grpc_port = 0
        self.rest_port = 0
        self.exit_code: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._log: collections.deque[str] = collections.deque(maxlen=KEPT_LOG_LINES)
        self._ready = threading.Event()
        self._readers: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """The process id while it runs; 0 otherwise."""
        return self._process.pid if self._process else 0

    @property
    def grpc_address(self) -> str:
        """`host:port` for a gRPC channel."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest_url(self) -> str:
        """The root of the REST surface."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def log_tail(self) -> str:
        """The last lines the server logged."""
        return "\n".join(self._log)

    def __enter__(self) -> Self:
        """Starts the server and waits until it is ready.

        Raises:
          RuntimeError: When it ended or was not ready in time; the message carries the end of its log.
        """
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the server."""
        self.stop()

    def start(self) -> None:
        """Starts the server and waits until it is ready; see `__enter__`."""
        command = [sys.executable, "-m", "serving.server", "--host=127.0.0.1", "--port=0", "--rest_api_port=0"]
        command += [f"--model_name={self.model_name}", f"--model_base_path={self.base_path}", *self.flags]
        python_path = os.pathsep.join(filter(None, [str(SOURCE_ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": python_path}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=environment
        )
        for stream, read in ((self._process.stdout, self._read_output), (self._process.stderr, self._read_log)):
            reader = threading.Thread(target=read, args=(stream,), daemon=True)
            reader.start()
            self._readers.append(reader)
        deadline = time.monotonic() + self.start_seconds
        while not self._ready.wait(0.05):
            if self._process.poll() is not None or time.monotonic() > deadline:
                ended = self._process.poll()
                self.stop()
                what = f"was not ready within {self.start_seconds:g} s" if ended is None else f"ended with code {ended}"
                raise RuntimeError(f"The server for {str(self.base_path)!r} {what}; end of its log:\n{self.log_tail}")

    def stop(self) -> int | None:
        """SIGTERM, then SIGKILL when it takes too long. Returns the exit code; 0 is an orderly end."""
        if self._process is None:
            return self.exit_code
        self._process.terminate()
        try:
            self.exit_code = self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.exit_code = self._process.wait()
        for reader in self._readers:
            reader.join(5.0)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
        self._process = None
        return self.exit_code

    def _read_output(self, stream: IO[str]) -> None:
        for line in stream:
            found = READY_LINE.match(line)
            if found:
                self.grpc_port, self.rest_port = int(found[1]), int(found[2])
                self._ready.set()

    def _read_log(self, stream: IO[str]) -> None:
        for line in stream:
            self._log.append(line.rstrip())
