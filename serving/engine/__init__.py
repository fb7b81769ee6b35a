"""The search engine in the graph: query, candidates, ranking, filters and explanations.

Importing the package selects Keras 2 before any of its modules loads TensorFlow, or refuses where it is too late.
"""

from trainer import require_keras_2

require_keras_2()
