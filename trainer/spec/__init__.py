"""What the model is, as plain data: records, features, tasks, configuration and signatures. Imports no TensorFlow."""
