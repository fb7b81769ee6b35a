"""What every test shares: quiet TensorFlow, Keras 2, repeatable hypothesis."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import hypothesis

import trainer  # noqa: F401  selects Keras 2 before any test imports TensorFlow

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("repeatable")
