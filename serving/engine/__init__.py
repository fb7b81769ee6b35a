"""The search engine in the graph: query, candidates, ranking, filters and explanations.

Importing the package selects Keras 2 before any of its modules loads TensorFlow; it does not load TensorFlow.
"""

import trainer  # noqa: F401  (its import sets TF_USE_LEGACY_KERAS)
