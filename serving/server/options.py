"""Server options from the files that flags name: TLS, metrics, access."""

import dataclasses

from serving.server.access.access_rules import AccessRules
from serving.server.access.tls import TlsConfig, read_tls_config
from serving.server.access.tokens import read_tokens
from serving.server.flags import ServerFlags
from serving.server.protocol.protos import MonitoringConfig, read_config
from serving.server.telemetry.metrics import DEFAULT_PATH, Metrics, metrics_path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options read once, before anything listens, so that a wrong file ends the start and not a request.

    Args:
      tls: Of both ports, with --strict of the gRPC port; None: without TLS.
      metrics: The metrics; None: no page.
      access: Authorises calls.
    """

    tls: TlsConfig | None
    metrics: Metrics | None
    access: AccessRules


def read_server_options(flags: ServerFlags) -> ServerOptions:
    """Reads the files that the flags name.

    Raises:
      ValueError: When a file that a flag names cannot be used.
    """
    tokens = read_tokens(flags.tokens_file, flags.admin_token_file)
    return ServerOptions(
        tls=read_tls_config(flags.ssl_config_file) if flags.ssl_config_file else None,
        metrics=_metrics(flags),
        access=AccessRules(
            tokens,
            trusts_loopback=flags.trust_loopback,
            locks_changes=flags.compatibility.restricts_admin_calls,
        ),
    )


def _metrics(flags: ServerFlags) -> Metrics | None:
    """The metrics of the config file, for every caller; without one those for local callers."""
    if flags.monitoring_config_file:
        config = read_config(flags.monitoring_config_file, MonitoringConfig(), flag="monitoring_config_file")
        path = metrics_path(config)
        return Metrics(path) if path else None
    return Metrics(DEFAULT_PATH, is_public=False) if flags.compatibility.has_local_metrics else None
