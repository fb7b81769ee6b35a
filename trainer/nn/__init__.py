"""Keras layers with flat arguments; nothing here reads the configuration."""
