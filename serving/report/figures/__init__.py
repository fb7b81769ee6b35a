"""Figures of the report: numbers from Examples, curves and a loaded bundle, without any layout."""
