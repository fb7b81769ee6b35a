"""A server with TLS and tokens on both ports, asked by our client."""

import grpc
import pytest
import requests
import trustme
from tensorflow_serving.apis import model_management_pb2

from serving.client import Client, ClientError, Credentials
from serving.server.flags import parse_flags
from tests.serving.server import toy_models
from tests.serving.server.access.test_tls import write_config

SEARCH, EVENTS = "search-token-of-some-length", "events-token-of-some-length"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def locked(authority, serve_toy, tmp_path_factory):
    root = tmp_path_factory.mktemp("locked")
    toy_models.save_toy_bundle(root / "models" / "1")
    (root / "tokens").write_text(f"{SEARCH} search\n{EVENTS} events\n")
    authority.cert_pem.write_to_path(root / "ca.pem")
    mine = authority.issue_cert("a-client")
    mine.private_key_pem.write_to_path(root / "client.key")
    mine.cert_chain_pems[0].write_to_path(root / "client.pem")
    config = write_config(root / "ssl.config", authority, client_verify=True)
    flags = {"ssl_config_file": config, "tokens_file": root / "tokens", "trust_loopback": False}
    with serve_toy(root / "models", **flags) as served:
        yield served, root


def client(locked, surface: str, *, token: str = "", certificate: bool = True) -> Client:
    served, root = locked
    files = {"certificate_path": root / "client.pem", "key_path": root / "client.key"} if certificate else {}
    credentials = Credentials(token=token, ca_path=root / "ca.pem", **files)
    port = served.server.rest_port if surface == "rest" else served.server.grpc_port
    address = {"rest": f"https://localhost:{port}", "grpc": f"grpcs://localhost:{port}"}[surface]
    return Client(**{surface: address}, model_name="toy", credentials=credentials, timeout_seconds=30)


@pytest.mark.parametrize("surface", ["rest", "grpc"])
def test_token_and_certificate_open_both_ports(locked, surface):
    assert client(locked, surface, token=SEARCH).search(text="lamp").ids[0] == "lamp"


@pytest.mark.parametrize(("surface", "codes"), [("rest", ("401", "403")), ("grpc", ("UNAUTH", "PERMISSION"))])
def test_a_wrong_token_and_one_of_another_scope_are_told_apart(locked, surface, codes):
    for token, code in zip(("", EVENTS), codes, strict=True):
        with pytest.raises(ClientError, match=code) as caught:
            client(locked, surface, token=token).search(text="lamp")
        assert EVENTS not in str(caught.value)


@pytest.mark.parametrize("surface", ["rest", "grpc"])
def test_without_a_certificate_there_is_no_connection(locked, surface):
    with pytest.raises(ClientError, match="UNAVAILABLE"):
        client(locked, surface, token=SEARCH, certificate=False).search(text="lamp")


def test_plain_text_gets_no_answer_on_the_rest_port(locked):
    with pytest.raises(requests.RequestException):
        requests.get(f"http://localhost:{locked[0].server.rest_port}/healthz", timeout=30)


def test_health_needs_no_token(locked):
    served, root = locked
    files = {"verify": str(root / "ca.pem"), "cert": (str(root / "client.pem"), str(root / "client.key"))}
    url = f"https://localhost:{served.server.rest_port}"
    assert requests.get(f"{url}/readyz", timeout=30, **files).status_code == 200
    refused = requests.get(f"{url}/v1/models/toy", timeout=30, **files)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_reload_from_elsewhere_is_refused(words, monkeypatch):
    monkeypatch.setattr("serving.server.grpc_api.interceptor.is_local", lambda peer: False)
    with pytest.raises(grpc.RpcError) as refused:
        words.models.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_server_listens_on_loopback_unless_asked_otherwise():
    hosts = [parse_flags(["--model_base_path=/m", *more]).listen_host for more in ([], ["--strict"], ["--host=::1"])]
    assert hosts == ["127.0.0.1", "0.0.0.0", "::1"]


def test_credentials_never_show_the_token_and_are_checked():
    assert SEARCH not in repr(Credentials(token=SEARCH))
    with pytest.raises(ValueError, match="one of certificate_path and key_path; wanted both or none"):
        Credentials(certificate_path="client.pem")
    with pytest.raises(ValueError, match="a token with blanks or letters beyond ASCII; wanted one word"):
        Credentials(token="two words")
