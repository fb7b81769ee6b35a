"""Synonym file of a shop: the text at `search.synonyms_path`."""

from serving import remote_files
from trainer.spec.config import SearchConfig


def read_synonym_file(search: SearchConfig) -> str:
    """Returns the text of the synonym file; "" where none is configured.

    Raises:
      ValueError: It cannot be read.
    """
    if not search.synonyms_path:
        return ""
    try:
        return remote_files.read_bytes(search.synonyms_path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"search.synonyms_path is {search.synonyms_path!r}, which cannot be read: {error}. Wanted a UTF-8 file of "
            "synonyms; give its path or set it to nothing."
        ) from error
