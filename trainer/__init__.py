"""Training of the two-tower model. Importing it selects Keras 2, which TF-Recommenders needs, for this process.

Where TensorFlow was imported before, Keras is chosen already: the import then changes nothing, and the packages that
need Keras 2 raise by `require_keras_2`.
"""

import os
import sys

_VARIABLE = "TF_USE_LEGACY_KERAS"
_LEGACY_VALUES = ("1", "true", "True")  # those that TensorFlow accepts

if "tensorflow" not in sys.modules:
    os.environ[_VARIABLE] = "1"


def require_keras_2() -> None:
    """Refuses a process in which TensorFlow has chosen Keras 3.

    Raises:
      ImportError: TensorFlow was imported before Keras 2 was selected.
    """
    if os.environ.get(_VARIABLE) not in _LEGACY_VALUES:
        raise ImportError(
            "TensorFlow was imported before Keras 2 was selected. "
            f"Set {_VARIABLE}=1 in the environment, or import vitrine or trainer before tensorflow."
        )
