"""The encoded catalogue: item vectors, columns and forecasts in the row order of a bundle.

Importing the package selects Keras 2 before any of its modules loads TensorFlow, or refuses where it is too late.
"""

from trainer import require_keras_2

require_keras_2()
