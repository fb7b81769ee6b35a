import pytest

from trainer.training import checkpoint_evaluator


def test_the_evaluator_measures_each_checkpoint_and_ends_with_the_run(rig, shop, work_dir, tmp_path, monkeypatch):
    config = rig.config()
    folder = tmp_path / "checkpoints-key"
    monkeypatch.setattr(checkpoint_evaluator, "run_key", lambda *unused, **named: "key")
    loop = rig.loop(folder)
    turns = iter([lambda: None, loop.run])

    def sleep(seconds):
        next(turns)()

    found = checkpoint_evaluator.evaluate_checkpoints(
        config, shop, work_dir=work_dir, log_dir=str(tmp_path / "logs"), checkpoints=str(tmp_path), sleep=sleep
    )
    assert list(found) == [24]
    validation = rig.context.validation
    assert found[24] == pytest.approx(validation.recall())
    assert list((tmp_path / "logs" / "evaluator").iterdir())
