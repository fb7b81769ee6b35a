"""The command line: TF Serving's flags, all of them."""

import re

import pytest

from serving.server.flags import IGNORED_FLAGS, UNLIMITED_BYTES, parse_flags, parse_flags_and_warnings
from serving.server.protocol.compatibility import EXTENDED, TF_SERVING

# The flags that TF Serving 2.20 lists under --help.
TF_SERVING_HELP = """
port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support
enable_batching allow_version_labels_for_unavailable_models batching_parameters_file
enable_per_model_batching_parameters model_config_file model_config_file_poll_wait_seconds model_name model_base_path
num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros file_system_poll_wait_seconds
flush_filesystem_caches tensorflow_session_parallelism tensorflow_session_config_file tensorflow_intra_op_parallelism
tensorflow_inter_op_parallelism use_alts_credentials ssl_config_file platform_config_file
per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments grpc_max_threads enable_model_warmup
num_request_iterations_for_warmup version monitoring_config_file remove_unused_fields_from_bundle_metagraph
prefer_tflite_model num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check
xla_cpu_compilation_enabled xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision
skip_initialize_tpu enable_grpc_healthcheck_service enable_serialization_as_tensor_content
"""
TF_SERVING_FLAGS = set(re.findall(r"\w+", TF_SERVING_HELP))


@pytest.mark.parametrize("name", sorted(TF_SERVING_FLAGS - {"version"}))
def test_every_flag_of_tf_serving_is_accepted_and_a_meaningless_one_costs_one_line(name):
    value = "true" if name.startswith(("enable", "allow", "rest_api_enable")) else "1"
    _, warnings = parse_flags_and_warnings(["--model_base_path=/m", f"--{name}={value}"])
    assert len(warnings) == (name in IGNORED_FLAGS)
    assert all(line.startswith(f"--{name} is ignored: ") for line in warnings)


def test_a_switch_needs_no_value_and_takes_one():
    assert parse_flags(["--model_base_path=/m", "--enable_batching"]).enable_batching
    assert not parse_flags(["--model_base_path=/m", "--enable_batching=false"]).enable_batching
    with pytest.raises(SystemExit):
        parse_flags(["--model_base_path=/m", "--enable_batching=perhaps"])


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_flags(["--version"])
    assert ended.value.code == 0
    assert "TensorFlow Library: 2.20" in capsys.readouterr().out


def test_what_to_serve_must_be_said(capsys):
    with pytest.raises(SystemExit):
        parse_flags([])
    assert "--model_base_path or --model_config_file is required" in capsys.readouterr().err


def test_strict_is_one_value():
    promising, strict = (
        parse_flags(["--model_base_path=/m", "--port=0", "--rest_api_port=0", *more]) for more in ((), ("--strict",))
    )
    assert (promising.compatibility, promising.port, promising.rest_api_port) == (EXTENDED, 0, 0)
    assert (strict.compatibility, strict.port, strict.rest_api_port) == (TF_SERVING, None, None)
    assert (promising.largest_body_bytes, strict.largest_body_bytes) == (64 << 20, UNLIMITED_BYTES)
