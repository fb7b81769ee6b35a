"""Which versions were refused as they are, and when one of them is tried again although its files did not change."""

import dataclasses
import time

from serving.server.flags import Retries
from serving.server.models.version_folder import VersionFolder


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Refused:
    folder: VersionFolder
    attempts: int
    due: float | None


class RefusedVersions:
    """The memory of what was refused.

    Args:
      retries: What holds for versions that failed to load.
    """

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._refused: dict[int, _Refused] = {}

    def is_to_be_tried(self, folder: VersionFolder) -> bool:
        """True where this folder was not refused as it is, or is due again."""
        known = self._refused.get(folder.version)
        if known is None or known.folder != folder:
            return True
        return known.due is not None and known.due <= time.monotonic()

    def refuse(self, folder: VersionFolder, *, may_retry: bool = True) -> bool:
        """Remembers a refusal; True where the version will be tried again as it is."""
        known = self._refused.get(folder.version)
        attempts = 1 + (known.attempts if known and known.folder == folder else 0)
        again = may_retry and attempts <= self._retries.most
        due = time.monotonic() + max(0.0, self._retries.interval_seconds) if again else None
        self._refused[folder.version] = _Refused(folder=folder, attempts=attempts, due=due)
        return again

    def forget(self, version: int) -> None:
        """The version serves."""
        self._refused.pop(version, None)

    def keep_only(self, versions: list[int]) -> None:
        """Forgets versions that are no longer there."""
        self._refused = {version: one for version, one in self._refused.items() if version in versions}

    @property
    def seconds_until_due(self) -> float | None:
        """How long until a version is to be tried again; None where none is."""
        moments = [one.due for one in self._refused.values() if one.due is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None
