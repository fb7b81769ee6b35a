"""gRPC health and reflection services."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.server.protocol.protos import RpcMethod, service_descriptor

# {(file, service): its methods}, as in TF Serving's .proto files; the generated modules of these two do not import.
SERVICES: dict[tuple[str, str], tuple[RpcMethod, ...]] = {
    ("prediction_service", "PredictionService"): (
        RpcMethod("Classify", classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse),
        RpcMethod("Regress", regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
        RpcMethod("Predict", predict_pb2.PredictRequest, predict_pb2.PredictResponse),
        RpcMethod("MultiInference", inference_pb2.MultiInferenceRequest, inference_pb2.MultiInferenceResponse),
        RpcMethod(
            "GetModelMetadata",
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
        ),
    ),
    ("model_service", "ModelService"): (
        RpcMethod(
            "GetModelStatus", get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse
        ),
        RpcMethod(
            "HandleReloadConfigRequest",
            model_management_pb2.ReloadConfigRequest,
            model_management_pb2.ReloadConfigResponse,
        ),
    ),
}
PACKAGE = "tensorflow.serving"
SERVICE_NAMES = tuple(f"{PACKAGE}.{service}" for _, service in SERVICES)
POLL_SECONDS = 0.1
Status = health_pb2.HealthCheckResponse.ServingStatus


class Health:
    """`grpc.health.v1`: the server as a whole ("") and each service is SERVING while the server is ready.

    Args:
      server: The server to add it to.
      is_ready: True while the server wants traffic.
    """

    def __init__(self, server: grpc.aio.Server, *, is_ready: Callable[[], bool]) -> None:
        self._servicer = health.aio.HealthServicer()
        self._is_ready = is_ready
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def publish(self) -> None:
        """Publishes the state now and whenever it changes, until cancelled."""
        reported: bool | None = None
        while True:
            ready = self._is_ready()
            if ready != reported:
                status = Status.Value("SERVING" if ready else "NOT_SERVING")
                for service in ("", *SERVICE_NAMES):
                    await self._servicer.set(service, status)
                reported = ready
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """NOT_SERVING until the end."""
        await self._servicer.enter_graceful_shutdown()


def add_reflection(server: grpc.aio.Server, *, has_health: bool) -> None:
    """Adds server reflection: clients list services and read their message types."""
    names = [*SERVICE_NAMES, reflection.SERVICE_NAME]
    if has_health:
        names.append(health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
    reflection.enable_server_reflection(names, server, pool=_descriptor_pool())


def _descriptor_pool() -> descriptor_pool.DescriptorPool:
    """Builds a pool of its own with every service of the server and their messages."""
    pool, known = descriptor_pool.DescriptorPool(), set[str]()

    def add(file: Any) -> None:
        if file.name in known:
            return
        known.add(file.name)
        for needed in file.dependencies:
            add(needed)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        pool.Add(proto)

    add(health_pb2.DESCRIPTOR)
    add(reflection_pb2.DESCRIPTOR)
    for (file_name, service_name), methods in SERVICES.items():
        for method in methods:
            add(method.request.DESCRIPTOR.file)
            add(method.response.DESCRIPTOR.file)
        name = f"tensorflow_serving/apis/{file_name}.proto"
        pool.Add(service_descriptor(service_name, methods, package=PACKAGE, name=name))
    return pool
