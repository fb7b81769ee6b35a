import json

import pytest

from trainer.job.environment import ServiceEnvironment, read_service_environment, use_cluster_spec


def test_the_environment_gives_the_locations():
    service = read_service_environment(
        {
            "AIP_MODEL_DIR": "gs://b/model/",
            "AIP_CHECKPOINT_DIR": "gs://b/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": "gs://b/logs/",
            "AIP_TRAINING_DATA_URI": "gs://b/data/events/train/*",
            "AIP_VALIDATION_DATA_URI": "gs://b/data/events/eval/*",
            "AIP_TEST_DATA_URI": "gs://b/data/events/test/*",
            "AIP_DATA_FORMAT": "tfrecord",
        }
    )
    assert service == ServiceEnvironment(
        model_dir="gs://b/model",
        checkpoint_dir="gs://b/checkpoints",
        log_dir="gs://b/logs",
        training="gs://b/data/events/train/*",
        validation="gs://b/data/events/eval/*",
        test="gs://b/data/events/test/*",
    )
    assert read_service_environment({}) == ServiceEnvironment()


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="AIP_DATA_FORMAT is 'jsonl'; training reads .*beam_preprocess"):
        read_service_environment({"AIP_DATA_FORMAT": "jsonl"})


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "worker", ("worker", 3)),
        ({"chief": ["a:1"], "worker": ["b:1"], "evaluator": ["d:1"]}, "evaluator", ("evaluator", 2)),
        ({"chief": ["a:1"]}, "chief", ("", 1)),  # a job of one machine is no cluster
    ],
)
def test_tf_config_gives_the_task(cluster, task, expected):
    config = json.dumps({"cluster": cluster, "task": {"type": task, "index": 0}})
    service = read_service_environment({"TF_CONFIG": config})
    assert (service.task, service.num_workers) == expected


def test_a_cluster_spec_becomes_a_tf_config():
    spec = {
        "cluster": {"workerpool0": ["a:2222"], "workerpool1": ["b:2222", "c:2222"], "workerpool3": ["d:2222"]},
        "environment": "cloud",
        "task": {"type": "workerpool1", "index": 1},
    }
    environment = {"CLUSTER_SPEC": json.dumps(spec)}
    use_cluster_spec(environment)
    assert json.loads(environment["TF_CONFIG"]) == {
        "cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"], "evaluator": ["d:2222"]},
        "task": {"type": "worker", "index": 1},
    }
    # The service's own TF_CONFIG stands.
    environment = {"CLUSTER_SPEC": json.dumps(spec), "TF_CONFIG": "{}"}
    use_cluster_spec(environment)
    assert environment["TF_CONFIG"] == "{}"


def test_unusable_variables_are_reported():
    with pytest.raises(ValueError, match="TF_CONFIG is not JSON"):
        read_service_environment({"TF_CONFIG": "{"})
    with pytest.raises(ValueError, match="CLUSTER_SPEC is '3'; wanted the cluster as an object"):
        use_cluster_spec({"CLUSTER_SPEC": "3"})
    with pytest.raises(ValueError, match="task of type 'ps'.*Take parameter servers out"):
        read_service_environment(
            {"TF_CONFIG": '{"cluster": {"chief": ["a"], "ps": ["b"]}, "task": {"type": "ps", "index": 0}}'}
        )
