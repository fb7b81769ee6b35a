"""Free Spoken Digit Dataset: ten digits, each spoken many times by several people. Ten items, asked for by voice.

CC BY-SA 4.0. https://github.com/Jakobovski/free-spoken-digit-dataset
"""

import dataclasses
import re
from collections.abc import Iterator

from beam_preprocess.literal_paths import list_files
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import SourceRef, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard

_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>\w+)_(?P<index>\d+)\.wav")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MOMENT = "2017-01-01T00:00:00Z"  # the set has no times
_TEST_INDICES = 5  # its own split: recordings 0 to 4 of each digit and speaker are the test set


@dataclasses.dataclass(frozen=True, slots=True)
class SpokenDigitsSource:
    """Digits as items that are known by their word alone; recordings as voice queries. The set's own split is kept."""

    media_root: MediaRoot
    has_official_split: bool = True
    has_pseudonyms: bool = False
    held_out_speaker: str = ""  # all recordings of the speaker are the test set, no others; "" = the set's own split
    published_results: tuple[str, ...] = (
        "MFCC and SVM, official split: accuracy (recall@1) 0.987; a speaker unseen in training: 0.53 to 0.92",
    )
    ground_truth_path: None = None

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        if not self._paths():
            raise ValueError(
                f"{self.media_root.root} is no set of spoken digits: 0_NAME_0.wav is missing. Check the path."
            )

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns the recordings as events, one shard each; the digits need no file, so the first stands for them."""
        paths = {"catalog": self._paths()[:1], "events": self._paths(), "signals": []}[record]
        return [SourceShard(path, record) for path in paths]

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields the digits, or one recording."""
        if shard.mode == "catalog":
            for digit, word in enumerate(_WORDS):
                yield SourceRow(SourceRef("digits", digit + 1), {"item_id": str(digit), "title": word})
            return
        name = record_files.name_of(shard.path)
        match = _NAME.fullmatch(name)
        if match is not None:
            test = (
                match["speaker"] == self.held_out_speaker
                if self.held_out_speaker
                else int(match["index"]) < _TEST_INDICES
            )
            yield SourceRow(SourceRef(name, 1), _event(name, match, test=test))

    def _paths(self) -> list[str]:
        return list_files(self.media_root.root, "*_*_*.wav")


def _event(name: str, match: re.Match[str], *, test: bool) -> dict[str, object]:
    event = {"timestamp": _MOMENT, "request_id": name, "item_id": match["digit"], "query": {"audio": name}}
    return {**event, "type": "judgment", "grade": 3} if test else {**event, "type": "click"}
