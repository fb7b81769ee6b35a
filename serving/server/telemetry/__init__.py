"""Telemetry: structured log, metrics and request ids."""
