"""Runs that are killed, asked to stop, starved of disk or fed bad numbers."""

import dataclasses
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer.training.checkpoints import CheckpointError
from trainer.training.distributed.preemption import Preempted
from trainer.training.steps import StepMetrics

ROOT = Path(__file__).resolve().parents[3]


def assert_same_weights(rig, expected):
    for variable, value in zip(rig.context.model.variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=0, atol=1e-6, err_msg=variable.name)


@pytest.mark.extended
@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_with_the_weights_of_the_unbroken_one(rig, unbroken, shop, tmp_path):
    """Each life a process, ended by SIGKILL in the step after a random one: perhaps while it writes a checkpoint."""
    (tmp_path / "inputs.json").write_text(json.dumps(dataclasses.asdict(shop)))
    steps = sorted(np.random.default_rng(4).integers(1, 24, size=10).tolist())
    command = [sys.executable, "-m", "tests.support.killed_run", str(tmp_path), *(f"SIGKILL:{step}" for step in steps)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    lives = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [life["code"] for life in lives] == [-signal.SIGKILL] * 10 + [0]
    assert (lives[0]["first"], lives[-1]["last"]) == (1, 24)
    # Each goes on behind the last checkpoint, of which there is one every three steps.
    for killed, after in itertools.pairwise(lives):
        assert after["first"] % 3 == 1
        assert -1 <= killed["last"] - after["first"] < 3
    with np.load(tmp_path / "weights.npz") as weights:
        for index, (variable, value) in enumerate(zip(rig.context.model.variables, unbroken, strict=True)):
            np.testing.assert_allclose(weights[f"arr_{index}"], value, rtol=0, atol=1e-6, err_msg=variable.name)


def test_a_run_that_is_asked_to_stop_saves_its_step_and_continues(rig, unbroken, tmp_path):
    loop = rig.loop(tmp_path)

    def step(iterator, number, *, stopping):
        if number == 4:
            loop.context.preemption.requested = True
        return rig.context.train_step.step(iterator, number, stopping=loop.context.preemption.requested)

    object.__setattr__(loop.context, "train_step", rig.train_step(step=step))
    with pytest.raises(Preempted, match="stopped after step 5 of 24; its checkpoint is written"):
        loop.run()
    assert loop.context.checkpoints.steps() == [3, 5]
    rig.spoil()
    rig.loop(tmp_path).run()
    assert_same_weights(rig, unbroken)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(rig, unbroken, tmp_path, caplog):
    rig.loop(tmp_path).run()
    (data,) = tmp_path.glob("step-0000000024/weights.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    data.write_bytes(content)
    rig.spoil()
    rig.loop(tmp_path).run()
    assert "step-0000000024 is damaged (weights.data-00000-of-00001 is not what was written)" in caplog.text
    assert_same_weights(rig, unbroken)


def test_a_full_disk_is_reported_and_costs_no_checkpoint(rig, unbroken, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = 3 * sum(variable.numpy().nbytes for variable in rig.variables) // 2  # one checkpoint and a half
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs more rights than this user has")
    try:
        with pytest.raises(CheckpointError, match=r"step 6 could not .*No space left.*that of step 3 is intact"):
            rig.loop(disk).run()
        assert sorted(os.listdir(disk)) == ["step-0000000003"]
        loop = rig.loop(disk)
        assert loop.context.checkpoints.restore()["step"] == 3
        subprocess.run(["mount", "-o", f"remount,size={20 * size}", disk], check=True)
        rig.spoil()
        rig.loop(disk).run()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert_same_weights(rig, unbroken)


def test_a_value_that_is_no_number_stops_the_run_and_is_named(rig, tmp_path):
    class Poisoned:
        """Batch 7 has prices that are not numbers."""

        def batch(self, number, **shard):
            batch = rig.context.batches.batch(number, **shard)
            if number == 7:
                batch["items"]["price_scaled"][2:] = np.nan
            return batch

        def dataset(self, start, **options):
            return tf.data.Dataset.range(start, 24).map(self._made)

        def _made(self, number):
            flat = tf.nest.flatten(self.batch(0))
            arrays = tf.numpy_function(
                lambda n: tf.nest.flatten(self.batch(int(n))), [number], [array.dtype for array in flat]
            )
            for tensor, array in zip(arrays, flat, strict=True):
                tensor.set_shape([None, *array.shape[1:]])
            return tf.nest.pack_sequence_as(self.batch(0), arrays)

    row = int(rig.context.batches.batch(7)["item_rows"][2])
    with pytest.raises(FloatingPointError) as stopped:
        rig.loop(tmp_path, batches=Poisoned()).run()
    message = str(stopped.value)
    assert "Training stopped at step 7" in message
    assert f"feature 'price_scaled' of the item side (store row {row}), seen in head 'retrieval'" in message
    loop = rig.loop(tmp_path)
    assert loop.context.checkpoints.steps() == [3, 6]
    rig.spoil()
    loop.context.checkpoints.restore()
    assert all(np.isfinite(weights).all() for weights in rig.weights())


def test_a_loss_that_explodes_stops_the_run(rig, tmp_path):
    def step(iterator, number, *, stopping):
        measured = rig.context.train_step.step(iterator, number, stopping=stopping)
        if number < 12:
            return measured
        return StepMetrics(
            losses={**measured.losses, "click": 1e6},
            total=1e6,
            gradient_norm=1.0,
            weights=measured.weights,
        )

    with pytest.raises(FloatingPointError, match=r"step 12: the loss of 'click' rose to 1e\+06 from .*steepest branch"):
        rig.loop(tmp_path, train_step=rig.train_step(step=step)).run()


def test_a_run_stops_when_the_held_out_recall_does_not_rise_and_leaves_its_best(rig, tmp_path):
    recalls = iter([0.5, 0.4, 0.3])
    seen = []

    class Falling:
        def recall(self):
            seen.append(rig.weights())
            return next(recalls)

    loop = rig.loop(tmp_path, validation=Falling(), config=rig.config(patience=1))
    loop.run()
    # Epochs of 10: the best at step 10, worse at step 20, which ends a run of patience 1.
    assert len(seen) == 2
    assert (loop._step, loop._best_step) == (20, 10)
    assert_same_weights(rig, seen[0])
    # Started again, it is done, with the best weights.
    rig.spoil()
    rig.loop(tmp_path, validation=Falling(), config=rig.config(patience=1)).run()
    assert_same_weights(rig, seen[0])


def test_the_history_holds_every_epoch(rig, tmp_path, caplog):
    loop = rig.loop(tmp_path)
    with caplog.at_level(logging.INFO, logger="trainer"):
        loop.run()
    history = loop.context.progress.history
    assert [(entry["epoch"], entry["step"]) for entry in history] == [(1, 10), (2, 20), (3, 24)]
    assert history[2]["losses"]["retrieval"] < history[0]["losses"]["retrieval"]
    assert "epoch 2/3, step 20/24: loss " in caplog.text
    assert "examples/s, about " in caplog.text
