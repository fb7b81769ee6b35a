"""Writing of the report: the page is made when its packages are installed, and a failure costs the page alone."""

import logging
import os
from pathlib import Path

from serving import remote_files
from serving.report.inputs import ReportInputs

REPORT_NAME = "report.html"
_LOG = logging.getLogger(__name__)
_HEAD_BYTES = 4096  # of a page, in which its key stands
_KEY = '<meta name="vitrine-key" content="'


def write_report(inputs: ReportInputs, path: str | Path, *, key: str = "") -> bool:
    """Writes the page; one that could not be made is logged, never raised.

    Args:
      inputs: What the report is made of.
      path: The file, local or remote.
      key: Hash of everything that the report depends on, for `is_current`.

    Returns:
      Whether it was written.
    """
    try:
        from serving.report.run_report import make_report

        _write(str(path), make_report(inputs, key=key))
    except ImportError as error:
        _LOG.warning("There is no report: %s. Install the extra `report` (docs/dependencies.md).", error)
        return False
    except Exception as error:
        _LOG.warning("The report %s could not be written: %s: %s", path, type(error).__name__, error, exc_info=error)
        return False
    return True


def is_current(path: str | Path, *, key: str) -> bool:
    """Whether the page at a path was made of what `key` is the hash of."""
    try:
        head = remote_files.read_bytes(path)[:_HEAD_BYTES].decode("utf-8", "replace")
    except OSError:
        return False
    return f'{_KEY}{key}"' in head


def _write(path: str, page: str) -> None:
    """Writes the page whole or not at all where the file is local."""
    if remote_files.is_remote(path):
        remote_files.write_text(path, page)
        return
    remote_files.write_text(f"{path}.tmp", page)
    os.replace(f"{path}.tmp", path)
