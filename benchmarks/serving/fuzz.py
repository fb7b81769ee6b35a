"""Fuzzes the REST surface against its OpenAPI description, and its bodies by mutation.

    python -m benchmarks.serving.fuzz --examples 2000

A server is started in a process of its own. Wanted: no answer with status 500 and none that the description does not
allow, the process alive, its memory flat, nothing of what was sent in an error or in the log.
"""

import argparse
import copy
import dataclasses
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.serving.memory import resident_megabytes
from serving.server.rest_api.openapi import openapi_document

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
CANARY = "canary-user-4711"
MODEL = "toy"
LEAK_MEGABYTES = 48.0
SEED_BODIES: tuple[dict[str, Any], ...] = (
    {"instances": [CANARY, {"b64": "/9gA"}]},
    {"inputs": {"text": [CANARY, "b"]}},
    {"signature_name": "numbers", "instances": [{"x": [1.5, -2e30], "flag": True}, {"x": [0, 1], "flag": False}]},
    {"signature_name": "integers", "inputs": {"tiny": [127, -128], "wide": [2**63 - 1, -(2**63)]}},
    {"signature_name": "parse", "instances": [CANARY]},
    {"signature_name": "halves", "instances": [1.0]},
    {"signature_name": "total", "instances": [1.0, 2.0]},
    {"signature_name": "raw", "examples": [{"text": CANARY, "x": [1, 2]}], "context": {"y": 1.0}},
)
PIECES = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"\\ud800",
    b"\xff",
    b"\x00",
    b"[" * 3000,
)


@dataclasses.dataclass
class Findings:
    """Findings of a run.

    Attributes:
      statuses: {HTTP status: responses}.
      problems: Problems, one line each.
    """

    statuses: Counter[int] = dataclasses.field(default_factory=Counter)
    problems: list[str] = dataclasses.field(default_factory=list)

    def check(self, response: requests.Response, what: str) -> None:
        """Counts a response and records problems that no request excuses."""
        self.statuses[response.status_code] += 1
        if response.status_code in (500, 502):
            self.problems.append(f"{what}: status {response.status_code}")
        if response.status_code >= 400 and CANARY in response.text:
            self.problems.append(f"{what}: an error quotes the request")
        if response.status_code >= 400 and len(response.content) > 1200:
            self.problems.append(f"{what}: an error of {len(response.content)} bytes")


def fuzz_description(url: str, *, examples: int, findings: Findings) -> None:
    """Calls every operation of the description, with values that fit its schemas and with others."""
    schema = schemathesis.openapi.from_dict(_focused(openapi_document()))
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        for mode in GenerationMode:
            try:
                strategy = operation.as_strategy(generation_mode=mode)
                _call(strategy, f"{operation.label} ({mode.value})", url, examples, findings)
            except hypothesis.errors.Unsatisfiable:
                continue  # no value of the operation can be invalid


def _call(strategy: Any, what: str, url: str, examples: int, findings: Findings) -> None:
    session = requests.Session()

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=strategy)
    def call(case: schemathesis.Case) -> None:
        response = case.call(base_url=url, session=session, timeout=60)
        findings.statuses[response.status_code] += 1
        if response.status_code in (500, 502):
            findings.problems.append(f"{what}: status {response.status_code}")
        try:
            case.validate_response(response, checks=CHECKS)
        except (Failure, FailureGroup) as error:
            findings.problems.append(f"{what}: {str(error)[:400]}")

    with session:
        call()


def fuzz_bodies(url: str, *, examples: int, findings: Findings, seed: int = 0) -> None:
    """Sends good bodies with bytes cut out, doubled, replaced and put in."""
    chance = random.Random(seed)
    with requests.Session() as session:
        for number in range(examples):
            verb = chance.choice(("predict", "predict", "predict", "classify", "regress"))
            body = mutated(json.dumps(chance.choice(SEED_BODIES)).encode(), chance)
            response = session.post(f"{url}/v1/models/{MODEL}:{verb}", data=body, timeout=60)
            findings.check(response, f"body {number} to {verb}")


def mutated(body: bytes, chance: random.Random) -> bytes:
    """The body with up to three changes."""
    for _ in range(chance.randint(0, 3)):
        start = chance.randrange(len(body) + 1)
        end = min(len(body), start + chance.randint(0, 8))
        middle = chance.choice((b"", body[start:end] * 2, bytes([chance.randrange(256)]), chance.choice(PIECES)))
        body = body[:start] + middle + body[end:]
    return body


def _focused(document: dict[str, Any]) -> dict[str, Any]:
    """The description with names and versions of which some exist, so that most requests come to a model."""
    focused = copy.deepcopy(document)
    values = {"model_name": [MODEL, "unknown"], "version": [1, 2, 2**63 - 1], "label": ["stable", "ü", "%"]}
    for path in focused["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"] = {"enum": values[parameter["name"]]}
    return focused


def main() -> int:
    """Runs the command line; returns 0 without a problem."""
    from benchmarks.serving.models import save_types
    from serving.server.workers.process import ServerProcess

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--examples", type=int, default=2000, help="of each operation and mode; ten times that number of bodies"
    )
    found = parser.parse_args()
    findings = Findings()
    with tempfile.TemporaryDirectory() as folder:
        save_types(Path(folder) / "models" / "1")
        monitoring = Path(folder) / "monitoring.config"
        monitoring.write_text("prometheus_config { enable: true }")
        with ServerProcess(MODEL, Path(folder) / "models", flags=[f"--monitoring_config_file={monitoring}"]) as server:
            fuzz_bodies(server.rest_url, examples=2000, findings=findings, seed=1)
            before = resident_megabytes(server.pid)
            fuzz_bodies(server.rest_url, examples=10 * found.examples, findings=findings)
            fuzz_description(server.rest_url, examples=found.examples, findings=findings)
            after = resident_megabytes(server.pid)
            page = requests.get(f"{server.rest_url}/monitoring/prometheus/metrics", timeout=30).text
            if CANARY in page or CANARY in server.log_tail:
                findings.problems.append("metrics or log quote a request")
        if server.exit_code != 0:
            findings.problems.append(f"the server ended with code {server.exit_code}")
    if after - before > LEAK_MEGABYTES:
        findings.problems.append(f"memory grew from {before:.0f} to {after:.0f} MB")
    print(json.dumps({"answers": dict(sorted(findings.statuses.items())), "resident_mb": [before, after]}))
    print("\n".join(findings.problems[:50]) or "no problem")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
