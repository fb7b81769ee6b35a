"""XML feeds: the repeated element of a document as records, without loading the document (lxml)."""

from collections.abc import Iterator

from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import SourceRow


def rows(file: InputFile, tally: Tally) -> Iterator[SourceRow]:
    """Yields one row for each record element."""
    raise NotImplementedError
