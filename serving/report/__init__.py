"""Run report: one HTML page about data, accuracy and answers of a bundle, with charts, for a person.

Importing the package selects Keras 2 before any of its modules loads TensorFlow; it does not load TensorFlow.
"""

import trainer  # noqa: F401  (its import sets TF_USE_LEGACY_KERAS)
