"""The trainer package. Importing it selects Keras 2, which TF-Recommenders needs."""

import os
import sys

if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise ImportError(
        "TensorFlow was imported before Keras 2 was selected. "
        "Set TF_USE_LEGACY_KERAS=1 in the environment, or import trainer first."
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"
