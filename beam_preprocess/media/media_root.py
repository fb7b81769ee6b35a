"""Media root: the rule for which media URIs of a record may be read, and reading them with a size limit."""

import dataclasses
import hashlib
import os
import pathlib
import urllib.parse
from collections.abc import Iterator

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_preprocess.media.uri_spellings import spellings
from beam_preprocess.media.web.rules import SCHEMES, FetchError, FetchRules, web_address
from beam_preprocess.media.web.web_media import web_media

_MAX_MEDIUM_BYTES = 256 * 2**20


class MediaUnavailable(Exception):
    """Error of a medium whose bytes cannot be read.

    Attributes:
      kind: Class of the error, for counting: missing, outside_shop, unsupported_scheme, too_large, or that of a
        `FetchError`.
      detail: One line for a person.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


@dataclasses.dataclass(frozen=True, slots=True)
class MediaRoot:
    """Root directory of media, and the rule for the URIs of its records.

    A relative URI, an absolute path and file:// must stay inside the directory, links followed; addresses that Beam has
    a file system for (gs://, s3://) are read as they are; http and https need rules of fetching, so that no record can
    make preprocessing call an address of its choice.

    Attributes:
      root: A local directory, or an address that Beam has a file system for.
      allow_outside: Whether local files outside `root` may be read too.
      fetch: What may be fetched, None for nothing.
    """

    root: str
    allow_outside: bool = False
    fetch: FetchRules | None = None

    def read(self, uri: str) -> bytes:
        """Returns the bytes behind `uri`; a relative one is looked up in each of its spellings.

        Raises:
          MediaUnavailable: They cannot be read.
        """
        address = web_address(uri)
        if address is not None:
            return self._fetched(address)
        first: MediaUnavailable | None = None
        for spelling in self._spellings(uri):
            try:
                return _read_file(self.resolve(spelling))
            except MediaUnavailable as error:
                if error.kind not in ("missing", "outside_shop"):
                    raise
                first = first or error
        raise first or MediaUnavailable("missing", "an empty address")

    def content_hash(self, uri: str) -> str:
        """Returns the hash of the bytes behind `uri`, else the class of the error; of the web what the cache knows."""
        address = web_address(uri)
        try:
            if address is not None and self.fetch is not None:
                return web_media(self.fetch).content_hash(address)
            return hashlib.sha256(self.read(uri)).hexdigest()
        except MediaUnavailable as error:
            return error.kind

    def _fetched(self, address: str) -> bytes:
        if self.fetch is None:
            scheme = address.partition("://")[0].lower()
            detail = f"{scheme}:// is not fetched without --fetch_media; allow its host there, or copy the medium"
            raise MediaUnavailable("unsupported_scheme", detail)
        try:
            return web_media(self.fetch).read(address).data
        except FetchError as error:
            raise MediaUnavailable(error.kind, error.detail) from error

    def _spellings(self, uri: str) -> Iterator[str]:
        return iter((uri,)) if "://" in uri else spellings(uri)

    def resolve(self, uri: str) -> str:
        """Returns the path or address of `uri` as it is spelled.

        Raises:
          MediaUnavailable: It may not be read.
        """
        scheme, _, rest = uri.partition("://") if "://" in uri else ("", "", uri)
        scheme = scheme.lower()
        if scheme in SCHEMES:
            raise MediaUnavailable("unsupported_scheme", f"{scheme}:// is no path")
        if "\0" in uri:
            raise MediaUnavailable("missing", "a NUL in the address")
        if scheme not in ("", "file"):
            return uri
        if scheme == "file":
            rest = urllib.parse.unquote("/" + rest.partition("/")[2])
        return self._remote(rest) if "://" in self.root else self._local(rest)

    def _remote(self, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise MediaUnavailable("outside_shop", "the path leaves the shop's directory")
        return FileSystems.join(self.root, path)

    def _local(self, path: str) -> str:
        root = pathlib.Path(self.root).resolve()
        try:
            resolved = (root / path).resolve()
        except (OSError, RuntimeError) as error:
            raise MediaUnavailable("missing", f"not a path ({type(error).__name__})") from error
        if not self.allow_outside and not resolved.is_relative_to(root):
            raise MediaUnavailable("outside_shop", "the path leaves the shop's directory")
        if not os.path.isfile(resolved):  # pathlib's own raises for a name that is too long
            raise MediaUnavailable("missing", "no such file")
        return str(resolved)


def _read_file(address: str) -> bytes:
    try:
        with FileSystems.open(address, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            data = file.read(_MAX_MEDIUM_BYTES + 1)
    except (OSError, BeamIOError) as error:
        raise MediaUnavailable("missing", f"cannot be read ({type(error).__name__})") from error
    except ValueError as error:
        raise MediaUnavailable("unsupported_scheme", "no file system for this address is installed") from error
    if len(data) > _MAX_MEDIUM_BYTES:
        raise MediaUnavailable("too_large", f"more than {_MAX_MEDIUM_BYTES} bytes")
    return data
