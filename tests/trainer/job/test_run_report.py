from trainer.job.run_report import run_report
from trainer.spec.presets import tiny


def entry(epoch):
    return {"epoch": epoch, "step": 10 * epoch, "examples_per_second": 99.6, "losses": {"retrieval": 2.0 / epoch}}


def test_the_page_has_configuration_epochs_and_evaluation():
    history = [{**entry(epoch), "recall@10": epoch / 100} for epoch in range(1, 26)]
    page = run_report(tiny(), facts={"model_id": "abc", "steps": 250}, history=history, table="recall@10 0.5\n")
    assert "- model id: abc\n- steps: 250" in page
    assert "- `tower.dim` = 16" in page
    assert "`train.seed`" not in page  # as in the default
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    # 25 epochs in strides of 3: the heading, its rule, nine rows of which the last is the last epoch.
    assert rows[0] == "| epoch | step | loss retrieval | recall@10 | examples/s |"
    assert rows[2] == "| 1 | 10 | 2.0000 | 0.010 | 100 |"
    assert rows[-1] == "| 25 | 250 | 0.0800 | 0.250 | 100 |"
    assert len(rows) == 11
    assert "```\nrecall@10 0.5\n```" in page
    assert len(page.splitlines()) < 60


def test_a_run_without_epochs_has_a_page_too():
    assert "## Epochs\n\nNone." in run_report(tiny(), facts={}, history=[], table="")
