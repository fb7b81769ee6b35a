"""Cache of fetched media between runs: content by its hash, and an index by address.

Every file is written aside and renamed, and content is checked against its hash when it is read: a run that is killed,
or two at the same time, leave nothing half-written behind that would ever be used.
"""

import dataclasses
import hashlib
import json
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_preprocess import sharded_writer
from beam_preprocess.media.web.fetcher import Validators


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """Entry of an address: its content, or the error of the last fetch.

    Attributes:
      address: The address.
      checked: Epoch seconds of the last answer.
      sha256: Of the content, hexadecimal; "" without one.
      etag: `ETag` of the content.
      last_modified: `Last-Modified` of the content.
      error: Class of the error of the last fetch, "" when it succeeded.
      detail: Its detail.
    """

    address: str
    checked: float
    sha256: str = ""
    etag: str = ""
    last_modified: str = ""
    error: str = ""
    detail: str = ""

    @property
    def validators(self) -> Validators:
        """Validators of the content."""
        return Validators(self.etag, self.last_modified)


class MediaCache:
    """Cache in a local directory, or at an address that Beam has a file system for."""

    def __init__(self, directory: str) -> None:
        self._directory = directory.rstrip("/")

    def entry(self, address: str) -> CacheEntry | None:
        """Returns what is known of an address, None when nothing is."""
        data = _read(self._index_path(address))
        try:
            plain: dict[str, Any] = json.loads(data or b"null")
            entry = CacheEntry(**plain)
        except (ValueError, TypeError):
            return None
        return entry if entry.address == address else None

    def content(self, sha256: str) -> bytes | None:
        """Returns content by its hash, None when it is not there or damaged."""
        data = _read(self._content_path(sha256)) if sha256 else None
        return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None

    def add(self, content: bytes) -> str:
        """Stores content; returns its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self.content(sha256) is None:
            sharded_writer.write_file(self._content_path(sha256), content)
        return sha256

    def put(self, entry: CacheEntry) -> None:
        """Stores what is known of an address, in place of what was."""
        text = json.dumps(dataclasses.asdict(entry), sort_keys=True)
        sharded_writer.write_file(self._index_path(entry.address), text.encode())

    def _index_path(self, address: str) -> str:
        name = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._directory}/index/{name[:2]}/{name}.json"

    def _content_path(self, sha256: str) -> str:
        return f"{self._directory}/content/{sha256[:2]}/{sha256}"


def _read(path: str) -> bytes | None:
    try:
        with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            return file.read()
    except (OSError, BeamIOError):
        return None
