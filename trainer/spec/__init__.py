"""Declaration of the model as plain data: records, features, tasks, configuration, signatures. No TensorFlow."""
