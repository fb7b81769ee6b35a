"""The version of the distribution `vitrine-search`, from its metadata or, in a bare checkout, from pyproject.toml."""

import importlib.metadata
import tomllib
from pathlib import Path

DISTRIBUTION = "vitrine-search"
_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def read_version(project: Path = _PROJECT) -> str:
    """Returns the version of this source tree, or of the installed distribution where there is no source tree."""
    try:
        found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    except OSError:
        return importlib.metadata.version(DISTRIBUTION)
    return str(found["version"]) if found["name"] == DISTRIBUTION else importlib.metadata.version(DISTRIBUTION)


__version__ = read_version()
