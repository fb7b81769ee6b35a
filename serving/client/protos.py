"""Messages of TF Serving's API, with the field numbers of its .proto files.

They live in a pool of their own, so that they cannot clash with TensorFlow's where that is loaded. Names of messages
are not on the wire.
"""

import base64
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .descriptors import DESCRIPTOR_SET


def _message_classes() -> dict[str, Any]:
    """The message classes of `DESCRIPTOR_SET` by name."""
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(DESCRIPTOR_SET)).file
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = (message.name for message in file.message_type)
    found = {name: pool.FindMessageTypeByName(f"{file.package}.{name}") for name in names}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


MESSAGES = _message_classes()
