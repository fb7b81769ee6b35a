"""Wire form to model tensors, in TensorFlow ops only.

The same functions run when the training tables are written and in the exported signatures.
"""
