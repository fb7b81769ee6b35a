"""The TF Serving protocol without a transport: signatures, tensors, errors, Predict and inference."""
