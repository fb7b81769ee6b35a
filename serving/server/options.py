"""Server options from the files that flags name: TLS, metrics, access of administrators."""

import dataclasses

import grpc

from serving.server.flags import ServerFlags
from serving.server.grpc_api.admin_access import AdminAccess, read_token
from serving.server.grpc_api.tls import grpc_credentials
from serving.server.protocol.protos import MonitoringConfig, read_config
from serving.server.telemetry.metrics import Metrics, metrics_path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options read once, before anything listens, so that a wrong file ends the start and not a request.

    Args:
      credentials: Of the gRPC port; None: without TLS.
      metrics: The metrics; None: no page.
      admin_access: Authorises calls that change the server.
    """

    credentials: grpc.ServerCredentials | None
    metrics: Metrics | None
    admin_access: AdminAccess


def read_server_options(flags: ServerFlags) -> ServerOptions:
    """Reads the files that the flags name.

    Raises:
      ValueError: When a file that a flag names cannot be used.
    """
    path = None
    if flags.monitoring_config_file:
        config = read_config(flags.monitoring_config_file, MonitoringConfig(), flag="monitoring_config_file")
        path = metrics_path(config)
    token = read_token(flags.admin_token_file) if flags.admin_token_file else None
    return ServerOptions(
        credentials=grpc_credentials(flags.ssl_config_file) if flags.ssl_config_file else None,
        metrics=Metrics(path) if path else None,
        admin_access=AdminAccess(token, allow_all=not flags.compatibility.restricts_admin_calls),
    )
