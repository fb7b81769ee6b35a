"""The few TF Serving messages, with the field numbers of its .proto files.

They live in a pool of their own, so that they cannot clash with TensorFlow's where that is loaded. Names of messages
are not on the wire.
"""

import re
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO = """
enum DataType { DT_INVALID = 0; DT_FLOAT = 1; DT_DOUBLE = 2; DT_INT32 = 3; DT_UINT8 = 4; DT_INT16 = 5; DT_INT8 = 6;
  DT_STRING = 7; DT_INT64 = 9; DT_BOOL = 10; DT_UINT16 = 17; DT_HALF = 19; DT_UINT32 = 22; DT_UINT64 = 23; }
message Int64Value { int64 value = 1; }
message Any { string type_url = 1; bytes value = 2; }
message Dim { int64 size = 1; }
message TensorShape { repeated Dim dim = 2; bool unknown_rank = 3; }
message Tensor { DataType dtype = 1; TensorShape tensor_shape = 2; bytes tensor_content = 4;
  repeated float float_val = 5; repeated double double_val = 6; repeated int32 int_val = 7;
  repeated bytes string_val = 8; repeated int64 int64_val = 10; repeated bool bool_val = 11;
  repeated int32 half_val = 13;
  repeated uint32 uint32_val = 16; repeated uint64 uint64_val = 17; }
message TensorInfo { string name = 1; DataType dtype = 2; TensorShape tensor_shape = 3; }
message Signature { map<TensorInfo> inputs = 1; map<TensorInfo> outputs = 2; map<Tensor> defaults = 4; }
message SignatureMap { map<Signature> signature_def = 1; }
message ModelSpec { string name = 1; Int64Value version = 2; string signature_name = 3; }
message PredictRequest { ModelSpec model_spec = 1; map<Tensor> inputs = 2; }
message PredictResponse { map<Tensor> outputs = 1; ModelSpec model_spec = 2; }
message MetadataRequest { ModelSpec model_spec = 1; repeated string metadata_field = 2; }
message MetadataResponse { ModelSpec model_spec = 1; map<Any> metadata = 2; }
"""
PACKAGE = "vitrine_client"
SCALARS = ("string", "bytes", "bool", "float", "double", "int32", "int64", "uint32", "uint64")


def _build_messages() -> dict[str, Any]:
    """Message classes of `PROTO` by name; `map<T>` is a map from string to T."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{PACKAGE}.proto", package=PACKAGE, syntax="proto3")
    field_type = descriptor_pb2.FieldDescriptorProto
    enums: set[str] = set()

    def add_field(message: Any, *, kind: str, name: str, number: int) -> None:
        repeated, map_of = kind.startswith("repeated "), re.fullmatch(r"map<(\w+)>", kind)
        base = kind.removeprefix("repeated ")
        field = message.field.add(name=name, number=number)
        field.label = field_type.LABEL_REPEATED if repeated or map_of else field_type.LABEL_OPTIONAL
        if map_of:
            entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
            entry.options.map_entry = True
            add_field(entry, kind="string", name="key", number=1)
            add_field(entry, kind=map_of[1], name="value", number=2)
            field.type, field.type_name = field_type.TYPE_MESSAGE, f".{PACKAGE}.{message.name}.{entry.name}"
        elif base in SCALARS:
            field.type = field_type.Type.Value(f"TYPE_{base.upper()}")
        else:
            field.type = field_type.TYPE_ENUM if base in enums else field_type.TYPE_MESSAGE
            field.type_name = f".{PACKAGE}.{base}"

    for what, name, body in re.findall(r"(enum|message) (\w+) \{([^}]*)\}", PROTO):
        if what == "enum":
            enums.add(name)
            target = file.enum_type.add(name=name)
            for value, number in re.findall(r"(\w+) = (\d+);", body):
                target.value.add(name=value, number=int(number))
            continue
        message = file.message_type.add(name=name)
        for kind, field_name, number in re.findall(r"((?:repeated )?[\w<>]+) (\w+) = (\d+);", body):
            add_field(message, kind=kind, name=field_name, number=int(number))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = (message.name for message in file.message_type)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in names}


MESSAGES = _build_messages()
