"""The files of `serving/deploy`: they parse, and what they name exists. No container engine is needed."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorflow_serving.config import model_server_config_pb2

from serving.server.access.tls import read_tls_config
from serving.server.flags import parse_flags_and_warnings
from serving.server.models.model_config import read_model_configs
from serving.server.protocol import protos
from serving.server.rest_api.openapi import openapi_document
from serving.server.telemetry.metrics import DEFAULT_PATH, Metrics, metrics_path

DEPLOY = Path(__file__).resolve().parents[2] / "serving" / "deploy"
CONFIG, KUBERNETES, PROMETHEUS = DEPLOY / "config", DEPLOY / "kubernetes", DEPLOY / "prometheus"
YAML_FILES = sorted(path for suffix in ("yaml", "yml") for path in DEPLOY.rglob(f"*.{suffix}"))


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def of_kind(kind: str) -> list[dict[str, Any]]:
    found = [document for path in sorted(KUBERNETES.glob("*.yaml")) for document in documents(path)]
    return [document for document in found if document["kind"] == kind]


def container() -> dict[str, Any]:
    (deployment,) = of_kind("Deployment")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found


def accepted(arguments: list[str]) -> None:
    """The server takes the arguments, and ignores none."""
    _, warnings = parse_flags_and_warnings(arguments)
    assert warnings == []


@pytest.mark.parametrize("path", YAML_FILES, ids=[path.name for path in YAML_FILES])
def test_yaml_parses(path):
    assert all(isinstance(document, dict) for document in documents(path))


def test_config_files_are_what_the_servers_read():
    (plan,) = read_model_configs(CONFIG / "models.config")
    assert (plan.name, str(plan.base_path)) == ("vitrine", "/models/vitrine")
    monitoring = protos.read_config(CONFIG / "monitoring.config", protos.MonitoringConfig(), flag="x")
    assert metrics_path(monitoring) == DEFAULT_PATH
    batching = protos.read_config(CONFIG / "batching.config", protos.BatchingParametersProto(), flag="x")
    assert list(batching.allowed_batch_sizes)[-1] == batching.max_batch_size.value
    ssl = protos.read_config(CONFIG / "ssl.config", protos.SSLConfig(), flag="x")
    assert ssl.client_verify
    assert all("-----BEGIN" in text for text in (ssl.server_key, ssl.server_cert, ssl.custom_ca))
    models = protos.read_config(
        CONFIG / "models.config", model_server_config_pb2.ModelServerConfig(), flag="model_config_file"
    )
    assert models.model_config_list.config[0].model_platform == "tensorflow"


def test_the_tls_example_lacks_nothing_but_the_certificates(tmp_path):
    # Its texts are placeholders, which gRPC notices when the port is opened; everything before that is accepted.
    assert read_tls_config(CONFIG / "ssl.config").grpc_credentials() is not None


def test_container_and_compose_start_the_server_with_flags_it_has():
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    (entry,), (command,) = (re.findall(rf"^{word} (\[.*\])$", text, re.MULTILINE) for word in ("ENTRYPOINT", "CMD"))
    entry, command = yaml.safe_load(entry), yaml.safe_load(command)
    assert entry[:3] == ["python", "-m", "serving.server"]
    accepted([*entry[3:], *command])
    (compose,) = documents(DEPLOY / "compose.yaml")
    accepted([*entry[3:], *compose["services"]["vitrine-server"]["command"]])
    accepted(compose["services"]["tf-serving"]["command"])
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    root = DEPLOY.parents[1]
    assert all((root / name).exists() for line in copied for name in line.split())
    assert "USER 10001" in text


def pins(name):
    """{distribution: version} of a lock file."""
    text = (DEPLOY.parents[1] / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_the_container_installs_the_lock_of_a_server_with_its_hashes():
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert "ARG LOCK=requirements-serve.lock\n" in text
    assert '--no-deps --require-hashes -r "$LOCK"' in text


def test_the_locks_of_a_server_are_parts_of_the_whole_lock():
    whole, serve, stock = (pins(f"requirements{part}.lock") for part in ("", "-serve", "-serve-stock"))
    assert serve.items() <= whole.items()
    assert {"tensorflow", "tensorflow-text", "tf-keras", "scann", "aiohttp", "grpcio"} <= set(serve)
    assert not {"tensorboard", "apache-beam", "tfx", "keras-nlp", "tensorflow-recommenders"} & set(serve)
    assert stock == {name: version for name, version in serve.items() if name != "scann"}


def test_services_of_the_compose_file_mount_what_is_there():
    (compose,) = documents(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            is_there = source in compose["volumes"] or (DEPLOY / source).is_dir()
            assert source.startswith("${BUNDLE") or is_there, volume


def test_the_deployment_starts_probes_and_ends_as_the_server_does():
    found = container()
    accepted([*found["args"], "--port=8500", "--rest_api_port=8501"])
    paths = openapi_document()["paths"]
    ports = {port["name"]: port["containerPort"] for port in found["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = found[probe]["httpGet"]
        assert asked["path"] in paths
        assert asked["port"] in ports
    (deployment,) = of_kind("Deployment")
    pod = deployment["spec"]["template"]
    grace = next(int(flag.split("=")[1]) for flag in found["args"] if flag.startswith("--grace_seconds="))
    pause = int(found["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] >= grace + pause + 10
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == DEFAULT_PATH
    assert int(annotations["prometheus.io/port"]) == ports["rest"]
    mounted = {mount["name"] for mount in found["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_selectors_ports_and_names_fit_together():
    (deployment,) = of_kind("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in container()["ports"]}
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    for service in of_kind("Service"):
        assert service["spec"]["selector"] == labels
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    (budget,), (scaler,) = of_kind("PodDisruptionBudget"), of_kind("HorizontalPodAutoscaler")
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["minAvailable"] < scaler["spec"]["minReplicas"]
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"], "the autoscaler sets it"
    metric = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
    ((rule,),) = (document["rules"] for document in documents(PROMETHEUS / "adapter.yaml"))
    assert rule["name"]["as"] == metric
    (kustomization,) = of_kind("Kustomization")
    assert {path.name for path in KUBERNETES.glob("*.yaml")} == {*kustomization["resources"], "kustomization.yaml"}
    for generated in kustomization["configMapGenerator"]:
        assert generated["name"] == "vitrine-server-config"
        assert all((KUBERNETES / name).resolve().is_file() for name in generated["files"])


def known_metrics() -> set[str]:
    """Every name on a metrics page."""
    metrics = Metrics(DEFAULT_PATH)
    metrics.answered(model="m", method="Predict", surface="REST", status="OK", seconds=0.1)
    metrics.refresh(ready=True, pending=0, versions={"m": 1})
    lines = metrics.page().decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")} | {"up"}


@pytest.mark.parametrize("name", ["alerts.yaml", "adapter.yaml"])
def test_expressions_ask_for_metrics_that_exist_and_close_their_brackets(name):
    (document,) = documents(PROMETHEUS / name)
    if name == "alerts.yaml":
        expressions = [rule["expr"] for group in document["groups"] for rule in group["rules"]]
    else:
        expressions = [rule[key] for rule in document["rules"] for key in ("seriesQuery", "metricsQuery")]
    known = known_metrics()
    for expression in expressions:
        named = set(re.findall(r":tensorflow:serving:\w+|\bvitrine_\w+|\bup\b", expression))
        assert named, expression
        assert named <= known, expression
        for opening, closing in ("()", "{}", "[]"):
            assert expression.count(opening) == expression.count(closing), expression


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml"), ("check", "config", "prometheus.yml")],
)
def test_prometheus_takes_the_rules(arguments):
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_proxy_passes_a_reload_on():
    nginx = (DEPLOY / "proxy" / "nginx.conf").read_text(encoding="utf-8")
    locations = re.findall(r"location (?:= )?(\S+) \{ ?(?:grpc_pass|\n)", nginx)
    assert locations == [
        "/v1/",
        "/tensorflow.serving.PredictionService/",
        "/tensorflow.serving.ModelService/GetModelStatus",
    ]
    assert nginx.count("{") == nginx.count("}")
    (envoy,) = documents(DEPLOY / "proxy" / "envoy.yaml")
    (chain,) = envoy["static_resources"]["listeners"][0]["filter_chains"]
    (host,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    routed = [next(iter(route["match"].values())) for route in host["routes"]]
    assert sorted(routed) == sorted(locations)
    clusters = {cluster["name"] for cluster in envoy["static_resources"]["clusters"]}
    assert {route["route"]["cluster"] for route in host["routes"]} == clusters
