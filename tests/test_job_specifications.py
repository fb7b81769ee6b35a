"""The job specifications of docs/operations.md against the service's own types, and against our command line."""

import argparse
import re
from pathlib import Path

import pytest
import yaml
from google.cloud.aiplatform_v1 import types
from google.protobuf import json_format

from trainer import task
from trainer.job.flags import config_from_flags
from trainer.job.study import METRIC
from trainer.spec.search_space import SEARCH_SPACE, Range

PAGE = (Path(__file__).resolve().parents[1] / "docs/operations.md").read_text(encoding="utf-8")
KINDS = {"CustomJob": types.CustomJob, "HyperparameterTuningJob": types.HyperparameterTuningJob}
BLOCKS = re.findall(r"```yaml\n# (\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
NAMES = ["vitrine", "vitrine-workers", "vitrine-accelerator", "vitrine-study"]


def job(name):
    """The specification of that name as the service's message; a field that it does not have is an error."""
    [(kind, text)] = [(kind, text) for kind, text in BLOCKS if f"displayName: {name}\n" in text]
    return json_format.ParseDict(yaml.safe_load(text), KINDS[kind].pb()())


def pools(message):
    spec = message.trial_job_spec if hasattr(message, "trial_job_spec") else message.job_spec
    return [pool for pool in spec.worker_pool_specs if pool.replica_count]


def test_the_page_shows_all_four():
    assert [re.search("displayName: (.*)", text)[1] for _, text in BLOCKS] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_specification_is_one_of_the_services_and_starts_our_module(name):
    for pool in pools(job(name)):
        package = pool.python_package_spec
        assert package.python_module == "trainer.task"
        assert package.package_uris == ["gs://bucket/vitrine_search-0.1.0.tar.gz"]
        assert pool.machine_spec.machine_type
        options = task.parser().parse_args(list(package.args))
        assert isinstance(options, argparse.Namespace)
        config_from_flags(options)


def test_what_is_not_a_field_of_the_service_is_found():
    with pytest.raises(json_format.ParseError, match="machineTipe"):
        json_format.ParseDict({"jobSpec": {"workerPoolSpecs": [{"machineTipe": "x"}]}}, types.CustomJob.pb()())


def test_workers_accelerators_and_evaluator_are_where_the_service_looks_for_them():
    specs = job("vitrine-workers").job_spec.worker_pool_specs
    assert [pool.replica_count for pool in specs] == [1, 3, 0, 1]  # chief, workers, no parameter server, evaluator
    [pool] = pools(job("vitrine-accelerator"))
    assert pool.machine_spec.accelerator_type == types.AcceleratorType.NVIDIA_L4
    assert pool.machine_spec.accelerator_count == 2


def test_the_study_is_over_the_declared_space_and_reads_our_metric():
    study = job("vitrine-study").study_spec
    assert [metric.metric_id for metric in study.metrics] == [METRIC]
    found = {parameter.parameter_id: parameter for parameter in study.parameters}
    assert list(found) == [dimension.path for dimension in SEARCH_SPACE]
    scale = types.StudySpec.ParameterSpec.ScaleType
    for dimension in SEARCH_SPACE:
        parameter = found[dimension.path]
        if isinstance(dimension, Range):
            values = parameter.double_value_spec
            assert (values.min_value, values.max_value) == (dimension.low, dimension.high)
            wanted = scale.UNIT_LOG_SCALE if dimension.logarithmic else scale.UNIT_LINEAR_SCALE
            assert parameter.scale_type == wanted
        else:
            assert tuple(parameter.discrete_value_spec.values) == dimension.values
        # What the service passes is a flag that our command line takes.
        value = dimension.low if isinstance(dimension, Range) else float(dimension.values[0])
        config_from_flags(task.parser().parse_args([f"--{dimension.path}={value}"]))
