"""Minimal gRPC and REST clients, so that benchmarks measure the server."""

import http.client
import json
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class GrpcClient:
    """One channel to one model.

    Args:
      address: `host:port`.
      model_name: The model.
      inputs: Inputs of every request.
    """

    def __init__(self, address: str, model_name: str, inputs: Mapping[str, np.ndarray]) -> None:
        self._channel = grpc.insecure_channel(address)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self.request = predict_pb2.PredictRequest(model_spec={"name": model_name})
        for alias, value in inputs.items():
            self.request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))

    def send(self) -> predict_pb2.PredictResponse:
        """Sends one request."""
        return self._predict(self.request, timeout=60)

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


class RestClient:
    """One kept-alive connection to one model.

    Args:
      port: REST port on loopback.
      model_name: The model.
      body: Body of every request.
    """

    def __init__(self, port: int, model_name: str, body: Any) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = f"/v1/models/{model_name}:predict"
        self._body = json.dumps(body).encode()

    def send(self) -> bytes:
        """Sends one request.

        Raises:
          RuntimeError: The status is not 200.
        """
        self._connection.request("POST", self._path, self._body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {body[:200]!r}")
        return body

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()
