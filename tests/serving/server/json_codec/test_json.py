"""JSON to arrays and back, without a server."""

import functools
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from serving.server.json_codec import outputs as json_answers
from serving.server.json_codec import text
from serving.server.json_codec import values as json_values
from serving.server.json_codec.inputs import RequestFormat, body_to_arrays, parse_body
from serving.server.protocol.compatibility import EXTENDED, TF_SERVING
from serving.server.protocol.errors import (
    Code,
    ServingError,
    graph_error,
    invalid,
    quoted,
    quoted_value,
    safe_name,
    truncate,
)
from serving.server.protocol.signature import InputSpec, ServableSignature


def spec(alias, dtype, shape, default=None):
    return InputSpec(alias=alias, tensor_name=f"{alias}:0", dtype=dtype, shape=shape, default=default)


def signature(*specs):
    return ServableSignature(name="s", inputs={one.alias: one for one in specs}, outputs={"y": "y:0"})


TEXT = spec("text", tf.string, (-1,))
PAGE = spec("page", tf.int32, (-1,), np.array([1], np.int32))
HISTORY = spec("history", tf.string, (-1, -1), np.empty((1, 0), object))
FIXED = spec("fixed", tf.float32, (-1, 2), np.array([[0.5, 0.25]], np.float32))


def convert(body, *specs):
    return body_to_arrays(parse_body(json.dumps(body).encode()), signature(*specs))[1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b" \n", "The document is empty"),
        (b'{"a": tru}', "Invalid value. at offset: 6"),
        ('{"é": tru}'.encode(), "Invalid value. at offset: 7"),
        (b"{", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a": [1 2]}', "Missing a comma or ] after an array element. at offset: 9"),
        (b'{"a": [1] 2}', "Missing a comma or } after an object member. at offset: 10"),
        (b'{"a": "b', "Missing a closing quotation mark in string. at offset: 6"),
        (b'{"a": 1} x', "The document root must not be followed by other values. at offset: 9"),
        (b'{"a": "\\q"}', "Invalid escape character in string. at offset: 7"),
        (b'{"a": ' + b"1" * 5000 + b"}", "Number too big to be stored in double."),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 500_000, "nested too deeply"),
    ],
)
def test_parse_errors_carry_the_words_and_the_offset(body, message):
    with pytest.raises(ServingError) as caught:
        text.parse_json(body)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.message.startswith("JSON Parse error: ")
    assert message in caught.value.message


def test_infinities_in_every_spelling():
    found = text.parse_json(b'[NaN, Infinity, -Infinity, Inf, -Inf, "Inf \\" Inf"]')
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf, math.inf, -math.inf, 'Inf " Inf']


def test_a_hostile_body_of_quotes_is_answered_at_once():
    with pytest.raises(ServingError, match="JSON Parse error"):
        text.parse_json(b'Inf"' + b'\\"' * 2_000_000)


def test_text_of_unknown_origin_becomes_valid_utf8():
    assert text.parse_json(b'["a\xffb"]') == ["a\ufffdb"]
    array = json_values.to_dense(text.parse_json(rb'["\ud800", "\u0000x", ""]'), tf.string)
    assert array.tolist() == ["\ufffd".encode(), b"\x00x", b""]


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ("x", tf.float32, "JSON Value: ... Type: String is not of expected type: float"),
        (True, tf.float64, "Type: True is not of expected type: double"),
        (None, tf.string, "Type: Null is not of expected type: string"),
        (1.5, tf.int32, "Type: Number is not of expected type: int32"),
        ("3", tf.int32, "Type: String is not of expected type: int32"),
        (None, tf.int32, "Type: Null is not of expected type: int32"),
        (2**31, tf.int32, "is not of expected type: int32"),
        (256, tf.uint8, "is not of expected type: uint8"),
        (-1, tf.uint64, "is not of expected type: uint64"),
        (1, tf.bool, "Type: Number is not of expected type: bool"),
        (1, tf.string, "Type: Number is not of expected type: string"),
        ({"b64": "!"}, tf.string, "Unable to base64 decode"),
        ({"b64": "AA", "c": 1}, tf.string, "not formatted correctly for base64 data"),
        ({"b64": "AA"}, tf.float32, "Type: Object is not of expected type: float"),
        ([[1], 2], tf.int32, "found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        ([[1], [1, 2]], tf.int32, "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
        ([1, [2]], tf.int32, "Encountered list at unexpected level: 1 expected < 1"),
    ],
)
def test_the_error_of_a_value_of_the_wrong_type_names_the_wanted_type_and_never_the_value(value, dtype, message):
    with pytest.raises(ServingError) as caught:
        json_values.to_dense(value, dtype)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("dtype", "word"),
    [(tf.float16, "half"), (tf.bfloat16, "bfloat16"), (tf.uint16, "uint16"), (tf.complex64, "complex64")],
)
def test_dtypes_that_json_cannot_carry_are_unimplemented(dtype, word):
    with pytest.raises(ServingError, match=f"UNIMPLEMENTED: Conversion of JSON Value: ... to type: {word}"):
        json_values.to_dense([1], dtype)


def test_values_keep_shape_and_precision():
    np.testing.assert_array_equal(
        json_values.to_dense([[1, 2.5], [10**400, -(10**400)]], tf.float32),
        np.array([[1, 2.5], [np.inf, -np.inf]], np.float32),
    )
    assert json_values.to_dense([[], []], tf.string).shape == (2, 0)
    assert json_values.to_dense(2**63 - 1, tf.int64) == 2**63 - 1
    assert json_values.to_dense([{"b64": "/9g"}, "é"], tf.string).tolist() == [b"\xff\xd8", "é".encode()]


def test_base64_is_read_as_browsers_and_programs_write_it():
    # b"\xff\xff>" is "//8+", in the URL-safe alphabet "__8-".
    for b64 in ("//8+", "__8-", "data:image/png;base64,//8+", "data:;base64,__8-"):
        assert json_values.to_dense({"b64": b64}, tf.string) == b"\xff\xff>"
    for b64 in ("__8-", "data:image/png;base64,//8+"):
        with pytest.raises(ServingError, match="Unable to base64 decode"):
            json_values.to_dense({"b64": b64}, tf.string, TF_SERVING)
    with pytest.raises(ServingError, match="Unable to base64 decode"):
        json_values.to_dense({"b64": "data:text/plain,hello"}, tf.string)


def test_a_whole_number_with_a_decimal_point_is_an_integer():
    assert json_values.to_dense([3.0, 4], tf.int32).tolist() == [3, 4]
    with pytest.raises(ServingError, match="is not of expected type: int32"):
        json_values.to_dense(3.0, tf.int32, TF_SERVING)
    with pytest.raises(ServingError, match="is not of expected type: int32"):
        json_values.to_dense(1e300, tf.int32)


def test_the_error_of_a_column_names_the_input():
    for value in (None, "3", [None], 2.5):
        with pytest.raises(ServingError, match="INVALID_ARGUMENT: Input page: JSON Value: ... Type: .* int32"):
            convert({"inputs": {"text": ["a"], "page": value}}, TEXT, PAGE)


def test_one_value_in_a_row_in_place_of_a_list_is_a_list_of_one():
    found = convert({"instances": [{"text": "a", "history": "x"}, {"text": "b", "history": "y"}]}, TEXT, HISTORY)
    assert found["history"].tolist() == [[b"x"], [b"y"]]
    found = convert({"instances": [{"text": "a", "history": "x"}, {"text": "b", "history": ["y", "z"]}]}, TEXT, HISTORY)
    assert found["history"].tolist() == [[b"x", b""], [b"y", b"z"]]


def test_rows_may_leave_out_what_has_a_default():
    found = convert({"instances": [{"text": "a"}, {"text": "b", "page": 3}]}, TEXT, PAGE, HISTORY)
    assert found["text"].tolist() == [b"a", b"b"]
    assert found["page"].tolist() == [1, 3]
    assert "history" not in found, "what no row gives is filled for the whole batch later"


def test_a_row_without_its_string_gets_the_default_itself():
    optional = spec("text", tf.string, (-1,), np.array([b"a\x00"], object))
    found = convert({"instances": [{}, {"text": "b"}, {"page": 2}]}, optional, PAGE)
    assert found["text"].tolist() == [b"a\x00", b"b", b"a\x00"]
    assert {type(value) for value in found["text"]} == {bytes}
    assert found["page"].tolist() == [1, 1, 2]


def test_histories_of_different_length_are_padded_at_the_end():
    rows = [{"text": "a", "history": ["x"]}, {"text": "b"}, {"text": "c", "history": ["y", "z"]}]
    found = convert({"instances": rows}, TEXT, PAGE, HISTORY)
    assert found["history"].tolist() == [[b"x", b""], [b"", b""], [b"y", b"z"]]
    ages = spec("ages", tf.float32, (-1, -1))
    found = convert({"instances": [[1.5], [2.5, 3.5]]}, ages)
    assert found["ages"].tolist() == [[1.5, 0.0], [2.5, 3.5]]


def test_a_default_with_a_shape_fills_a_row():
    found = convert({"instances": [{"text": "a"}, {"text": "b", "fixed": [1, 2]}]}, TEXT, FIXED)
    assert found["fixed"].tolist() == [[0.5, 0.25], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": ["a"]}, "instances is a plain list, but expecting list of objects as multiple input tensors"),
        ({"instances": [{"page": 1}]}, "keys must be equal to: fixed,page,text"),
        ({"instances": [{"text": "a"}, "b"]}, "Expecting object but got list at item 1 of input list"),
        (
            {"instances": [{"text": "a", "nope": 1}]},
            "Failed to process element: 0 key: nope of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: nope",
        ),
        (
            {"instances": [{"text": "a"}, {"text": 1}]},
            "Failed to process element: 1 key: text of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: ... Type: Number is not of expected type: string",
        ),
        (
            {"instances": [{"text": "a", "fixed": [1, 2]}, {"text": "b", "fixed": [1]}]},
            "Failed to process element: 1 key: fixed of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting tensor size: 2 but got: 1",
        ),
        (
            {"instances": [{"text": "a", "fixed": [1, 2]}, {"text": "b", "fixed": [[1, 2]]}]},
            "Expecting shape [2] but got: [1,2]",
        ),
        (
            {"instances": [{"text": "a", "fixed": [1]}, {"text": "b", "fixed": [1, 2]}]},
            "Failed to process element: 1 key: fixed of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting tensor size: 1 but got: 2",
        ),
        ({"inputs": ["a"]}, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"page": [1]}}, "Missing named input: text in 'inputs' object."),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": {}}, "to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [], "inputs": {}}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"signature_name": 1, "inputs": {}}, "'signature_name' key must be a string value."),
        ([], "JSON Value: ... Is not object"),
    ],
)
def test_bodies_of_the_wrong_form(body, message):
    with pytest.raises(ServingError) as caught:
        convert(body, spec("fixed", tf.float32, (-1, 2), np.zeros((1, 2), np.float32)), PAGE, TEXT)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message


def test_one_input_takes_bare_values_and_objects():
    for rows in (["a", {"b64": "Yg=="}], [{"text": "a"}, {"text": "b"}]):
        assert convert({"instances": rows}, TEXT)["text"].tolist() == [b"a", b"b"]
    for columns in (["a", "b"], {"text": ["a", "b"]}):
        assert convert({"inputs": columns}, TEXT)["text"].tolist() == [b"a", b"b"]
    with pytest.raises(ServingError, match="Expecting value/list but got object at item 1 of input list"):
        convert({"instances": ["a", {"text": "b"}]}, TEXT)


def test_padding_cannot_be_used_to_fill_the_memory():
    rows = [["x"] * 10_000] + [[]] * 1_000
    with pytest.raises(ServingError, match="padded to more than"):
        convert({"instances": rows}, HISTORY)


def test_answers_print_floats_in_their_shortest_form():
    outputs = {
        "a": np.array([0.1, 3, 9e6, np.nan, -np.inf], np.float32),
        "b": np.array([1 / 3, 3, 1e300, 0, -0.5]),
        "c": np.array([1, 2, 3, 4, 2**63 - 1], np.int64),
        "d": np.array([True, False, True, False, True]),
    }
    found = json_answers.predict_response(outputs, RequestFormat.COLUMNAR)
    assert found.has_null_numbers
    assert found.body.decode() == (
        '{"outputs": {"a": [0.1, 3.0, 9000000.0, null, null], "b": [0.3333333333333333, 3.0, 1e+300, 0.0, -0.5], '
        '"c": [1, 2, 3, 4, 9223372036854775807], "d": [true, false, true, false, true]}}'
    )
    assert not json_answers.predict_response({"b": outputs["b"]}, RequestFormat.COLUMNAR).has_null_numbers


def test_strict_answers_print_as_tf_serving_does():
    outputs = {
        "a": np.array([0.1, 3, 9e6, 1 / 3, np.nan, -np.inf], np.float32),
        "t": np.array([b'9000000.0 "3.0', b"\xff", b"", b"", b"", b""], object),
    }
    found = json_answers.predict_response(outputs, RequestFormat.COLUMNAR, TF_SERVING)
    assert not found.has_null_numbers
    assert found.body == (
        b'{"outputs": {"a": [0.1, 3.0, 9e+06, 0.33333334, NaN, -Infinity], '
        b'"t": ["9000000.0 \\"3.0", "\xff", "", "", "", ""]}}'
    )


def test_row_answers():
    one = {"y": np.array([[1.0], [2.0]], np.float32)}
    assert json.loads(json_answers.predict_response(one, RequestFormat.ROW).body) == {"predictions": [[1.0], [2.0]]}
    two = {"a": np.array([1, 2]), "b_bytes": np.array([b"\xff", b"x"], object)}
    assert json.loads(json_answers.predict_response(two, RequestFormat.ROW).body) == {
        "predictions": [{"a": 1, "b_bytes": {"b64": "/w=="}}, {"a": 2, "b_bytes": {"b64": "eA=="}}]
    }
    assert json.loads(json_answers.predict_response({"y": np.zeros([0, 3])}, RequestFormat.ROW).body) == {
        "predictions": []
    }
    with pytest.raises(ServingError, match="Tensor name: y has no shape information"):
        json_answers.predict_response({"y": np.float32(1)}, RequestFormat.ROW)
    with pytest.raises(ServingError, match="Tensor name: b has inconsistent batch size: 2 expecting: 3"):
        json_answers.predict_response({"a": np.zeros(3), "b": np.zeros(2)}, RequestFormat.ROW)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=5))
def test_any_bytes_make_valid_json(values):
    array = np.empty(len(values), object)
    array[:] = values
    json.loads(json_answers.predict_response({"text": array, "x_bytes": array}, RequestFormat.ROW).body)


def refusal(call):
    """The error a call is refused with; None when it is not. Anything but a ServingError is a failure of the test."""
    try:
        call()
    except ServingError as error:
        return error
    return None


@given(st.binary(max_size=40))
def test_any_body_is_parsed_or_refused(body):
    error = refusal(lambda: convert_raw(body))
    assert error is None or (error.code is Code.INVALID_ARGUMENT and len(error.message) <= 1024)


def convert_raw(body):
    return body_to_arrays(parse_body(body), signature(TEXT, PAGE, HISTORY))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "page", "b64"]), inner, max_size=3)
    ),
)


@given(st.sampled_from(["instances", "inputs"]), JSON)
def test_any_value_is_converted_or_refused(form, value):
    for specs in ((TEXT,), (TEXT, PAGE, HISTORY), (FIXED,)):
        error = refusal(functools.partial(convert, {form: value}, *specs))
        assert error is None or error.code is Code.INVALID_ARGUMENT


def test_messages_are_cut_and_names_that_are_no_names_are_hidden():
    assert truncate("a" * 1024) == "a" * 1024
    assert truncate("é" * 600) == "é" * 512 + "...TRUNCATED"
    assert safe_name("search_text") == "search_text"
    assert safe_name("alice@example.com") == "..."
    assert safe_name("x" * 65) == "..."
    error = graph_error("s", code=3, message="could not parse secret [[{{node a/b}}]]")
    assert error.code is Code.INVALID_ARGUMENT
    assert "a/b" in error.message
    assert "secret" not in error.message
    assert graph_error("s", code=99, message="").code is Code.UNKNOWN
    assert error.client_message(TF_SERVING) == "could not parse secret [[{{node a/b}}]]"


def test_what_the_client_sent_is_hidden_by_default_and_bounded_in_strict_mode():
    error = invalid(f"JSON Value: {quoted_value({'a': ['canary']})} of {quoted('m')} and {quoted('a b@c')}")
    assert error.client_message(EXTENDED) == error.message == "JSON Value: ... of m and ..."
    assert error.client_message(TF_SERVING) == 'JSON Value: {"a": ["canary"]} of m and a b@c'
    # 256 bytes in all: a value of 300 is left out, the name after it has no room either.
    assert invalid(f"{quoted_value('x' * 300)} {quoted('m')}").client_message(TF_SERVING) == "... ..."
    assert invalid(quoted_value([[]] * 10**6)).client_message(TF_SERVING) == "..."
    assert invalid(quoted("a\ue000\ue002b")).client_message(TF_SERVING) == "ab", "the marks themselves cannot be sent"


def test_strict_rows_want_every_key_and_equal_lengths_and_wrap_small_integers():
    def strict(body, *specs):
        return body_to_arrays(parse_body(json.dumps(body).encode(), TF_SERVING), signature(*specs), TF_SERVING)[1]

    with pytest.raises(ServingError, match="keys must be equal to: page,text"):
        strict({"instances": [{"text": "a"}]}, PAGE, TEXT)
    with pytest.raises(ServingError, match="Missing named input: page in 'inputs' object."):
        strict({"inputs": {"text": ["a"]}}, PAGE, TEXT)
    with pytest.raises(ServingError, match="element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor"):
        strict({"instances": [["a"], ["b", "c"]]}, HISTORY)
    small = spec("small", tf.int8, (-1,))
    # 300 = 256 + 44 and -129 = -256 + 127, in eight bits.
    assert strict({"instances": [300, -129]}, small)["small"].tolist() == [44, 127]
    with pytest.raises(ServingError, match="not of expected type: int8"):
        convert({"instances": [300]}, small)


def test_strict_parsing_ignores_what_follows_and_keeps_bytes():
    assert text.parse_json(b' {"a": 1} x', TF_SERVING) == {"a": 1}
    array = json_values.to_dense(text.parse_json(b'["a\xffb"]', TF_SERVING), tf.string, TF_SERVING)
    assert array.tolist() == [b"a\xffb"]
