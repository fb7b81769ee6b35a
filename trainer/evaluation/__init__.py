"""Exact evaluation with baselines, and its report."""
