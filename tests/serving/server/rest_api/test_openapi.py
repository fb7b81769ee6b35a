"""The description of the REST surface: as written out, as routed, as answered."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.serving import fuzz
from benchmarks.serving.models import save_types
from serving.server.rest_api.middleware import METHODS, URL
from serving.server.rest_api.openapi import openapi_document, openapi_text

WRITTEN = Path(__file__).resolve().parents[4] / "serving" / "deploy" / "openapi.json"
VALUES = {"model_name": "toy", "version": "1", "label": "stable"}


@pytest.fixture(scope="module")
def described(tmp_path_factory, serve_toy):
    root = tmp_path_factory.mktemp("described")
    save_types(root / "models" / "1")
    (root / "monitoring.config").write_text("prometheus_config { enable: true }")
    with serve_toy(root / "models", monitoring_config_file=root / "monitoring.config") as served:
        yield served


def test_the_file_is_the_description():
    message = "run `python -m serving.server.rest_api.openapi > serving/deploy/openapi.json` and review the diff"
    assert WRITTEN.read_text(encoding="utf-8") == openapi_text(), message


def test_every_reference_leads_somewhere():
    document = openapi_document()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert names == set(document["components"]["schemas"])


def test_every_method_of_the_protocol_is_described_and_nothing_else():
    operations_described = set()
    for path, operations in openapi_document()["paths"].items():
        if not path.startswith("/v1/models"):
            continue
        found = URL.fullmatch(path.format(**VALUES))
        assert found, path
        operations_described |= {(verb.upper(), found["what"] or "") for verb in operations if verb != "parameters"}
    assert operations_described == set(METHODS)


@pytest.mark.parametrize("path", [path for path, what in openapi_document()["paths"].items() if "get" in what])
def test_what_is_described_is_routed(described, path):
    answer = described.get(path.format(**VALUES))
    # The label is the only thing that is not there.
    wanted = {200} if "{label}" not in path else {200, 400}
    assert answer.status_code in wanted
    assert "Malformed request" not in answer.text


@pytest.mark.extended
def test_no_answer_breaks_the_description_and_none_is_500(described):
    findings = fuzz.Findings()
    fuzz.fuzz_description(described.url, examples=6, findings=findings)
    fuzz.fuzz_bodies(described.url, examples=300, findings=findings)
    assert findings.problems == []
    assert findings.statuses[200] > 30
    assert findings.statuses[400] > 100
