"""What the flags say about everything around the protocol: TLS, metrics, administrators, logs."""

import dataclasses

import grpc

from serving.server.flags import ServerFlags
from serving.server.grpc_api.admin_access import Admins, read_token
from serving.server.grpc_api.tls import grpc_credentials
from serving.server.protocol.config_protos import MonitoringConfig, read_config
from serving.server.telemetry.metrics import Metrics, metrics_path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Read once, before anything listens, so that a wrong file ends the start and not a request.

    Args:
      credentials: Of the gRPC port; None: without TLS.
      metrics: The metrics; None: no page.
      admins: Who may change the server.
    """

    credentials: grpc.ServerCredentials | None
    metrics: Metrics | None
    admins: Admins


def read_surroundings(flags: ServerFlags) -> Surroundings:
    """The surroundings that the flags describe.

    Raises:
      ValueError: When a file that a flag names cannot be used.
    """
    path = None
    if flags.monitoring_config_file:
        config = read_config(flags.monitoring_config_file, MonitoringConfig(), flag="monitoring_config_file")
        path = metrics_path(config)
    token = read_token(flags.admin_token_file) if flags.admin_token_file else None
    return Surroundings(
        credentials=grpc_credentials(flags.ssl_config_file) if flags.ssl_config_file else None,
        metrics=Metrics(path) if path else None,
        admins=Admins(token, everybody=not flags.behaviour.guards_changes),
    )
