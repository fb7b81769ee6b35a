from pathlib import Path

import pytest

from serving.client import descriptors
from serving.server.protocol import protos


def test_a_file_written_for_tf_serving_parses(tmp_path):
    path = tmp_path / "ssl.config"
    path.write_text('server_key: "key\\nlines"\nserver_cert: "cert"\ncustom_ca: "ca"\nclient_verify: true\n')
    config = protos.read_config(path, protos.SSLConfig(), flag="ssl_config_file")
    assert (config.server_key, config.server_cert, config.custom_ca, config.client_verify) == (
        "key\nlines",
        "cert",
        "ca",
        True,
    )
    # On the wire: field 4, varint (4 << 3 | 0 = 0x20), true.
    assert protos.SSLConfig(client_verify=True).SerializeToString() == b"\x20\x01"
    assert protos.SSLConfig.DESCRIPTOR.full_name == "tensorflow.serving.SSLConfig"


def test_monitoring_nests(tmp_path):
    path = tmp_path / "monitoring.config"
    path.write_text('prometheus_config { enable: true path: "/metrics" }')
    config = protos.read_config(path, protos.MonitoringConfig(), flag="monitoring_config_file")
    assert config.prometheus_config.enable
    assert config.prometheus_config.path == "/metrics"


def test_files_that_cannot_be_used_name_flag_and_place(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(ValueError, match="--ssl_config_file: .* cannot be read .No such file"):
        protos.read_config(path, protos.SSLConfig(), flag="ssl_config_file")
    path.write_text("server_kye: 'x'")
    with pytest.raises(ValueError, match="--ssl_config_file: .* is no text-proto SSLConfig: 1:1 .*server_kye"):
        protos.read_config(path, protos.SSLConfig(), flag="ssl_config_file")


def test_the_clients_descriptors_are_those_of_the_table():
    written = Path(descriptors.__file__).read_text(encoding="utf-8")
    assert written == protos.client_descriptors_text(), (
        "run python -m serving.server.protocol.protos > serving/client/descriptors.py"
    )
