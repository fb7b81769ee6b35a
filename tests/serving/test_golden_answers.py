"""Recorded answers of every kind of request, kept in `tests/golden/answers.json.gz`, come back within 1e-4.

`UPDATE_GOLDEN=1` records them again, for a change that is meant to change answers.
"""

import base64
import collections
import gzip
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tiny_shop
from tests.support.golden import GOLDEN
from trainer.spec.serving.signatures import signatures

PATH = GOLDEN / "answers.json.gz"
CASES = json.loads(gzip.decompress(PATH.read_bytes()))
DECLARED = {signature.name: signature for signature in signatures(tiny_shop.CONFIG)}
TOLERANCE = 1e-4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(golden_folder):
    return tf.saved_model.load(str(golden_folder / "bundle/stock/1"))


def raw(value):
    """The value of a case as TensorFlow takes it: nested lists of texts, numbers, and bytes for `{"b64": ...}`."""
    if isinstance(value, list):
        return [raw(one) for one in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value


def feed(case):
    """Every input of the signature: those of the case, the defaults of the others in as many rows."""
    rows = max([len(value) for value in case["inputs"].values()] or [1])
    inputs = {}
    for field in DECLARED[case["signature"]].inputs:
        dtype = tf.as_dtype(field.dtype.value)
        shape = [rows, *(length or 0 for length in field.shape)]
        value = np.full(shape, field.default, object if dtype == tf.string else dtype.as_numpy_dtype)
        if field.name in case["inputs"]:
            value = raw(case["inputs"][field.name])
            value = value if dtype == tf.string else np.array(value).astype(dtype.as_numpy_dtype)
        inputs[field.name] = tf.constant(value, dtype)
    return inputs


def answer(bundle, case):
    outputs = bundle.signatures[case["signature"]](**feed(case))
    return {name: value.numpy() for name, value in outputs.items() if name != "bundle_version"}


def assert_equal(name, got, wanted):
    if got.dtype == object:
        wanted = np.array(raw(wanted), object)
        texts = [one.encode() if isinstance(one, str) else one for one in wanted.ravel()]
        assert got.ravel().tolist() == texts, name
    else:
        np.testing.assert_allclose(got, np.array(wanted).reshape(got.shape), rtol=0, atol=TOLERANCE, err_msg=name)


def test_there_are_answers_of_every_signature():
    counts = collections.Counter(case["signature"] for case in CASES)
    assert set(counts) == set(DECLARED)
    assert sum(counts.values()) >= 200


def record(bundle):
    """Writes the answers of the code as it is now: for a change that is meant to change answers, and says which."""
    cases = [{**case, "outputs": {k: plain(v) for k, v in answer(bundle, case).items()}} for case in CASES]
    PATH.write_bytes(gzip.compress(json.dumps(cases, separators=(",", ":")).encode(), 9, mtime=0))
    return cases


def plain(array):
    """The inverse of `raw` for an output: numbers of 7 digits, texts, and `{"b64": ...}` for what is no text."""
    if isinstance(array, bytes):
        text = array.decode("utf-8", "surrogateescape")
        return text if text.isprintable() else {"b64": base64.b64encode(array).decode()}
    if isinstance(array, float):
        return float(f"{array:.7g}")
    if isinstance(array, np.ndarray | list):
        return [plain(one) for one in (array.tolist() if isinstance(array, np.ndarray) else array)]
    return array


def test_every_recorded_answer_comes_back(bundle):
    if os.environ.get("UPDATE_GOLDEN") == "1":
        CASES[:] = record(bundle)
    wrong = []
    for number, case in enumerate(CASES):
        found = answer(bundle, case)
        assert sorted(found) == sorted(case["outputs"]), (number, case["signature"])
        for name, wanted in case["outputs"].items():
            try:
                assert_equal(name, found[name], wanted)
            except AssertionError as error:
                wrong.append((number, case["signature"], case["inputs"], name, str(error)[:300]))
    assert not wrong, f"{len(wrong)} outputs differ; the first: {wrong[0]}"
