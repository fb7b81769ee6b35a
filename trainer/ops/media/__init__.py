"""Media ops: JPEG, PNG and WAV bytes to model tensors."""
