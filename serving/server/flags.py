"""The command line, with TF Serving's names."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

MEGABYTE = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerFlags:
    """Everything the server is told.

    Args:
      model_name: The name in requests.
      model_base_path: The folder with the numbered versions.
      host: The address both ports listen on.
      port: gRPC; 0 picks a free one.
      rest_api_port: REST; 0 picks a free one, None leaves REST off.
      file_system_poll_wait_seconds: How often the base path is looked at; 0 once only, below 0 never.
      max_body_bytes: The largest REST body and gRPC message; also the largest single input in memory.
      call_threads: How many calls run in the model at once.
      max_waiting_calls: How many calls may wait or run before new ones are turned away.
      grace_seconds: How long calls in flight may take after SIGTERM.
      rest_api_timeout_in_ms: How long a REST request may take, its body included; 0: for ever.
      ssl_config_file: Text-proto SSLConfig: gRPC over TLS.
      monitoring_config_file: Text-proto MonitoringConfig: the metrics page.
      admin_token_file: Holds the token with which a reload is accepted from elsewhere than loopback.
      log_requests: Log every request, not only those that failed.
    """

    model_name: str
    model_base_path: Path
    host: str = "0.0.0.0"
    port: int = 8500
    rest_api_port: int | None = None
    file_system_poll_wait_seconds: float = 1.0
    max_body_bytes: int = 64 * MEGABYTE
    call_threads: int = 8
    max_waiting_calls: int = 1024
    grace_seconds: float = 30.0
    rest_api_timeout_in_ms: int = 30_000
    ssl_config_file: Path | None = None
    monitoring_config_file: Path | None = None
    admin_token_file: Path | None = None
    log_requests: bool = False


def parse_flags(arguments: Sequence[str] | None = None) -> ServerFlags:
    """The flags of a command line (`--name value` or `--name=value`); exits with a message when they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m serving.server", description=__doc__, allow_abbrev=False)
    fields = {field.name: field.default for field in dataclasses.fields(ServerFlags)}

    def add(name: str, *, kind: type, text: str, **more: object) -> None:
        default = {} if fields[name] is dataclasses.MISSING else {"default": fields[name]}
        parser.add_argument(f"--{name}", type=kind, help=text, **default, **more)  # type: ignore[arg-type]

    add("model_name", kind=str, text="name of the model in requests (default: %(default)s)", **{"default": "default"})
    add("model_base_path", kind=Path, text="folder with the numbered versions", required=True)
    add("host", kind=str, text="address to listen on (default: all)")
    add("port", kind=int, text="gRPC port (default 8500); 0 picks a free one")
    add("rest_api_port", kind=int, text="REST port; left out: no REST; 0 picks a free one")
    add("file_system_poll_wait_seconds", kind=float, text="how often to look for versions; 0 once, below 0 never")
    add("max_body_bytes", kind=int, text="largest REST body and gRPC message (default 64 MB)")
    add("call_threads", kind=int, text="calls in the model at once (default 8)")
    add("max_waiting_calls", kind=int, text="calls waiting or running before new ones are turned away (default 1024)")
    add("grace_seconds", kind=float, text="how long calls may finish after SIGTERM (default 30)")
    add("rest_api_timeout_in_ms", kind=int, text="how long a REST request may take (default 30000)")
    add("ssl_config_file", kind=Path, text="text-proto SSLConfig: gRPC over TLS")
    add("monitoring_config_file", kind=Path, text="text-proto MonitoringConfig: the metrics page")
    add("admin_token_file", kind=Path, text="token with which a reload is accepted from elsewhere than loopback")
    parser.add_argument(
        "--log_requests",
        action=argparse.BooleanOptionalAction,
        default=fields["log_requests"],
        help="log every request, not only those that failed",
    )
    found = parser.parse_args(arguments)
    for name in ("max_body_bytes", "call_threads", "max_waiting_calls"):
        if getattr(found, name) < 1:
            parser.error(f"--{name} must be at least 1; got {getattr(found, name)}")
    return ServerFlags(**vars(found))
