"""Paths without wildcards: the same folder, and what TensorFlow restores below it."""

import os

import pytest
import tensorflow as tf

from serving.server.sessions.saved_model import LoadedModel
from trainer.plain_paths import plain_path
from trainer.training.checkpoints import Checkpoints

ODD = ["out [v2]", "out?", "o*t", "a\\b"]


class Counter(tf.Module):
    def __init__(self, value):
        super().__init__()
        self.value = tf.Variable(value)

    @tf.function(input_signature=[], autograph=False)
    def serve(self):
        return {"value": self.value + 0.0}


def test_a_path_without_wildcards_and_a_remote_one_stay_as_they_are(tmp_path):
    assert plain_path(tmp_path) == str(tmp_path)
    assert plain_path("gs://bucket/out [v2]") == "gs://bucket/out [v2]"


@pytest.mark.parametrize("name", ODD)
def test_a_path_with_wildcards_is_the_same_folder_by_another_path(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    plain = plain_path(folder)
    assert not set("*?[\\") & set(plain)
    assert os.path.samefile(plain, folder)
    assert plain_path(folder) == plain
    os.unlink(plain)  # a child of a fork removes it when it ends
    assert os.path.samefile(plain_path(folder), folder)


@pytest.mark.parametrize("name", ODD)
def test_checkpoints_and_models_are_restored_below_a_path_with_wildcards(tmp_path, name):
    counter = Counter(3.0)
    Checkpoints(str(tmp_path / name), keep=1, counter=counter).save(1, {})
    counter.value.assign(0.0)
    assert Checkpoints(str(tmp_path / name), keep=1, counter=counter).restore() == {"step": 1}
    assert counter.value.numpy() == 3.0

    tf.saved_model.save(counter, str(tmp_path / name / "model"), signatures={"serving_default": counter.serve})
    assert tf.saved_model.load(plain_path(tmp_path / name / "model")).value.numpy() == 3.0
    served = LoadedModel(tmp_path / name / "model", missing_libraries={})
    answer = served.run(served.signatures["serving_default"], {}, outputs=("value",))
    assert answer["value"] == 3.0
    served.close()
