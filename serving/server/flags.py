"""Command line with TF Serving's flags; those without a meaning here are accepted and logged as ignored."""

import argparse
import dataclasses
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serving.remote_files import is_remote
from serving.server.protocol.compatibility import EXTENDED, TF_SERVING, Compatibility

MEGABYTE = 1 << 20
UNLIMITED_BYTES = (1 << 31) - 1
TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")
ONE_LOOP = "requests are taken in by one event loop"
NO_TFLITE = "this server runs SavedModels only"
NO_XLA = "TensorFlow's own setting of XLA holds"

# Flags of TF Serving without a meaning here, and the reason; each that is given costs one line of log.
IGNORED_FLAGS: dict[str, str] = {
    "rest_api_num_threads": ONE_LOOP,
    "grpc_max_threads": ONE_LOOP,
    "num_unload_threads": "a version is unloaded by the thread that replaced it",
    "flush_filesystem_caches": "files are mapped and closed when a version is loaded",
    "use_alts_credentials": "ALTS exists inside Google Cloud only; --ssl_config_file gives TLS",
    "platform_config_file": "the only platform is tensorflow",
    "remove_unused_fields_from_bundle_metagraph": "the graph's proto is dropped once it is loaded",
    "prefer_tflite_model": NO_TFLITE,
    "use_tflite_model": NO_TFLITE,
    "num_tflite_pools": NO_TFLITE,
    "num_tflite_interpreters_per_pool": NO_TFLITE,
    "xla_cpu_compilation_enabled": NO_XLA,
    "xla_gpu_compilation_enabled": NO_XLA,
    "thread_pool_factory_config_file": "TensorFlow's own thread pools are used",
    "mixed_precision": "models run in the precision they were saved in",
    "skip_initialize_tpu": "it runs on the CPU",
    "servable_versions_always_present": "the last good version always goes on serving",
}


def parse_bool(text: str) -> bool:
    """Parses the value of a boolean flag."""
    if text.lower() in (*TRUE_WORDS, *FALSE_WORDS):
        return text.lower() in TRUE_WORDS
    raise argparse.ArgumentTypeError(f"want true or false; got {text!r}")


def parse_location(text: str) -> Path | str:
    """Returns a URI as it is, else a local path."""
    return text if is_remote(text) else Path(text)


def _flag(default: Any, text: str, *, kind: Callable[[str], Any] = str, minimum: float | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"text": text, "kind": kind, "minimum": minimum})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retries of a version that failed to load.

    Args:
      max_retries: The number of retries as long as its files stay as they are; 0: none.
      interval_seconds: The wait before each; 0 or less: none.
      reports_failures_immediately: A failure is reported as END while it waits to be tried again; TF Serving reports
        LOADING until the last retry has failed, and a reload waits for that.
    """

    max_retries: int = 0
    interval_seconds: float = 60.0
    reports_failures_immediately: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerFlags:
    """The settings of the server; each field is the flag of its name and carries its own help."""

    model_name: str = _flag("default", "name of the model in requests; not with --model_config_file")
    model_base_path: Path | str | None = _flag(
        None, "folder with the numbered versions, a path or a URI (gs://)", kind=parse_location
    )
    model_config_file: Path | None = _flag(None, "text-proto ModelServerConfig: the models to serve", kind=Path)
    model_config_file_poll_wait_seconds: float = _flag(0, "how often to read that file again; 0 never", kind=float)
    host: str = _flag("", "address to listen on; left out: loopback, with --strict every interface")
    port: int | None = _flag(8500, "gRPC port; 0 picks a free one", kind=int)
    grpc_socket_path: str = _flag("", "also listen for gRPC on this Unix socket")
    grpc_channel_arguments: str = _flag("", "gRPC server arguments, name=value, by commas")
    rest_api_port: int | None = _flag(None, "REST port; left out: no REST; 0 picks a free one", kind=int)
    rest_api_timeout_in_ms: int = _flag(
        30_000, "how long a REST request may take, its body included; 0 is without limit", kind=int, minimum=0
    )
    rest_api_enable_cors_support: bool = _flag(False, "send CORS headers", kind=parse_bool)
    file_system_poll_wait_seconds: float = _flag(
        1.0, "how often to look for versions; 0 once, below 0 never", kind=float
    )
    num_load_threads: int = _flag(0, "models loaded at once; 0 is 1", kind=int, minimum=0)
    max_num_load_retries: int = _flag(
        5, "how often a version that failed to load is tried again as it is", kind=int, minimum=0
    )
    load_retry_interval_micros: int = _flag(
        60_000_000, "how long it waits before each of these; negative: not at all", kind=int
    )
    saved_model_tags: str = _flag("serve", "tags of the graph to load, by commas")
    enable_model_warmup: bool = _flag(
        True, "replay the requests recorded in a version before it serves", kind=parse_bool
    )
    num_request_iterations_for_warmup: int = _flag(1, "how often each recorded request is replayed", kind=int)
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "a new label may point to a version that is not there yet", kind=parse_bool
    )
    enable_signature_method_name_check: bool = _flag(
        False, "Classify and Regress want signatures of their own method name", kind=parse_bool
    )
    enable_grpc_healthcheck_service: bool = _flag(
        False, "gRPC's health service (on by default, unless --strict)", kind=parse_bool
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "outputs of gRPC Predict as tensor_content", kind=parse_bool
    )
    enable_batching: bool = _flag(False, "run calls of several clients as one batch", kind=parse_bool)
    batching_parameters_file: Path | None = _flag(None, "text-proto BatchingParameters", kind=Path)
    enable_per_model_batching_parameters: bool = _flag(
        False, "read batching_params.pbtxt in each version's folder", kind=parse_bool
    )
    tensorflow_session_parallelism: int = _flag(0, "threads of a session; 0 lets TensorFlow choose", kind=int)
    tensorflow_intra_op_parallelism: int = _flag(0, "threads within an op; 0 lets TensorFlow choose", kind=int)
    tensorflow_inter_op_parallelism: int = _flag(0, "ops at once; 0 lets TensorFlow choose", kind=int)
    tensorflow_session_config_file: Path | None = _flag(None, "text-proto ConfigProto", kind=Path)
    per_process_gpu_memory_fraction: float = _flag(0.0, "share of a GPU's memory to take", kind=float)
    ssl_config_file: Path | None = _flag(None, "text-proto SSLConfig: TLS for gRPC and REST", kind=Path)
    monitoring_config_file: Path | None = _flag(None, "text-proto MonitoringConfig: Prometheus", kind=Path)
    enable_profiler: bool = _flag(True, "TensorFlow's profiler service on the gRPC port", kind=parse_bool)
    admin_token_file: Path | None = _flag(
        None, "token with which reloads and profiles are accepted from elsewhere than loopback", kind=Path
    )
    tokens_file: Path | None = _flag(
        None, "tokens and their scopes (search, events, update, admin), a line each: TOKEN SCOPE,SCOPE", kind=Path
    )
    trust_loopback: bool = _flag(
        True, "callers on this machine need no token; false behind a proxy on this machine", kind=parse_bool
    )
    events_dir: Path | None = _flag(
        None, "folder for what shops report back; its files are read by preprocessing as they are", kind=Path
    )
    max_events_bytes: int = _flag(10 << 30, "size of that folder beyond which events are refused", kind=int, minimum=1)
    live_log: Path | None = _flag(
        None, "folder for changes of items without a new version; they count again after a start", kind=Path
    )
    max_live_log_bytes: int = _flag(
        1 << 30, "size of a model's log there beyond which changes are refused", kind=int, minimum=1
    )
    log_impressions: float = _flag(
        0.0, "share of the queries whose results are logged to --events_dir, 0 to 1", kind=float, minimum=0
    )
    ui: bool = _flag(False, "show a page to search with at / of the REST port", kind=parse_bool)
    ui_media: Path | None = _flag(
        None, "with --ui: folder of the shop, from which photos with relative addresses are shown", kind=Path
    )
    log_requests: bool = _flag(False, "log every request, not only those that failed", kind=parse_bool)
    strict: bool = _flag(False, "exactly TF Serving's behaviour, without extensions", kind=parse_bool)
    workers: int = _flag(1, "processes that share the ports", kind=int, minimum=1)
    worker: int = _flag(0, "set by the process that starts the workers: the number of this one", kind=int, minimum=0)
    allow_all_ops: bool = _flag(False, "load models whose graphs reach files, network or log", kind=parse_bool)
    max_body_bytes: int = _flag(64 * MEGABYTE, "largest REST body and gRPC message", kind=int, minimum=1)
    call_threads: int = _flag(8, "calls in the model at once", kind=int, minimum=1)
    max_waiting_calls: int = _flag(1024, "calls waiting or running before more are turned away", kind=int, minimum=1)
    grace_seconds: float = _flag(30.0, "how long calls may finish after SIGTERM", kind=float)

    @property
    def compatibility(self) -> Compatibility:
        """The deviations from TF Serving."""
        return TF_SERVING if self.strict else EXTENDED

    @property
    def listen_host(self) -> str:
        """The address to listen on."""
        return self.host or ("127.0.0.1" if self.compatibility.listens_on_loopback else "0.0.0.0")

    @property
    def retries(self) -> RetryPolicy:
        """Retries of a version that failed to load."""
        return RetryPolicy(
            max_retries=self.max_num_load_retries,
            interval_seconds=self.load_retry_interval_micros / 1e6,
            reports_failures_immediately=self.compatibility.reports_failures_immediately,
        )

    @property
    def largest_body_bytes(self) -> int:
        """The effective limit of a body or message."""
        return self.max_body_bytes if self.compatibility.limits_message_sizes else UNLIMITED_BYTES


class ParsedFlags(NamedTuple):
    """The flags of a command line, and one warning for each flag that is ignored."""

    flags: ServerFlags
    warnings: list[str]


def parse_flags(arguments: Sequence[str] | None = None) -> ServerFlags:
    """Parses a command line (`--name value` or `--name=value`); exits with a message when it is wrong."""
    return parse_flags_and_warnings(arguments).flags


def parse_flags_and_warnings(arguments: Sequence[str] | None = None) -> ParsedFlags:
    """Parses a command line, with warnings for the flags that are ignored."""
    made = parser()
    found = vars(made.parse_args(arguments))
    if found.pop("version"):
        print(f"Vitrine model server: {_version('vitrine-search')}\nTensorFlow Library: {_version('tensorflow')}")
        sys.exit(0)
    warnings = [f"--{name} is ignored: {why}." for name, why in IGNORED_FLAGS.items() if found.pop(name) is not None]
    for field in dataclasses.fields(ServerFlags):
        minimum = field.metadata["minimum"]
        if minimum is not None and found[field.name] < minimum:
            made.error(f"--{field.name} must be at least {minimum}; got {found[field.name]}")
    if not found["model_base_path"] and not found["model_config_file"]:
        made.error("--model_base_path or --model_config_file is required: what to serve")
    flags = ServerFlags(**found)
    if flags.events_dir and not flags.compatibility.takes_events:
        made.error("--events_dir is no part of TF Serving; leave it out, or --strict")
    if flags.log_impressions > 1 or (flags.log_impressions and not flags.events_dir):
        made.error("--log_impressions is a share from 0 to 1, and needs --events_dir: where they are logged")
    if flags.live_log and not flags.compatibility.changes_items:
        made.error("--live_log is no part of TF Serving; leave it out, or --strict")
    _check_pages(flags, made)
    if not flags.compatibility.port_zero_is_ephemeral:
        flags = dataclasses.replace(flags, port=flags.port or None, rest_api_port=flags.rest_api_port or None)
    return ParsedFlags(flags=flags, warnings=warnings)


def _check_pages(flags: ServerFlags, made: argparse.ArgumentParser) -> None:
    """Ends with a message where the flags of the page do not fit the others."""
    if flags.ui and flags.strict:
        made.error("--ui is no part of TF Serving; leave it out, or --strict")
    if flags.ui and flags.rest_api_port is None:
        made.error("--ui needs --rest_api_port: the port of the page")
    if flags.ui_media and not flags.ui:
        made.error("--ui_media is of the page; give --ui too")
    if flags.ui_media and not flags.ui_media.is_dir():
        made.error(f"--ui_media {flags.ui_media} is no folder; wanted the shop's, in which the catalogue is")


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, with the ignored flags."""
    made = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serves SavedModels over TF Serving's gRPC and REST.",
        epilog="Also accepted, with a warning: " + ", ".join(f"--{name}" for name in IGNORED_FLAGS),
        allow_abbrev=False,
    )
    made.add_argument("--version", nargs="?", const=True, default=False, type=parse_bool, help="print versions and end")
    for field in dataclasses.fields(ServerFlags):
        switch: dict[str, Any] = {"nargs": "?", "const": True} if field.metadata["kind"] is parse_bool else {}
        text = f"{field.metadata['text']} (default: {field.default})"
        kind = field.metadata["kind"]
        made.add_argument(f"--{field.name}", type=kind, default=field.default, help=text, **switch)
    for name in IGNORED_FLAGS:
        made.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)
    return made


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
