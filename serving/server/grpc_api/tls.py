"""TLS of the gRPC port, from TF Serving's `ssl_config_file`."""

from pathlib import Path

import grpc

from serving.server.protocol.protos import SSLConfig, read_config

FLAG = "ssl_config_file"


def grpc_credentials(path: Path) -> grpc.ServerCredentials:
    """Reads credentials from a text-proto SSLConfig: key and certificate as PEM text, and the authority of clients.

    Raises:
      ValueError: When the file cannot be used; the message never quotes the key.
    """
    config = read_config(path, SSLConfig(), flag=FLAG)
    for field in ("server_key", "server_cert"):
        if "-----BEGIN " not in getattr(config, field):
            raise ValueError(f"--{FLAG}: {field} in {str(path)!r} holds no PEM text; put the text itself, not a path.")
    if config.client_verify and not config.custom_ca:
        raise ValueError(
            f"--{FLAG}: client_verify in {str(path)!r} needs custom_ca, the certificate that signed the clients'."
        )
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
