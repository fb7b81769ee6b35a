"""Ops from wire form to model inputs, TensorFlow alone.

The same functions run when the training tables are written and in the exported signatures.
"""
