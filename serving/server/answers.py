"""The answers both protocols give: Predict, model status, metadata, as protos."""

from collections.abc import Iterable

from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    status_pb2,
)

from serving.server.behaviour import PROMISING, Behaviour
from serving.server.errors import invalid, quoted
from serving.server.json_answers import JsonAnswer, answer
from serving.server.json_tensors import body_to_arrays, parse_body
from serving.server.model_config import plans_of_config
from serving.server.models import Models
from serving.server.predict import predict_arrays, predict_proto

SIGNATURE_DEF = "signature_def"


class Answers:
    """What the server knows how to answer; blocking, so it runs in `Calls`.

    Args:
      models: The models.
      max_body_bytes: The largest single input in memory.
      behaviour: What is promised beyond TF Serving.
    """

    def __init__(self, models: Models, *, max_body_bytes: int, behaviour: Behaviour = PROMISING) -> None:
        self.models = models
        self.max_body_bytes = max_body_bytes
        self.behaviour = behaviour

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Predict over gRPC: one version answers, and the response says which."""
        name, version, label = _asked(request, has_spec=request.HasField("model_spec"))
        with self.models.lease(name, version=version, label=label) as lease:
            response = predict_proto(lease.model, request, max_bytes=self.max_body_bytes)
        response.model_spec.name = name
        response.model_spec.version.value = lease.version
        return response

    def predict_json(self, body: bytes, *, name: str, version: int | None, label: str = "") -> JsonAnswer:
        """Predict over REST: body in, body out, both from one version."""
        parsed = parse_body(body, self.behaviour)
        with self.models.lease(name, version=version, label=label) as lease:
            signature = lease.model.signatures.get(parsed.signature_name)
            if signature is None:
                shown = quoted(parsed.signature_name)
                raise invalid(f'Serving signature name: "{shown}" not found in signature def')
            form, given = body_to_arrays(parsed, signature, self.behaviour)
            return answer(predict_arrays(lease.model, signature, given), form, self.behaviour)

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of a model's versions."""
        name, version, label = _asked(request, has_spec=request.HasField("model_spec"), name_required=False)
        if label and self.behaviour.reads_label_of_status:
            version = self.models.labelled(name, label)
        response = get_model_status_pb2.GetModelStatusResponse()
        for status in self.models.statuses(name, version=version):
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
        self.models.reload(plans_of_config(request.config))
        return model_management_pb2.ReloadConfigResponse(status=status_pb2.StatusProto())

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a version, defaults included."""
        name, version, label = _asked(request, has_spec=request.HasField("model_spec"))
        _check_fields(request.metadata_field)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.models.lease(name, version=version, label=label) as lease:
            for signature_name, definition in lease.model.signature_defs.items():
                definitions.signature_def[signature_name].CopyFrom(definition)
            response.model_spec.version.value = lease.version
        response.model_spec.name = name
        response.metadata[SIGNATURE_DEF].Pack(definitions)
        return response


def model_spec(name: str, *, version: int | None, label: str = "") -> model_pb2.ModelSpec:
    """The ModelSpec of a URL."""
    spec = model_pb2.ModelSpec(name=name)
    if label:
        spec.version_label = label
    if version is not None:
        spec.version.value = version
    return spec


def _asked(
    request: predict_pb2.PredictRequest
    | get_model_status_pb2.GetModelStatusRequest
    | get_model_metadata_pb2.GetModelMetadataRequest,
    *,
    has_spec: bool,
    name_required: bool = True,
) -> tuple[str, int | None, str]:
    """The model name, version and label a gRPC request asks for."""
    if not has_spec:
        raise invalid("Missing ModelSpec")
    spec = request.model_spec
    if name_required and not spec.name:
        raise invalid("ModelSpec has no name specified.")
    version = spec.version.value if spec.HasField("version") else None
    return spec.name, version, spec.version_label


def _check_fields(fields: Iterable[str]) -> None:
    named = list(fields)
    if not named:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in named:
        if field != SIGNATURE_DEF:
            raise invalid(f"Metadata field {quoted(field)} is not supported")
