"""Request handlers of both protocols: protos for gRPC, JSON for REST."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
    status_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from serving.server.events.impressions import ImpressionLog
from serving.server.json_codec.examples import body_to_examples, classification_response, regression_response
from serving.server.json_codec.inputs import body_to_arrays, parse_body
from serving.server.json_codec.outputs import JsonResponse, predict_response
from serving.server.live.item_update import check_updates
from serving.server.live.live_items import LiveItems, Updated
from serving.server.live.live_model import changes_items, live_sequence
from serving.server.models.loaded_versions import Lease
from serving.server.models.model_config import model_configs_from_proto
from serving.server.models.server_core import ServerCore
from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.deadline import NO_DEADLINE, Deadline
from serving.server.protocol.errors import Code, ServingError, invalid, quoted
from serving.server.protocol.inference import classify, multi_inference, regress
from serving.server.protocol.predict import Observer, predict_arrays, predict_proto
from serving.server.protocol.servable import Servable
from serving.server.protocol.signature import DEFAULT_SIGNATURE, ServableSignature

SIGNATURE_DEF = "signature_def"
LIVE_SEQUENCE = "live_sequence"
ModelRequest = Any  # A request with a `model_spec_of_url`: the generated messages share no type.
Response = TypeVar("Response", bound=Any)


class RequestHandlers:
    """The calls of the protocol; blocking, so they run in `Calls`.

    Args:
      core: The models.
      max_body_bytes: The largest single input in memory.
      compatibility: Deviations from TF Serving.
      checks_method_name: Classify and Regress accept only signatures of their own method name.
      as_tensor_content: Outputs of gRPC Predict as `tensor_content`.
      reload: Serves the models of a configuration and no others, or raises; by default `core` does.
      impressions: Logs what searches show; None: nothing does.
      live_items: Changes items; None: nothing does.
    """

    def __init__(
        self,
        core: ServerCore,
        *,
        max_body_bytes: int,
        compatibility: Compatibility = EXTENDED,
        checks_method_name: bool = False,
        as_tensor_content: bool = False,
        reload: Callable[[model_server_config_pb2.ModelServerConfig], None] | None = None,
        impressions: ImpressionLog | None = None,
        live_items: LiveItems | None = None,
    ) -> None:
        self.core = core
        self._live_items = live_items
        self._impressions = impressions
        self._reload = reload or (lambda config: core.reload(model_configs_from_proto(config)))
        self.max_body_bytes = max_body_bytes
        self.compatibility = compatibility
        self.checks_method_name = checks_method_name
        self.as_tensor_content = as_tensor_content

    def predict(
        self, request: predict_pb2.PredictRequest, *, deadline: Deadline = NO_DEADLINE, query_id: str = ""
    ) -> predict_pb2.PredictResponse:
        """Predict over gRPC: one version answers, and the response names it."""
        with self._lease(request) as lease:
            self._check_callable(lease.model.signatures.get(request.model_spec.signature_name))
            response = predict_proto(
                lease.model,
                request,
                max_bytes=self.max_body_bytes,
                deadline=deadline,
                as_tensor_content=self.as_tensor_content,
                compatibility=self.compatibility,
                observe=self._observer(request.model_spec.name, query_id),
            )
        return _with_model_spec(response, request.model_spec, lease.version)

    def classify(
        self, request: classification_pb2.ClassificationRequest, *, deadline: Deadline = NO_DEADLINE
    ) -> classification_pb2.ClassificationResponse:
        """Classify over gRPC."""
        with self._lease(request) as lease:
            name, given = request.model_spec.signature_name, request.input
            result = classify(lease.model, name, given, deadline=deadline, checks_method_name=self.checks_method_name)
        response = classification_pb2.ClassificationResponse(result=result)
        return _with_model_spec(response, request.model_spec, lease.version)

    def regress(
        self, request: regression_pb2.RegressionRequest, *, deadline: Deadline = NO_DEADLINE
    ) -> regression_pb2.RegressionResponse:
        """Regress over gRPC."""
        with self._lease(request) as lease:
            name, given = request.model_spec.signature_name, request.input
            result = regress(lease.model, name, given, deadline=deadline, checks_method_name=self.checks_method_name)
        return _with_model_spec(regression_pb2.RegressionResponse(result=result), request.model_spec, lease.version)

    def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, *, deadline: Deadline = NO_DEADLINE
    ) -> inference_pb2.MultiInferenceResponse:
        """MultiInference over gRPC: the version of the first task's ModelSpec answers all tasks."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        response = inference_pb2.MultiInferenceResponse()
        with self._lease_spec(spec) as lease:
            results = multi_inference(
                lease.model, request, deadline=deadline, checks_method_name=self.checks_method_name
            )
        for result in results:
            result.model_spec.name = spec.name
            result.model_spec.version.value = lease.version
            response.results.append(result)
        return response

    def predict_json(
        self, body: bytes, spec: model_pb2.ModelSpec, *, deadline: Deadline = NO_DEADLINE, query_id: str = ""
    ) -> JsonResponse:
        """Predict over REST: body in, body out, both from one version."""
        parsed = parse_body(body, self.compatibility)
        with self._lease_spec(spec) as lease:
            signature = lease.model.signatures.get(parsed.signature_name)
            if signature is None:
                shown = quoted(parsed.signature_name)
                raise invalid(f'Serving signature name: "{shown}" not found in signature def')
            self._check_callable(signature)
            request = body_to_arrays(parsed, signature, self.compatibility)
            outputs = predict_arrays(
                lease.model,
                signature,
                request.inputs,
                deadline=deadline,
                compatibility=self.compatibility,
                observe=self._observer(spec.name, query_id),
            )
        found = predict_response(outputs, request.format, self.compatibility)
        sequence = live_sequence(lease.model) if self.compatibility.changes_items else None
        return found if sequence is None else found.with_field(LIVE_SEQUENCE, sequence)

    def classify_json(
        self, body: bytes, spec: model_pb2.ModelSpec, *, deadline: Deadline = NO_DEADLINE, query_id: str = ""
    ) -> JsonResponse:
        """Classify over REST; nothing of it is logged under the query's id."""
        name, given = body_to_examples(body, self.compatibility)
        with self._lease_spec(spec) as lease:
            result = classify(lease.model, name, given, deadline=deadline, checks_method_name=self.checks_method_name)
        return classification_response(result, self.compatibility)

    def regress_json(
        self, body: bytes, spec: model_pb2.ModelSpec, *, deadline: Deadline = NO_DEADLINE, query_id: str = ""
    ) -> JsonResponse:
        """Regress over REST; nothing of it is logged under the query's id."""
        name, given = body_to_examples(body, self.compatibility)
        with self._lease_spec(spec) as lease:
            result = regress(lease.model, name, given, deadline=deadline, checks_method_name=self.checks_method_name)
        return regression_response(result, self.compatibility)

    def update_items(self, spec: model_pb2.ModelSpec, payload: Any) -> Updated:
        """Changes items of a model.

        Raises:
          ServingError: As `serving.server.live.live_items.LiveItems.update`.
        """
        if self._live_items is None:
            raise ServingError(
                Code.FAILED_PRECONDITION, "This server changes no items; start it with --live_log, where they are kept."
            )
        return self._live_items.update(spec.name, check_updates(payload))

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of a model's versions."""
        spec = _spec(request)
        version = spec.version.value if spec.HasField("version") else None
        if spec.version_label and self.compatibility.resolves_label_in_status:
            version = self.core.version_of_label(spec.name, spec.version_label)
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self.core.statuses(spec.name, version=version):
            entry = response.model_version_status.add(version=status.version, state=int(status.state))
            entry.status.error_code = int(status.code)
            entry.status.error_message = status.message
        return response

    def reload(self, request: model_management_pb2.ReloadConfigRequest) -> model_management_pb2.ReloadConfigResponse:
        """Serves the models of the request, and no others, or goes on as before."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        self._reload(request.config)
        return model_management_pb2.ReloadConfigResponse(status=status_pb2.StatusProto())

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a version, defaults included."""
        spec = _spec(request)
        _check_metadata_fields(request.metadata_field)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._lease_spec(spec) as lease:
            for signature_name, definition in lease.model.signature_defs.items():
                definitions.signature_def[signature_name].CopyFrom(definition)
            response.model_spec.version.value = lease.version
        response.model_spec.name = spec.name
        response.metadata[SIGNATURE_DEF].Pack(definitions)
        return response

    def _check_callable(self, signature: ServableSignature | None) -> None:
        """Refuses the signature that changes items.

        Raises:
          ServingError: PERMISSION_DENIED.
        """
        if self.compatibility.changes_items and signature is not None and changes_items(signature):
            raise ServingError(
                Code.PERMISSION_DENIED,
                f"Signature {signature.name} changes items; this server takes changes at POST "
                "/v1/models/NAME/items:update and /vitrine.ItemService/UpdateItems, with the scope update.",
            )

    def _observer(self, model: str, query_id: str) -> Observer | None:
        impressions = self._impressions
        if impressions is None or not query_id:
            return None
        return lambda inputs, outputs: impressions.add(model, query_id, inputs, outputs)

    def _lease(self, request: ModelRequest) -> contextlib.AbstractContextManager[Lease[Servable]]:
        return self._lease_spec(_spec(request))

    def _lease_spec(self, spec: model_pb2.ModelSpec) -> contextlib.AbstractContextManager[Lease[Servable]]:
        """Holds the version that a ModelSpec selects."""
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        version = spec.version.value if spec.HasField("version") else None
        return self.core.lease(spec.name, version=version, label=spec.version_label)


def model_spec_of_url(name: str, *, version: int | None, label: str = "") -> model_pb2.ModelSpec:
    """The ModelSpec of a URL."""
    spec = model_pb2.ModelSpec(name=name)
    if label:
        spec.version_label = label
    if version is not None:
        spec.version.value = version
    return spec


def _spec(request: ModelRequest) -> model_pb2.ModelSpec:
    """The ModelSpec of a gRPC request.

    Raises:
      ServingError: INVALID_ARGUMENT when it has none.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _with_model_spec(response: Response, asked: model_pb2.ModelSpec, version: int) -> Response:
    """The response with the model that gave it."""
    response.model_spec.name = asked.name
    response.model_spec.version.value = version
    response.model_spec.signature_name = asked.signature_name or DEFAULT_SIGNATURE
    return response


def _check_metadata_fields(fields: Iterable[str]) -> None:
    named = list(fields)
    if not named:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in named:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {quoted(field)} is not supported")
