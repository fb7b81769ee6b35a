"""The command line, with TF Serving's names: every one of its flags is accepted, and said so where it means nothing."""

import argparse
import dataclasses
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving.remote_files import is_remote
from serving.server.protocol.compatibility import PROMISING, STRICT, Behaviour

MEGABYTE = 1 << 20
UNLIMITED_BYTES = (1 << 31) - 1
TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")
ONE_LOOP = "requests are taken in by one event loop"
NO_TFLITE = "this server runs SavedModels only"
NO_XLA = "TensorFlow's own setting of XLA holds"

# Flags of TF Serving that mean nothing here, and why; each that is given costs one line of log.
MEANINGLESS: dict[str, str] = {
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


def boolean(text: str) -> bool:
    """True or false from a flag's value."""
    if text.lower() in (*TRUE_WORDS, *FALSE_WORDS):
        return text.lower() in TRUE_WORDS
    raise argparse.ArgumentTypeError(f"want true or false; got {text!r}")


def location(text: str) -> Path | str:
    """A local path, or a URI as it is."""
    return text if is_remote(text) else Path(text)


def _flag(default: Any, text: str, *, kind: Callable[[str], Any] = str, least: float | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"text": text, "kind": kind, "least": least})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retries:
    """How often a version that failed to load is tried again.

    Args:
      most: How often, as long as its files stay as they are; 0: never.
      interval_seconds: How long it waits before each; 0 or less: not at all.
      tells_at_once: A failure is told as END while it waits to be tried again; TF Serving says LOADING until it gives
        up, and a reload waits for that.
    """

    most: int = 0
    interval_seconds: float = 60.0
    tells_at_once: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerFlags:
    """Everything the server is told; each field is the flag of its name and carries its own help."""

    model_name: str = _flag("default", "name of the model in requests; not with --model_config_file")
    model_base_path: Path | str | None = _flag(
        None, "folder with the numbered versions, a path or a URI (gs://)", kind=location
    )
    model_config_file: Path | None = _flag(None, "text-proto ModelServerConfig: the models to serve", kind=Path)
    model_config_file_poll_wait_seconds: float = _flag(0, "how often to read that file again; 0 never", kind=float)
    host: str = _flag("0.0.0.0", "address to listen on")
    port: int | None = _flag(8500, "gRPC port; 0 picks a free one", kind=int)
    grpc_socket_path: str = _flag("", "also listen for gRPC on this Unix socket")
    grpc_channel_arguments: str = _flag("", "gRPC server arguments, name=value, by commas")
    rest_api_port: int | None = _flag(None, "REST port; left out: no REST; 0 picks a free one", kind=int)
    rest_api_timeout_in_ms: int = _flag(
        30_000, "how long a REST request may take, its body included; 0 for ever", kind=int, least=0
    )
    rest_api_enable_cors_support: bool = _flag(False, "send CORS headers", kind=boolean)
    file_system_poll_wait_seconds: float = _flag(
        1.0, "how often to look for versions; 0 once, below 0 never", kind=float
    )
    num_load_threads: int = _flag(0, "models loaded at once; 0 is 1", kind=int, least=0)
    max_num_load_retries: int = _flag(
        5, "how often a version that failed to load is tried again as it is", kind=int, least=0
    )
    load_retry_interval_micros: int = _flag(
        60_000_000, "how long it waits before each of these; negative: not at all", kind=int
    )
    saved_model_tags: str = _flag("serve", "tags of the graph to load, by commas")
    enable_model_warmup: bool = _flag(True, "replay the requests recorded in a version before it serves", kind=boolean)
    num_request_iterations_for_warmup: int = _flag(1, "how often each recorded request is replayed", kind=int)
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "a new label may point to a version that is not there yet", kind=boolean
    )
    enable_signature_method_name_check: bool = _flag(
        False, "Classify and Regress want signatures of their own method name", kind=boolean
    )
    enable_grpc_healthcheck_service: bool = _flag(
        False, "gRPC's health service (on by default, unless --strict)", kind=boolean
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "outputs of gRPC Predict as tensor_content", kind=boolean
    )
    enable_batching: bool = _flag(False, "run calls of several clients as one batch", kind=boolean)
    batching_parameters_file: Path | None = _flag(None, "text-proto BatchingParameters", kind=Path)
    enable_per_model_batching_parameters: bool = _flag(
        False, "read batching_params.pbtxt in each version's folder", kind=boolean
    )
    tensorflow_session_parallelism: int = _flag(0, "threads of a session; 0 lets TensorFlow choose", kind=int)
    tensorflow_intra_op_parallelism: int = _flag(0, "threads within an op; 0 lets TensorFlow choose", kind=int)
    tensorflow_inter_op_parallelism: int = _flag(0, "ops at once; 0 lets TensorFlow choose", kind=int)
    tensorflow_session_config_file: Path | None = _flag(None, "text-proto ConfigProto", kind=Path)
    per_process_gpu_memory_fraction: float = _flag(0.0, "share of a GPU's memory to take", kind=float)
    ssl_config_file: Path | None = _flag(None, "text-proto SSLConfig: TLS for gRPC", kind=Path)
    monitoring_config_file: Path | None = _flag(None, "text-proto MonitoringConfig: Prometheus", kind=Path)
    enable_profiler: bool = _flag(True, "TensorFlow's profiler service on the gRPC port", kind=boolean)
    admin_token_file: Path | None = _flag(
        None, "token with which reloads and profiles are accepted from elsewhere than loopback", kind=Path
    )
    log_requests: bool = _flag(False, "log every request, not only those that failed", kind=boolean)
    strict: bool = _flag(False, "exactly TF Serving's behaviour, nothing promised beyond", kind=boolean)
    workers: int = _flag(1, "processes that share the ports", kind=int, least=1)
    worker: int = _flag(0, "set by the process that starts the workers: the number of this one", kind=int, least=0)
    allow_all_ops: bool = _flag(False, "load models whose graphs reach files, network or log", kind=boolean)
    max_body_bytes: int = _flag(64 * MEGABYTE, "largest REST body and gRPC message", kind=int, least=1)
    call_threads: int = _flag(8, "calls in the model at once", kind=int, least=1)
    max_waiting_calls: int = _flag(1024, "calls waiting or running before more are turned away", kind=int, least=1)
    grace_seconds: float = _flag(30.0, "how long calls may finish after SIGTERM", kind=float)

    @property
    def behaviour(self) -> Behaviour:
        """What is promised beyond TF Serving."""
        return STRICT if self.strict else PROMISING

    @property
    def retries(self) -> Retries:
        """How often a version that failed to load is tried again."""
        return Retries(
            most=self.max_num_load_retries,
            interval_seconds=self.load_retry_interval_micros / 1e6,
            tells_at_once=self.behaviour.tells_failures_at_once,
        )

    @property
    def largest_body_bytes(self) -> int:
        """The limit that holds."""
        return self.max_body_bytes if self.behaviour.limits_sizes else UNLIMITED_BYTES


def parse_flags(arguments: Sequence[str] | None = None) -> ServerFlags:
    """The flags of a command line (`--name value` or `--name=value`); exits with a message when they are wrong."""
    return parse_flags_and_warnings(arguments)[0]


def parse_flags_and_warnings(arguments: Sequence[str] | None = None) -> tuple[ServerFlags, list[str]]:
    """The flags of a command line, and one line for each that means nothing here."""
    made = parser()
    found = vars(made.parse_args(arguments))
    if found.pop("version"):
        print(f"Vitrine model server: {_version('vitrine-search')}\nTensorFlow Library: {_version('tensorflow')}")
        sys.exit(0)
    reasons = [f"--{name} is ignored: {why}." for name, why in MEANINGLESS.items() if found.pop(name) is not None]
    for field in dataclasses.fields(ServerFlags):
        least = field.metadata["least"]
        if least is not None and found[field.name] < least:
            made.error(f"--{field.name} must be at least {least}; got {found[field.name]}")
    if not found["model_base_path"] and not found["model_config_file"]:
        made.error("--model_base_path or --model_config_file is required: what to serve")
    flags = ServerFlags(**found)
    if not flags.behaviour.zero_is_a_port:
        flags = dataclasses.replace(flags, port=flags.port or None, rest_api_port=flags.rest_api_port or None)
    return flags, reasons


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, flags that mean nothing here included."""
    made = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serves SavedModels over TF Serving's gRPC and REST.",
        epilog="Also accepted, with a warning: " + ", ".join(f"--{name}" for name in MEANINGLESS),
        allow_abbrev=False,
    )
    made.add_argument("--version", nargs="?", const=True, default=False, type=boolean, help="print versions and end")
    for field in dataclasses.fields(ServerFlags):
        switch: dict[str, Any] = {"nargs": "?", "const": True} if field.metadata["kind"] is boolean else {}
        text = f"{field.metadata['text']} (default: {field.default})"
        kind = field.metadata["kind"]
        made.add_argument(f"--{field.name}", type=kind, default=field.default, help=text, **switch)
    for name in MEANINGLESS:
        made.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)
    return made


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
