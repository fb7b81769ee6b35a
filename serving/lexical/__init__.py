"""Lexical search: BM25, spelling correction and autocomplete.

Importing the package selects Keras 2 before any of its modules loads TensorFlow, or refuses where it is too late.
"""

from trainer import require_keras_2

require_keras_2()
