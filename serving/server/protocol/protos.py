"""Protocol buffer messages built from tables: those that TensorFlow's packages do not ship, and the client's.

Packages, names, field numbers and types are those of TF Serving's and TensorFlow's own `.proto` files, so that a file
written for TF Serving parses here, and what it would refuse is refused. `python -m serving.server.protocol.protos`
prints `serving/client/descriptors.py`; a test compares the two.
"""

import base64
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

Kind = descriptor_pb2.FieldDescriptorProto
SCALAR_TYPES = {
    "string": Kind.TYPE_STRING,
    "bytes": Kind.TYPE_BYTES,
    "bool": Kind.TYPE_BOOL,
    "float": Kind.TYPE_FLOAT,
    "double": Kind.TYPE_DOUBLE,
    "int32": Kind.TYPE_INT32,
    "int64": Kind.TYPE_INT64,
    "uint32": Kind.TYPE_UINT32,
    "uint64": Kind.TYPE_UINT64,
}
WRAPPERS = "google.protobuf."
REPEATED, MAP = "repeated ", "map "
# {message: ((field, number, type), ...)}. A type is a scalar, an enum or message of the same file, or a wrapper;
# `repeated T`; or `map T`, from string to T.
Fields = Sequence[tuple[str, int, str]]
Messages = Mapping[str, Fields]
Enums = Mapping[str, Mapping[str, int]]
Config = TypeVar("Config", bound=Message)

CONFIG_MESSAGES: Messages = {
    "SSLConfig": (
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ),
    "PrometheusConfig": (("enable", 1, "bool"), ("path", 2, "string")),
    "MonitoringConfig": (("prometheus_config", 1, "PrometheusConfig"),),
    "BatchingParameters": (
        ("max_batch_size", 1, "google.protobuf.Int64Value"),
        ("batch_timeout_micros", 2, "google.protobuf.Int64Value"),
        ("max_enqueued_batches", 3, "google.protobuf.Int64Value"),
        ("num_batch_threads", 4, "google.protobuf.Int64Value"),
        ("thread_pool_name", 5, "google.protobuf.StringValue"),
        ("allowed_batch_sizes", 6, "repeated int64"),
        ("pad_variable_length_inputs", 7, "bool"),
        # Younger than the rest; a text file has them by name, so their numbers do not matter.
        ("enable_large_batch_splitting", 8, "google.protobuf.BoolValue"),
        ("max_execution_batch_size", 9, "google.protobuf.Int64Value"),
    ),
}
PROFILER_MESSAGES: Messages = {
    "ProfileOptions": (
        ("host_tracer_level", 2, "uint32"),
        ("device_tracer_level", 3, "uint32"),
        ("python_tracer_level", 4, "uint32"),
    ),
    "ProfileRequest": (
        ("duration_ms", 1, "uint64"),
        ("opts", 4, "ProfileOptions"),
        ("repository_root", 5, "string"),
        ("session_id", 6, "string"),
        ("host_name", 7, "string"),
    ),
    "ProfileToolData": (("name", 1, "string"), ("data", 2, "bytes")),
    "ProfileResponse": (("tool_data", 6, "repeated ProfileToolData"), ("empty_trace", 7, "bool")),
    "TerminateRequest": (("session_id", 1, "string"),),
    "TerminateResponse": (),
    "MonitorRequest": (("duration_ms", 1, "uint64"),),
    "MonitorResponse": (("data", 1, "string"),),
}
# The client has a package of its own; names of messages are not on the wire.
CLIENT_PACKAGE = "vitrine_client"
CLIENT_ENUMS: Enums = {
    "DataType": {
        "DT_INVALID": 0,
        "DT_FLOAT": 1,
        "DT_DOUBLE": 2,
        "DT_INT32": 3,
        "DT_UINT8": 4,
        "DT_INT16": 5,
        "DT_INT8": 6,
        "DT_STRING": 7,
        "DT_INT64": 9,
        "DT_BOOL": 10,
        "DT_UINT16": 17,
        "DT_HALF": 19,
        "DT_UINT32": 22,
        "DT_UINT64": 23,
    }
}
CLIENT_MESSAGES: Messages = {
    "Int64Value": (("value", 1, "int64"),),
    "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
    "Dim": (("size", 1, "int64"),),
    "TensorShape": (("dim", 2, "repeated Dim"), ("unknown_rank", 3, "bool")),
    "Tensor": (
        ("dtype", 1, "DataType"),
        ("tensor_shape", 2, "TensorShape"),
        ("tensor_content", 4, "bytes"),
        ("float_val", 5, "repeated float"),
        ("double_val", 6, "repeated double"),
        ("int_val", 7, "repeated int32"),
        ("string_val", 8, "repeated bytes"),
        ("int64_val", 10, "repeated int64"),
        ("bool_val", 11, "repeated bool"),
        ("half_val", 13, "repeated int32"),
        ("uint32_val", 16, "repeated uint32"),
        ("uint64_val", 17, "repeated uint64"),
    ),
    "TensorInfo": (("name", 1, "string"), ("dtype", 2, "DataType"), ("tensor_shape", 3, "TensorShape")),
    "Signature": (("inputs", 1, "map TensorInfo"), ("outputs", 2, "map TensorInfo"), ("defaults", 4, "map Tensor")),
    "SignatureMap": (("signature_def", 1, "map Signature"),),
    "ModelSpec": (("name", 1, "string"), ("version", 2, "Int64Value"), ("signature_name", 3, "string")),
    "PredictRequest": (("model_spec", 1, "ModelSpec"), ("inputs", 2, "map Tensor")),
    "PredictResponse": (("outputs", 1, "map Tensor"), ("model_spec", 2, "ModelSpec")),
    "MetadataRequest": (("model_spec", 1, "ModelSpec"), ("metadata_field", 2, "repeated string")),
    "MetadataResponse": (("model_spec", 1, "ModelSpec"), ("metadata", 2, "map Any")),
}


class RpcMethod(NamedTuple):
    """A method of a gRPC service with the classes of its messages."""

    name: str
    request: type[Message]
    response: type[Message]


def file_descriptor(
    messages: Messages, *, package: str, name: str, enums: Enums | None = None
) -> descriptor_pb2.FileDescriptorProto:
    """Returns the descriptor of a file with the messages and enums of a table."""
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    if any(WRAPPERS in kind for fields in messages.values() for _, _, kind in fields):
        file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for enum_name, values in (enums or {}).items():
        enum = file.enum_type.add(name=enum_name)
        for value_name, number in values.items():
            enum.value.add(name=value_name, number=number)
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field_name, number, kind in fields:
            _add_field(message, field_name, number, kind, package=package, enums=enums or {})
    return file


def service_descriptor(
    service: str, methods: Sequence[RpcMethod], *, package: str, name: str
) -> descriptor_pb2.FileDescriptorProto:
    """Returns the descriptor of a file with one service over messages of other files."""
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    declared = file.service.add(name=service)
    for method in methods:
        request, response = method.request.DESCRIPTOR, method.response.DESCRIPTOR
        declared.method.add(name=method.name, input_type=f".{request.full_name}", output_type=f".{response.full_name}")
        needed = {request.file.name, response.file.name} - set(file.dependency)
        file.dependency.extend(sorted(needed))
    return file


def message_classes(messages: Messages, *, package: str, file: str) -> dict[str, Any]:
    """Returns the message classes of a table by name.

    They live in a pool of their own: the process may also hold the generated code of another build of the same files.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file_descriptor(messages, package=package, name=file))
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def client_descriptors_text() -> str:
    """Renders `serving/client/descriptors.py`: the client's messages as a serialized FileDescriptorSet."""
    file = file_descriptor(CLIENT_MESSAGES, package=CLIENT_PACKAGE, name=f"{CLIENT_PACKAGE}.proto", enums=CLIENT_ENUMS)
    serialized = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString(deterministic=True)
    lines = textwrap.wrap(base64.b64encode(serialized).decode("ascii"), 112)
    return "\n".join(
        (
            '"""Serialized FileDescriptorSet of TF Serving\'s messages that the client sends and reads, in base64.',
            "",
            "Generated by `python -m serving.server.protocol.protos`, whose tables it is made from.",
            '"""',
            "",
            "DESCRIPTOR_SET = (",
            *(f'    "{line}"' for line in lines),
            ")",
            "",
        )
    )


def read_config(path: Path, message: Config, *, flag: str) -> Config:
    """Fills a message from a text-proto file.

    Args:
      path: The file.
      message: An empty message of the kind the file must hold.
      flag: The flag that named the file, for the error.

    Raises:
      ValueError: When the file cannot be read or does not parse; the message has the position.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except OSError as error:
        raise ValueError(f"--{flag}: {str(path)!r} cannot be read ({error.strerror}).") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        kind = message.DESCRIPTOR.name
        raise ValueError(f"--{flag}: {str(path)!r} is no text-proto {kind}: {error}. Correct the file.") from error


def _add_field(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str, *, package: str, enums: Enums
) -> None:
    label = Kind.LABEL_REPEATED if kind.startswith((REPEATED, MAP)) else Kind.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind.startswith(MAP):
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string", package=package, enums=enums)
        _add_field(entry, "value", 2, kind.removeprefix(MAP), package=package, enums=enums)
        field.type, field.type_name = Kind.TYPE_MESSAGE, f".{package}.{message.name}.{entry.name}"
        return
    kind = kind.removeprefix(REPEATED)
    if kind in SCALAR_TYPES:
        field.type = SCALAR_TYPES[kind]
        return
    field.type = Kind.TYPE_ENUM if kind in enums else Kind.TYPE_MESSAGE
    field.type_name = f".{kind}" if kind.startswith(WRAPPERS) else f".{package}.{kind}"


_CONFIGS = message_classes(
    CONFIG_MESSAGES, package="tensorflow.serving", file="vitrine/tensorflow_serving_configs.proto"
)
SSLConfig = _CONFIGS["SSLConfig"]
PrometheusConfig = _CONFIGS["PrometheusConfig"]
MonitoringConfig = _CONFIGS["MonitoringConfig"]
BatchingParametersProto = _CONFIGS["BatchingParameters"]
PROFILER = message_classes(PROFILER_MESSAGES, package="tensorflow", file="vitrine/tensorflow_profiler_service.proto")

if __name__ == "__main__":
    print(client_descriptors_text(), end="")
