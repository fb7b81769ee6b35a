"""Builds the same distribution as `pip install .`: Beam's --setup_file and managed training jobs take a setup.py.

Name, version, packages and dependencies are stated once, in pyproject.toml.
"""

from setuptools import setup

setup()
