"""`tfx_pipeline.py --compile kubeflow`: what it writes, read back by the service's own messages and kept as golden."""

import json

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

import tfx_pipeline
from tests.support.golden import check_golden

FLAGS = ("--project=shop-project", "--region=europe-west4", "--image=docker/vitrine:1", "--root=gs://bucket/vitrine")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    output = tmp_path_factory.mktemp("compiled")
    flags = [*FLAGS, "--preset=tiny", "--shop=gs://bucket/shop", "--compile=kubeflow", "--machine=n2-standard-8"]
    assert tfx_pipeline.main([*flags, "--trials=3", f"--output={output}"]) == 0
    return output, json.loads((output / "pipeline.json").read_text())


@pytest.fixture(scope="module")
def spec(written):
    """The pipeline as the service's message; a field that it does not have is an error."""
    return json_format.ParseDict(written[1]["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())


def executors(spec):
    deployment = json_format.MessageToDict(spec.deployment_spec)
    return {name.removesuffix("_executor"): value["container"] for name, value in deployment["executors"].items()}


def test_every_step_is_there_in_order(spec):
    lines = []
    for name, task in sorted(spec.root.dag.tasks.items()):
        container = executors(spec).get(name, {"args": [], "image": ""})
        arguments = container["args"]
        executor = arguments[arguments.index("--executor_class_path") + 1] if arguments else "importer"
        lines += [name, f"  after {', '.join(sorted(task.dependent_tasks)) or 'nothing'}", f"  runs {executor}"]
        lines += [f"  {argument}" for argument in arguments[4:]]
        for key, parameter in sorted(task.inputs.parameters.items()):
            value = parameter.runtime_value.constant_value.string_value
            if value.startswith("gs://"):
                lines.append(f"  {key} = {value.rpartition('-')[0] or value}")
    check_golden("kubeflow.txt", "\n".join(lines))


def test_training_is_a_managed_job_on_the_given_machine(spec):
    parameters = spec.root.dag.tasks["Trainer"].inputs.parameters
    custom = json.loads(parameters["custom_config"].runtime_value.constant_value.string_value)
    assert custom["ai_platform_enable_vertex"] is True
    assert custom["ai_platform_vertex_region"] == "europe-west4"
    job = custom["ai_platform_training_args"]
    assert job["project"] == "shop-project"
    [pool] = job["job_spec"]["worker_pool_specs"]
    assert pool["machine_spec"] == {"machine_type": "n2-standard-8"}
    assert pool["container_spec"] == {"image_uri": "docker/vitrine:1"}
    from google.cloud.aiplatform_v1.types import CustomJob

    assert (
        CustomJob({"display_name": "x", "job_spec": job["job_spec"]}).job_spec.worker_pool_specs[0].replica_count == 1
    )


def test_beam_runs_on_dataflow_in_the_given_place(spec):
    for step in ("ItemsGen", "EventsGen", "Transform", "ItemsStatistics"):
        arguments = executors(spec)[step]["args"]
        assert {
            "--runner=DataflowRunner",
            "--project=shop-project",
            "--region=europe-west4",
            "--temp_location=gs://bucket/vitrine/temp",
            "--sdk_container_image=docker/vitrine:1",
        } <= set(arguments)


def test_outputs_and_schemas_are_below_the_root(written):
    output, job = written
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/vitrine/artifacts"
    text = json.dumps(job)
    assert str(output) not in text
    for path in (output / "schema").iterdir():
        assert f"gs://bucket/vitrine/schema/{path.name}" in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("--project=", "--project is empty; a compiled pipeline needs it"),
        ("--root=here", "--root is 'here'; the machines of a managed service need a remote folder"),
        ("--shop=here", "--shop is 'here'; Dataflow needs a remote one"),
    ],
)
def test_what_a_compiled_pipeline_needs_is_said(changed, said, capsys, tmp_path):
    flags = [*FLAGS, "--shop=gs://bucket/shop", "--compile=kubeflow", f"--output={tmp_path}", changed]
    assert tfx_pipeline.main(flags) == 2
    assert said in capsys.readouterr().out
