"""TLS of both ports, from TF Serving's `ssl_config_file`."""

import dataclasses
import ssl
import tempfile
from pathlib import Path

import grpc

from serving.server.protocol.protos import SSLConfig, read_config

FLAG = "ssl_config_file"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TlsConfig:
    """Key and certificate of the server, and the authority of its clients.

    Args:
      key: PEM text.
      certificate: PEM text, the certificates that signed it behind it.
      authority: PEM text; empty: the system's authorities.
      checks_clients: A client needs a certificate that the authority signed.
    """

    key: bytes = dataclasses.field(repr=False)
    certificate: bytes
    authority: bytes
    checks_clients: bool

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Returns the credentials of the gRPC port."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.authority or None,
            require_client_auth=self.checks_clients,
        )

    def rest_context(self) -> ssl.SSLContext:
        """Returns the context of the REST port.

        Raises:
          ValueError: When the texts are not a key and its certificate.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            with tempfile.TemporaryDirectory(prefix="vitrine-tls-") as folder:  # OpenSSL reads a key from a file only.
                path = Path(folder) / "server.pem"
                path.touch(mode=0o600)
                path.write_bytes(self.key + b"\n" + self.certificate)
                context.load_cert_chain(path)
            if self.authority:
                context.load_verify_locations(cadata=self.authority.decode())
        except (ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise ValueError(
                f"--{FLAG}: its texts are no key with its certificate ({reason}); wanted PEM. Correct the file."
            ) from error
        if self.checks_clients:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_tls_config(path: Path) -> TlsConfig:
    """Reads a text-proto SSLConfig: key and certificate as PEM text, and the authority of clients.

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
    return TlsConfig(
        key=config.server_key.encode(),
        certificate=config.server_cert.encode(),
        authority=config.custom_ca.encode(),
        checks_clients=config.client_verify,
    )
