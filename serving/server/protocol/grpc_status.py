"""gRPC status of a canonical code."""

import grpc

from serving.server.protocol.errors import Code

GRPC_STATUS: dict[Code, grpc.StatusCode] = {Code(status.value[0]): status for status in grpc.StatusCode}
