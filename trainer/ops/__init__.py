"""Wire form to model tensors, in TensorFlow ops only: the same functions run in training and in the exported signatures."""
