"""A model server as a child process, for notebooks, tests and small programs; `vitrine serve` is for production."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from serving.server.workers.process import ServerProcess

Flag = str | int | float | bool | Path


class Server:
    """A server of one model on the loopback interface, started on entry and stopped on exit.

    The model runs in a process of its own: this one loads no TensorFlow, whatever Keras it uses.

        with Server(model_base_path="runs/demo/bundle/stock") as server:
            client = Client(rest=server.rest)

    Args:
      model_base_path: Folder with the numbered versions of one flavour.
      model_name: Name of the model in requests.
      port: gRPC port; 0 picks a free one.
      rest_api_port: REST port; 0 picks a free one.
      start_seconds: How long it may take until a version serves.
      flags: More flags of `vitrine serve` by name, for example `enable_batching=True`.

    Raises:
      ValueError: The folder has no numbered version.
    """

    def __init__(
        self,
        *,
        model_base_path: str | Path,
        model_name: str = "vitrine",
        port: int = 0,
        rest_api_port: int = 0,
        start_seconds: float = 600.0,
        **flags: Flag,
    ) -> None:
        base_path = Path(model_base_path)
        if not any(_versions(base_path)):
            below = sorted({path.parent.name for path in base_path.glob("*/[0-9]*")})
            hint = f"Give one of its folders: {', '.join(below)}." if below else "Publish a bundle there first."
            raise ValueError(f"{base_path} has no version to serve; wanted folders named by numbers. {hint}")
        given = {"port": port, "rest_api_port": rest_api_port, **flags}
        self._process = ServerProcess(
            model_name,
            base_path,
            start_seconds=start_seconds,
            flags=[f"--{name}={_text(value)}" for name, value in given.items()],
        )

    @property
    def rest(self) -> str:
        """Root URL of the REST surface, as `Client(rest=...)` takes it."""
        return self._process.rest_url

    @property
    def grpc(self) -> str:
        """`host:port` of the gRPC surface, as `Client(grpc=...)` takes it."""
        return self._process.grpc_address

    @property
    def log_tail(self) -> str:
        """The last lines that the server logged."""
        return self._process.log_tail

    def start(self) -> Self:
        """Starts the server and waits until it is ready.

        Raises:
          RuntimeError: It ended or was not ready in time; the message carries the end of its log.
        """
        self._process.start()
        return self

    def stop(self) -> None:
        """Stops the server; calls in flight are finished first."""
        self._process.stop()

    def __enter__(self) -> Self:
        """Starts the server; see `start`."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the server."""
        self.stop()


def _text(value: Flag) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _versions(base_path: Path) -> Iterator[Path]:
    return (path for path in base_path.glob("*") if path.name.isdecimal() and path.is_dir())
