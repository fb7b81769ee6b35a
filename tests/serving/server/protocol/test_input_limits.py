import json

import numpy as np
import pytest

from serving.bundle_layout import LIMITS_PATH
from serving.server.protocol.errors import Code, ServingError
from serving.server.protocol.input_limits import Limit, check_limits, read_limits
from tests.serving.server import toy_models
from tests.serving.server.in_process import content, serve

LIMITS = {"size": Limit(minimum=1, maximum=50), "weight": Limit(), "page": Limit(minimum=1)}


@pytest.mark.parametrize(
    "given",
    [
        {"size": np.array([1, 50], np.int32)},
        {"size": np.array([50], np.int32), "weight": np.array([[-3e38, 3e38]], np.float32)},
        {"page": np.array([2_147_483_647], np.int32)},
        {"weight": np.zeros([2, 0], np.float32)},
        {"other": np.array([np.nan])},
    ],
)
def test_numbers_within_their_limits_pass(given):
    check_limits(LIMITS, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": np.array([0], np.int32)}, "Input size must be from 1 to 50"),
        ({"size": np.array([7, 51], np.int32)}, "Input size must be from 1 to 50"),
        ({"page": np.array([3, -1], np.int32)}, "Input page must be at least 1"),
        ({"weight": np.array([np.nan], np.float32)}, "Input weight holds NaN or infinity"),
        ({"weight": np.array([[1.0, 2.0], [np.nan, 0.0]], np.float32)}, "Input weight holds NaN or infinity"),
        ({"weight": np.array([[1.0, -np.inf]], np.float32)}, "Input weight holds NaN or infinity"),
    ],
)
def test_numbers_beyond_them_are_refused(given, message):
    with pytest.raises(ServingError, match=message) as caught:
        check_limits(LIMITS, given)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "content", ["[1]", '{"search": 3}', '{"search": {"k": {"lowest": 1}}}', "{", '{"s": {"k": 1}}']
)
def test_a_malformed_file_is_refused(tmp_path, content):
    path = tmp_path / LIMITS_PATH
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ServingError, match="does not map signatures") as caught:
        read_limits(tmp_path)
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_a_model_without_limits_takes_any_number(tmp_path):
    assert read_limits(tmp_path) == {}


@pytest.mark.parametrize("strict", [False, True])
def test_limits_hold_unless_the_server_is_strict(tmp_path, strict):
    folder = toy_models.save_half_plus_two(tmp_path / "1")
    path = folder / LIMITS_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"serving_default": {"x": {"minimum": 0, "maximum": 4}}}))
    with serve(tmp_path, strict=strict) as served:
        assert content(served.post({"instances": [2.0, 4.0]}), strict=strict) == {"predictions": [3.0, 4.0]}
        answer = served.post({"instances": [2.0, 5.0]})
        assert answer.status_code == (200 if strict else 400)
        if not strict:
            assert answer.json() == {"error": "Input x must be from 0 to 4; send a number in that range."}
