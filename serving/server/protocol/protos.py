"""The messages of TF Serving's text-proto config files that `tensorflow-serving-api` does not ship.

Same package, names, field numbers and types as in TF Serving's own `.proto` files, so a file written for TF Serving
parses here, and what it would refuse is refused.
"""

from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

PACKAGE = "tensorflow.serving"
FILE_NAME = "vitrine/tensorflow_serving_configs.proto"
Kind = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "string": Kind.TYPE_STRING,
    "bytes": Kind.TYPE_BYTES,
    "bool": Kind.TYPE_BOOL,
    "int64": Kind.TYPE_INT64,
    "uint32": Kind.TYPE_UINT32,
    "uint64": Kind.TYPE_UINT64,
}
WRAPPERS = "google.protobuf."
REPEATED = "repeated "

# {message: ((field, number, type), ...)}; a type that is not in TYPES names a message of this table, or a wrapper.
MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
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
        # Younger than the rest; a text file knows them by name, so their numbers do not matter.
        ("enable_large_batch_splitting", 8, "google.protobuf.BoolValue"),
        ("max_execution_batch_size", 9, "google.protobuf.Int64Value"),
    ),
}
Config = TypeVar("Config", bound=Message)


def message_classes(
    messages: dict[str, tuple[tuple[str, int, str], ...]], *, package: str, file: str
) -> dict[str, Any]:
    """Message classes by name, from a table like `MESSAGES`.

    They live in a pool of their own: the process may also hold the generated code of somebody else's build of the same
    files.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_file(messages, package=package, name=file))
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _file(
    messages: dict[str, tuple[tuple[str, int, str], ...]], *, package: str, name: str
) -> descriptor_pb2.FileDescriptorProto:
    wrappers = wrappers_pb2.DESCRIPTOR.name
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=[wrappers])
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field_name, number, kind in fields:
            label = Kind.LABEL_REPEATED if kind.startswith(REPEATED) else Kind.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, label=label)
            kind = kind.removeprefix(REPEATED)
            if kind in TYPES:
                field.type = TYPES[kind]
            else:
                full_name = kind if kind.startswith(WRAPPERS) else f"{package}.{kind}"
                field.type, field.type_name = Kind.TYPE_MESSAGE, f".{full_name}"
    return file


_CLASSES = message_classes(MESSAGES, package=PACKAGE, file=FILE_NAME)
SSLConfig = _CLASSES["SSLConfig"]
PrometheusConfig = _CLASSES["PrometheusConfig"]
MonitoringConfig = _CLASSES["MonitoringConfig"]
BatchingParametersProto = _CLASSES["BatchingParameters"]


def read_config(path: Path, message: Config, *, flag: str) -> Config:
    """The message, filled from a text-proto file.

    Args:
      path: The file.
      message: An empty message of the kind the file must hold.
      flag: The flag that named the file, for the error.

    Raises:
      ValueError: When the file cannot be read or does not parse; the message says where.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except OSError as error:
        raise ValueError(f"--{flag}: {str(path)!r} cannot be read ({error.strerror}).") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        kind = message.DESCRIPTOR.name
        raise ValueError(f"--{flag}: {str(path)!r} is no text-proto {kind}: {error}. Correct the file.") from error
