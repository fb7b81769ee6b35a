"""Both ports over TLS, with the clients' certificates checked, from the file TF Serving reads."""

from pathlib import Path

import grpc
import pytest
import trustme
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.server.access.tls import read_tls_config
from serving.server.protocol.protos import SSLConfig

STATUS = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "toy"})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write_config(path: Path, authority: trustme.CA, *, client_verify: bool) -> Path:
    server = authority.issue_cert("localhost")
    config = SSLConfig(
        server_key=server.private_key_pem.bytes().decode(),
        server_cert=server.cert_chain_pems[0].bytes().decode(),
        custom_ca=authority.cert_pem.bytes().decode(),
        client_verify=client_verify,
    )
    path.write_text(str(config))
    return path


def ask(port: int, credentials: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    """The code of a status request; without credentials the channel speaks plain text."""
    address = f"localhost:{port}"
    make = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    with make as channel:
        try:
            model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(STATUS, timeout=10)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_only_clients_with_a_certificate_of_the_authority_are_answered(
    authority, half_plus_two_models, serve_toy, tmp_path
):
    path = write_config(tmp_path / "ssl.config", authority, client_verify=True)
    root = authority.cert_pem.bytes()
    mine, stranger = authority.issue_cert("a-client"), trustme.CA().issue_cert("a-client")

    def with_certificate(issued: trustme.LeafCert) -> grpc.ChannelCredentials:
        key, chain = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
        return grpc.ssl_channel_credentials(root, private_key=key, certificate_chain=chain)

    with serve_toy(half_plus_two_models["tf2"], ssl_config_file=path) as served:
        port = served.server.grpc_port
        assert ask(port, with_certificate(mine)) is grpc.StatusCode.OK
        assert ask(port, with_certificate(stranger)) is grpc.StatusCode.UNAVAILABLE
        assert ask(port, grpc.ssl_channel_credentials(root)) is grpc.StatusCode.UNAVAILABLE
        assert ask(port, None) is grpc.StatusCode.UNAVAILABLE


def test_files_that_cannot_be_used_say_why_and_never_show_the_key(authority, tmp_path):
    path = tmp_path / "ssl.config"
    path.write_text('server_key: "/etc/canary.key" server_cert: "/etc/server.pem"')
    with pytest.raises(ValueError, match="server_key in .* holds no PEM text; put the text itself") as caught:
        read_tls_config(path)
    assert "canary" not in str(caught.value)
    write_config(path, authority, client_verify=True)
    config = SSLConfig(server_key="-----BEGIN x", server_cert="-----BEGIN y", client_verify=True)
    path.write_text(str(config))
    with pytest.raises(ValueError, match="client_verify in .* needs custom_ca"):
        read_tls_config(path)
    config = SSLConfig(server_key="-----BEGIN canary", server_cert="-----BEGIN y")
    path.write_text(str(config))
    with pytest.raises(ValueError, match="its texts are no key with its certificate") as caught:
        read_tls_config(path).rest_context()
    assert "canary" not in str(caught.value)


def test_with_strict_the_rest_port_is_plain_text_as_that_of_tf_serving(
    authority, half_plus_two_models, serve_toy, tmp_path
):
    path = write_config(tmp_path / "ssl.config", authority, client_verify=False)
    with serve_toy(half_plus_two_models["tf2"], ssl_config_file=path, strict=True) as served:
        assert served.get("/v1/models/toy").status_code == 200
