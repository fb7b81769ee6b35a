"""A shop in the public input format: one directory with catalogue, events, signals and media."""

import dataclasses
import pathlib
from collections.abc import Iterator

from beam_preprocess.outcomes import Row
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Part, Piece, Record, fingerprint
from beam_preprocess.sources.media_root import Place
from trainer.spec.records import RECORDS


@dataclasses.dataclass(frozen=True, slots=True)
class ShopSource:
    """`catalog`, `events`, `signals` as .jsonl, .csv (both also .gz) or .parquet, each in one file or more."""

    place: Place
    own_split: bool = False
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that there is a catalogue.

        Raises:
          ValueError: There is none.
        """
        if not self.pieces("catalog"):
            raise ValueError(
                f"{self.place.root} holds no catalogue; wanted catalog{', catalog'.join(record_files.READERS)}. "
                "Check the directory, or name another kind of source."
            )

    def pieces(self, record: Record) -> list[Piece]:
        """One piece for each file."""
        return [Piece(path, record) for path in record_files.find(self.place.root, record)]

    def read(self, piece: Piece) -> Iterator[Row]:
        """The rows of one file."""
        return record_files.read_rows(piece.path, RECORDS[piece.reading])

    @property
    def truth_path(self) -> pathlib.Path | None:
        """`truth.jsonl` of a local shop, where it exists."""
        path = pathlib.Path(self.place.root) / "truth.jsonl"
        return path if path.is_file() else None

    def fingerprint(self, part: Part) -> str:
        """Hash of the content of one part."""
        return fingerprint(self, part)
