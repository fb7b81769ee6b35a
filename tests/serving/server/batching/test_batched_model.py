"""Batches across clients: equal answers, TF Serving's parameters, and neighbours that do no harm."""

import concurrent.futures
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.server.batching.batch_queue import BatchingParameters, BatchScheduler
from serving.server.batching.batched_model import (
    PER_MODEL_FILE,
    BatchedModel,
    num_call_threads,
    read_batching_parameters,
)
from serving.server.protocol.compatibility import EXTENDED, TF_SERVING
from serving.server.protocol.deadline import NO_DEADLINE, Deadline
from serving.server.protocol.errors import ServingError, invalid
from serving.server.protocol.signature import InputSpec, ServableSignature
from tests.serving.server import toy_models
from tests.serving.server.in_process import content

SIGNATURE = ServableSignature(
    name="double",
    inputs={"x": InputSpec(alias="x", tensor_name="x:0", dtype=tf.float32, shape=(-1,), default=None)},
    outputs={"y": "y:0", "rows": "rows:0"},
)
WAIT = 20.0


class Double:
    """y = 2 x; refuses a batch with a NaN in it; notes the rows of every call."""

    path = Path()
    signatures = {"double": SIGNATURE}  # noqa: RUF012

    def __init__(self, outputs: dict[str, tuple[int, ...]] | None = None) -> None:
        self.calls: list[list[float]] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.shape_of = outputs or {}
        self.closed = False

    @property
    def signature_defs(self):
        definition = meta_graph_pb2.SignatureDef()
        for alias in SIGNATURE.outputs:
            definition.outputs[alias].tensor_shape.dim.add(size=self.shape_of.get(alias, (-1,))[0])
        return {"double": definition}

    def output_dtype(self, signature, alias):
        return tf.float32

    def run(self, signature, inputs, *, outputs, deadline=NO_DEADLINE):
        deadline.check()
        self.entered.set()
        assert self.go.wait(WAIT)
        x = inputs["x"]
        self.calls.append(x.tolist())
        if np.isnan(x).any():
            raise invalid("NaN")
        found = {"y": 2 * x, "rows": np.float32(x.size)}
        return {alias: found[alias] for alias in outputs}

    def close(self):
        self.closed = True


def batched(model, *, compatibility=EXTENDED, **parameters):
    made = BatchingParameters(**{"num_batch_threads": 1, "batch_timeout_micros": 1000, **parameters})
    return BatchedModel(
        model, scheduler=BatchScheduler(made.num_batch_threads), parameters=made, compatibility=compatibility
    )


def ask(model, *values, outputs=("y",), deadline=NO_DEADLINE):
    return model.run(SIGNATURE, {"x": np.float32(values)}, outputs=outputs, deadline=deadline)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        yield pool


def held(model, pool, *requests, **more):
    """Asks one row, which holds the only thread, then the requests, which gather; lets all go."""
    inner = model._model
    inner.go.clear()
    inner.entered.clear()
    first = pool.submit(ask, model, -1.0)
    assert inner.entered.wait(WAIT)
    futures = []
    for request in requests:
        futures.append(pool.submit(ask, model, *request, **more))
        time.sleep(0.02)  # In this order.
    inner.go.set()
    concurrent.futures.wait([first, *futures], timeout=WAIT)
    return futures


def test_waiting_requests_share_a_batch_and_each_gets_its_own_rows(pool):
    inner = Double()
    answers = held(batched(inner), pool, [1, 2], [3], [4, 5, 6])
    assert [answer.result()["y"].tolist() for answer in answers] == [[2, 4], [6], [8, 10, 12]]
    assert inner.calls == [[-1], [1, 2, 3, 4, 5, 6]]


def test_a_batch_is_closed_when_it_is_full(pool):
    inner = Double()
    answers = held(batched(inner, max_batch_size=4), pool, [1, 2], [3], [4, 5], [6])
    assert [answer.result()["y"].tolist() for answer in answers] == [[2, 4], [6], [8, 10], [12]]
    # 1 and 2 rows fit together; the next 2 would make 5, so they open a new batch.
    assert inner.calls == [[-1], [1, 2, 3], [4, 5, 6]]


def test_a_lone_request_waits_for_the_timeout_at_most():
    inner = Double()
    began = time.monotonic()
    assert ask(batched(inner, batch_timeout_micros=30_000), 1.0)["y"].tolist() == [2.0]
    assert 0.03 <= time.monotonic() - began < 5


def test_one_bad_row_never_fails_its_neighbours(pool):
    inner = Double()
    good, bad, other = held(batched(inner), pool, [1, 2], [float("nan")], [3])
    assert good.result()["y"].tolist() == [2, 4]
    assert other.result()["y"].tolist() == [6]
    with pytest.raises(ServingError, match="INVALID_ARGUMENT: NaN"):
        bad.result()


def test_a_full_queue_turns_away_at_once(pool):
    inner = Double()
    model = batched(inner, max_batch_size=2, max_enqueued_batches=1)
    answers = held(model, pool, [1, 2], [3])
    assert answers[0].result()["y"].tolist() == [2, 4]
    with pytest.raises(ServingError) as caught:
        answers[1].result()
    assert caught.value.code.name == "UNAVAILABLE"
    assert caught.value.message == (
        "The batch scheduling queue to which this task was submitted is full; task size is 1 but scheduling capacity "
        "is only 0 (num_enqueued_batches=1, max_enqueued_batches=1, open_batch_size=2, max_execution_batch_size=2)"
    )
    assert ask(model, 9.0)["y"].tolist() == [18.0], "room comes back"


def test_allowed_sizes_are_padded_with_rows_that_are_dropped(pool):
    inner = Double()
    answers = held(batched(inner, max_batch_size=8, allowed_batch_sizes=(2, 4, 8)), pool, [1, 2], [3, 4, 5])
    assert [answer.result()["y"].tolist() for answer in answers] == [[2, 4], [6, 8, 10]]
    # Five rows become eight with the first row of the last request.
    assert inner.calls == [[-1, -1], [1, 2, 3, 4, 5, 3, 3, 3]]


def test_signatures_filters_and_shapes_are_not_mixed_and_padding_mixes_shapes(pool):
    inner = Double()
    model = batched(inner)
    inner.go.clear()
    wide = {"x": np.float32([[1, 2, 3]])}
    futures = [
        pool.submit(ask, model, 1.0),
        pool.submit(model.run, SIGNATURE, wide, outputs=("y",)),
        pool.submit(model.run, SIGNATURE, {"x": np.float32([[4, 5]])}, outputs=("y",)),
    ]
    inner.go.set()
    assert [future.result(WAIT)["y"].tolist() for future in futures] == [[2], [[2, 4, 6]], [[8, 10]]]
    assert len(inner.calls) == 3
    padding = batched(Double(), pad_variable_length_inputs=True)
    padding._model.go.clear()
    padding._model.entered.clear()
    held_back = pool.submit(padding.run, SIGNATURE, wide, outputs=("y",))
    assert padding._model.entered.wait(WAIT)
    narrow = pool.submit(padding.run, SIGNATURE, {"x": np.float32([[4, 5]])}, outputs=("y",))
    time.sleep(0.05)
    other = pool.submit(padding.run, SIGNATURE, wide, outputs=("y",))
    time.sleep(0.05)
    padding._model.go.set()
    assert held_back.result(WAIT)["y"].tolist() == [[2, 4, 6]]
    assert narrow.result(WAIT)["y"].tolist() == [[8, 10, 0]]
    assert other.result(WAIT)["y"].tolist() == [[2, 4, 6]]
    assert padding._model.calls[1:] == [[[4, 5, 0], [1, 2, 3]]]


def test_who_waited_too_long_does_not_reach_the_model(pool):
    inner = Double()
    late, in_time = held(batched(inner), pool, [1], [2], deadline=Deadline.after(WAIT))
    assert late.result()["y"].tolist() == [2]
    inner.calls.clear()
    model = batched(inner)
    inner.go.clear()
    inner.entered.clear()
    first = pool.submit(ask, model, -1.0)
    assert inner.entered.wait(WAIT)
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        ask(model, 5.0, deadline=Deadline.after(0.05))
    inner.go.set()
    assert first.result(WAIT)["y"].tolist() == [-2]
    assert ask(model, 7.0)["y"].tolist() == [14]
    assert [5.0] not in inner.calls


def test_who_has_left_does_not_reach_the_model(pool):
    inner = Double()
    model, gone = batched(inner), Deadline.after(None)
    inner.go.clear()
    first = pool.submit(ask, model, -1.0)
    assert inner.entered.wait(WAIT)
    waiting = pool.submit(ask, model, 5.0, deadline=gone)
    neighbour = pool.submit(ask, model, 6.0)
    time.sleep(0.05)
    gone.cancel()
    inner.go.set()
    with pytest.raises(ServingError, match="CANCELLED"):
        waiting.result(WAIT)
    assert (first.result(WAIT)["y"].tolist(), neighbour.result(WAIT)["y"].tolist()) == ([-2], [12])
    assert inner.calls == [[-1.0], [6.0]]


def test_what_cannot_share_a_batch_runs_apart_or_is_refused_in_strict_mode():
    model, strict = batched(Double(), max_batch_size=2), batched(Double(), max_batch_size=2, compatibility=TF_SERVING)
    assert ask(model, 1, 2, 3)["y"].tolist() == [2, 4, 6]
    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        ask(strict, 1, 2, 3)
    assert ask(model, 1, outputs=("rows",))["rows"] == 1.0
    with pytest.raises(ServingError, match="FAILED_PRECONDITION: Batched output tensor has 0 dimensions"):
        ask(strict, 1, outputs=("rows",))
    for inputs, message in (
        ({"x": np.float32(1)}, "input tensors must have at least one dimension"),
        ({"x": np.float32([1]), "z": np.float32([1, 2])}, "input tensors must have equal 0th-dimension size"),
    ):
        assert model.run(SIGNATURE, inputs, outputs=("y",))["y"].tolist() == (2 * inputs["x"]).tolist()
        with pytest.raises(ServingError, match=message):
            strict.run(SIGNATURE, inputs, outputs=("y",))
    assert ask(strict)["y"].tolist() == [], "a call without rows is answered"


def test_an_output_of_fixed_length_is_never_cut_into_rows():
    # Declared as [3]: in a batch of 3 rows it would look like one value for each.
    inner = Double(outputs={"y": (3,)})
    model = batched(inner, batch_timeout_micros=5_000_000)
    assert ask(model, 1, 2, 3)["y"].tolist() == [2, 4, 6], "at once: it does not wait for a batch"


def test_large_requests_are_split_when_asked_for():
    inner = Double()
    model = batched(inner, max_batch_size=2, splits_large_tasks=True)
    assert ask(model, 1, 2, 3, 4, 5)["y"].tolist() == [2, 4, 6, 8, 10]
    assert max(map(len, inner.calls)) == 2
    model.close()
    assert inner.closed


def test_parameters_are_read_from_tf_servings_file(tmp_path):
    path = tmp_path / "batching.config"
    path.write_text(
        "max_batch_size { value: 128 }\nbatch_timeout_micros { value: 500 }\nnum_batch_threads { value: 3 }\n"
        "max_enqueued_batches { value: 100 }\nallowed_batch_sizes: 8\nallowed_batch_sizes: 128\n"
        'pad_variable_length_inputs: true\nthread_pool_name { value: "pool" }'
    )
    assert read_batching_parameters(path) == BatchingParameters(
        max_batch_size=128,
        batch_timeout_micros=500,
        max_enqueued_batches=100,
        num_batch_threads=3,
        allowed_batch_sizes=(8, 128),
        pad_variable_length_inputs=True,
    )
    path.write_text("enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 }")
    assert (read_batching_parameters(path).max_batch_size, read_batching_parameters(path).splits_large_tasks) == (
        4,
        True,
    )
    path.write_text("")
    defaults = read_batching_parameters(path)
    assert (defaults.max_batch_size, defaults.batch_timeout_micros, defaults.max_enqueued_batches) == (1000, 0, 10)
    for text, message in (
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1; got 0."),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "Last entry in allowed_batch_sizes must match"),
        ("allowed_batch_sizes: 4 allowed_batch_sizes: 4", "must be monotonically increasing"),
        ("batch_timeout_micros { value: -1 }", "must be at least 0"),
        ("max_batch: 1", "no text-proto BatchingParameters"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=f"--batching_parameters_file: .*{message}"):
            read_batching_parameters(path)
    assert num_call_threads(BatchingParameters(max_batch_size=16), at_least=8) == 32
    assert num_call_threads(BatchingParameters(max_batch_size=1), at_least=8) == 8


def test_a_server_that_batches_answers_as_one_that_does_not(words, serve_toy, tmp_path):
    toy_models.save_words(tmp_path / "base" / "7")
    parameters = tmp_path / "batching.config"
    parameters.write_text("max_batch_size { value: 16 } batch_timeout_micros { value: 2000 }")
    bodies = [
        ("", {"instances": [{"text": "a"}, {"text": "b", "page": 2, "history": ["x", "y"]}]}),
        ("", {"inputs": {"text": ["a", "b"]}}),
        ("raw", {"instances": [{"b64": "/9gA"}, "é"]}),
        ("parse", {"instances": ["1", "2.5"]}),
        ("parse", {"instances": ["no number"]}),
        ("typed", {"instances": [{"x": 1.5, "flag": True}]}),
        ("odd", {"inputs": [1.0, 2.0]}),
        ("uneven", {"inputs": [1.0, 2.0]}),
        ("raw", {"inputs": []}),
    ] * 4
    with (
        serve_toy(tmp_path / "base", enable_batching=True, batching_parameters_file=parameters) as served,
        concurrent.futures.ThreadPoolExecutor(12) as pool,
    ):
        found = list(pool.map(lambda asked: served.post(asked[1], signature=asked[0]), bodies))
    for (signature, body), answer in zip(bodies, found, strict=True):
        alone = words.post(body, signature=signature)
        texts = [found.text.partition(', "query_id"')[0] for found in (answer, alone)]
        assert (answer.status_code, texts[0]) == (alone.status_code, texts[1]), (signature, body)


def test_a_model_may_bring_its_own_parameters(serve_toy, tmp_path):
    path = toy_models.save_half_plus_two(tmp_path / "1")
    flags = {"enable_batching": True, "enable_per_model_batching_parameters": True, "strict": True}
    with serve_toy(tmp_path, **flags) as served:
        assert content(served.post({"instances": [1.0, 2.0, 5.0]}), strict=True) == {"predictions": [2.5, 3.0, 4.5]}
    (path / PER_MODEL_FILE).write_text("max_batch_size { value: 2 }")
    with serve_toy(tmp_path, **flags) as served:
        assert content(served.post({"instances": [1.0, 2.0]}), strict=True) == {"predictions": [2.5, 3.0]}
        assert served.post({"instances": [1.0, 2.0, 5.0]}).json() == {
            "error": "Task size 3 is larger than maximum input batch size 2"
        }


@pytest.mark.parametrize("strict", [False, True])
def test_a_full_queue_is_reported_by_both_protocols(serve_toy, tmp_path, strict):
    toy_models.save_slow(tmp_path / "base" / "1")
    parameters = tmp_path / "batching.config"
    parameters.write_text(
        "max_batch_size { value: 1 } max_enqueued_batches { value: 1 } num_batch_threads { value: 1 }"
    )
    flags = {"enable_batching": True, "batching_parameters_file": parameters, "strict": strict}
    message = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    message.inputs["steps"].CopyFrom(tf.make_tensor_proto(np.int32([1])))
    with serve_toy(tmp_path / "base", **flags) as served, concurrent.futures.ThreadPoolExecutor(2) as pool:
        busy = []
        for _ in range(2):  # One runs, one waits.
            busy.append(pool.submit(served.post, {"instances": [3000]}))
            time.sleep(0.1)
        turned_away = served.post({"instances": [1]})
        with pytest.raises(grpc.RpcError) as caught:
            served.predictions.Predict(message, timeout=30)
        assert [one.result().status_code for one in busy] == [200, 200]
        assert served.post({"instances": [1]}).status_code == 200
    assert turned_away.status_code == 503
    assert turned_away.json()["error"].startswith("The batch scheduling queue to which this task was submitted is full")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details().startswith("The batch scheduling queue to which this task was submitted is full")
