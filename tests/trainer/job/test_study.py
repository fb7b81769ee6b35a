import json

from trainer.job.study import report_metric


def test_a_study_reads_one_line_for_each_report(tmp_path):
    path = tmp_path / "study" / "output.metrics"
    environment = {"CLOUD_ML_HP_METRIC_FILE": str(path), "CLOUD_ML_TRIAL_ID": "7"}
    assert report_metric(0.25, step=10, environment=environment) == path
    report_metric(0.5, step=20, environment=environment)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    # What the service's reader takes: text for numbers, the metric under its own name.
    assert [(line["trial"], line["recall_at_10"], line["global_step"]) for line in lines] == [
        ("7", "0.25", "10"),
        ("7", "0.5", "20"),
    ]
    assert lines[0]["timestamp"] > 1_700_000_000


def test_outside_a_study_nothing_is_written():
    assert report_metric(0.25, step=10, environment={}) is None
