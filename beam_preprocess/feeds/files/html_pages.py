"""HTML pages: the schema.org products of a page, from JSON-LD and microdata (extruct)."""

from collections.abc import Iterator

from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import SourceRow


def is_html(begin: str) -> bool:
    """Returns whether a document that begins with markup is an HTML page."""
    raise NotImplementedError


def rows(file: InputFile) -> Iterator[SourceRow]:
    """Yields one row for each node of structured data."""
    raise NotImplementedError
