"""Served models: loading, versions, batching and reload."""
