"""Classify, Regress and MultiInference over both protocols, on half_plus_two as TF1 and as TF2 export it."""

import grpc
import pytest
from tensorflow_serving.apis import inference_pb2, input_pb2, model_pb2, prediction_log_pb2

from serving.bundle_layout import WARMUP_PATH
from serving.server.models.warmup import warm_up
from serving.server.protocol.deadline import NO_DEADLINE, Deadline
from serving.server.protocol.errors import ServingError
from serving.server.protocol.inference import classify
from serving.server.sessions.saved_model import LoadedModel
from tests.serving.server import toy_models
from tests.serving.server.in_process import content
from tests.serving.server.zoo import classification, example, examples, regression, serve_zoo, spec, task

TIMEOUT = 30


@pytest.fixture(params=["tf1", "tf2"])
def name(request):
    return request.param


def test_regress(zoo, name):
    asked = spec(name, "regress_x_to_y")
    response = zoo.predictions.Regress(regression(asked, 1.0, 2.0, 5.0), timeout=TIMEOUT)
    # x / 2 + 2 of 1, 2 and 5.
    assert [one.value for one in response.result.regressions] == [2.5, 3.0, 4.5]
    version = {"tf1": 2, "tf2": 123}[name]
    assert response.model_spec == spec(name, "regress_x_to_y", version=version)
    body = {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": [2.0]}, {}]}
    # An example without x has the parse spec's 0: 0 / 2 + 2.
    assert content(zoo.post(body, path=f"/v1/models/{name}:regress")) == {"results": [2.5, 3.0, 2.0]}


def test_classify(zoo, name):
    response = zoo.predictions.Classify(classification(spec(name, "classify_x"), 1.0, 5.0), timeout=TIMEOUT)
    found = [[(entry.label, entry.score) for entry in one.classes] for one in response.result.classifications]
    assert found == [[("small", 2.5)], [("big", 4.5)]]
    assert response.model_spec.signature_name == "classify_x"
    body = {"signature_name": "classify_x", "examples": [{"x": 1.0}, {"x": 5.0}]}
    answered = zoo.post(body, path=f"/v1/models/{name}:classify")
    assert content(answered) == {"results": [[["small", 2.5]], [["big", 4.5]]]}
    body["signature_name"] = "classify_x_to_y"
    answered = zoo.post(body, path=f"/v1/models/{name}:classify")
    assert content(answered) == {"results": [[["", 2.5]], [["", 4.5]]]}


def test_a_context_is_merged_into_every_example(zoo, name):
    given = input_pb2.Input()
    given.example_list_with_context.context.CopyFrom(example(x=4.0))
    given.example_list_with_context.examples.extend([example(x=2.0), example(other=1.0)])
    request = regression(spec(name, "regress_x_to_y"))
    request.input.CopyFrom(given)
    # The example's own x = 2 gives 3; the other has the context's x = 4, which gives 4.
    found = [one.value for one in zoo.predictions.Regress(request, timeout=TIMEOUT).result.regressions]
    assert found == [3.0, 4.0]
    body = {"signature_name": "regress_x_to_y", "context": {"x": 4.0}, "examples": [{"x": 2.0}, {"other": 1.0}]}
    assert content(zoo.post(body, path=f"/v1/models/{name}:regress")) == {"results": [3.0, 4.0]}


def test_multi_inference_runs_every_task_on_one_version(zoo, name):
    request = inference_pb2.MultiInferenceRequest(input=examples(2.0))
    request.tasks.append(task(spec(name, "regress_x_to_y"), "regress"))
    request.tasks.append(task(spec(name, "classify_x"), "classify"))
    request.tasks.append(task(spec(name, "regress_x_to_y2"), "regress"))
    first, second, third = zoo.predictions.MultiInference(request, timeout=TIMEOUT).results
    assert first.regression_result.regressions[0].value == 3.0
    assert second.classification_result.classifications[0].classes[0].label == "small"
    assert third.regression_result.regressions[0].value == 4.0
    assert second.model_spec == spec(name, "classify_x", version={"tf1": 2, "tf2": 123}[name])


def test_features_keep_their_kind_on_the_way_from_json(zoo):
    for feature, message in (
        ([1, 2.0], "Unexpected element type in feature: x expecting type: int64"),
        ([1.5, "a"], "Unexpected element type in feature: x expecting type: float"),
        (["a", True], "Unexpected element type in feature: x expecting type: bytes"),
        ([None], "Feature: x has element with unexpected JSON type: Null"),
        ([{"c": 1}], "Feature: x has element with unexpected JSON type: Object"),
        ([[1]], "Feature: x has element with unexpected JSON type: Array"),
        ([2**63], "Feature: x has uint64 element. Only int64 is supported."),
    ):
        body = {"signature_name": "regress_x_to_y", "examples": [{"x": feature}]}
        found = zoo.post(body, path="/v1/models/tf1:regress")
        assert (found.status_code, found.json()) == (400, {"error": message})


def test_a_feature_name_that_is_no_utf8_is_no_crash(zoo):
    for name in (b'"\\ud800"', b'"\xff"'):
        body = b'{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0, %s: 1}]}' % name
        assert content(zoo.post(body, path="/v1/models/tf1:regress")) == {"results": [2.5]}


def test_the_method_name_is_checked_when_asked_for(zoo_config):
    with serve_zoo(zoo_config, enable_signature_method_name_check=True) as checked:
        asked = spec("tf1", "regress_x_to_y")
        assert checked.predictions.Regress(regression(asked, 1.0), timeout=TIMEOUT).result.regressions[0].value == 2.5
        with pytest.raises(grpc.RpcError) as caught:
            checked.predictions.Regress(regression(spec("tf2", "regress_x_to_y"), 1.0), timeout=TIMEOUT)
        assert caught.value.details() == (
            "Expected regression signature method_name to be tensorflow/serving/regress. "
            "Was: tensorflow/serving/predict"
        )


def test_every_kind_of_recorded_request_warms_up(zoo_config, tmp_path):
    model = LoadedModel(zoo_config.parent / "tf2" / "123", missing_libraries={})
    regress, classify_request = (
        make(spec("any", signature), 1.0)
        for make, signature in ((regression, "regress_x_to_y"), (classification, "classify_x"))
    )
    multi = inference_pb2.MultiInferenceRequest(input=examples(2.0))
    multi.tasks.append(task(spec("any", "regress_x_to_y"), "regress"))
    logs = [
        prediction_log_pb2.PredictionLog(regress_log={"request": regress}),
        prediction_log_pb2.PredictionLog(classify_log={"request": classify_request}),
        prediction_log_pb2.PredictionLog(multi_inference_log={"request": multi}),
        prediction_log_pb2.PredictionLog(),
    ]
    model.path = tmp_path
    (tmp_path / WARMUP_PATH).parent.mkdir()
    with toy_models.tf.io.TFRecordWriter(str(tmp_path / WARMUP_PATH)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    assert warm_up(model, max_bytes=1 << 20, rounds=2) == 3
    model.close()


def test_a_deadline_ends_the_run_itself(tmp_path):
    model = LoadedModel(toy_models.save_slow(tmp_path / "1"), missing_libraries={})
    signature = model.signatures["serving_default"]
    steps = {"steps": toy_models.tf.constant([10**6], toy_models.tf.int32).numpy()}
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        model.run(signature, steps, outputs=("trace",), deadline=Deadline.after(0.05))
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        model.run(signature, steps, outputs=("trace",), deadline=Deadline.after(-1.0))
    steps["steps"][0] = 1
    assert model.run(signature, steps, outputs=("trace",), deadline=NO_DEADLINE)["trace"].tolist() == [256.0]
    model.close()


def test_an_empty_input_is_refused_before_the_model(zoo_config):
    model = LoadedModel(zoo_config.parent / "tf2" / "123", missing_libraries={})
    with pytest.raises(ServingError, match="INVALID_ARGUMENT: Input is empty."):
        classify(model, "classify_x", input_pb2.Input(), deadline=NO_DEADLINE, checks_method_name=False)
    model.close()
    assert model_pb2.ModelSpec() == spec("")
