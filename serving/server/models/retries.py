"""Failed versions of a model, and the moments at which one is tried again although its files did not change."""

import dataclasses
import time

from serving.server.flags import RetryPolicy
from serving.server.models.version_folder import VersionFolder


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Failure:
    folder: VersionFolder
    attempts: int
    retry_at: float | None


class FailedVersions:
    """Versions that failed as they are, by number.

    Args:
      retries: Holds for versions that failed to load.
    """

    def __init__(self, retries: RetryPolicy) -> None:
        self._retries = retries
        self._failures: dict[int, _Failure] = {}

    def should_try(self, folder: VersionFolder) -> bool:
        """True where this folder did not fail as it is, or its retry is due."""
        known = self._failures.get(folder.version)
        if known is None or known.folder != folder:
            return True
        return known.retry_at is not None and known.retry_at <= time.monotonic()

    def record(self, folder: VersionFolder, *, may_retry: bool = True) -> bool:
        """Remembers a failure; True where the version will be tried again as it is."""
        known = self._failures.get(folder.version)
        attempts = 1 + (known.attempts if known and known.folder == folder else 0)
        will_retry = may_retry and attempts <= self._retries.max_retries
        retry_at = time.monotonic() + max(0.0, self._retries.interval_seconds) if will_retry else None
        self._failures[folder.version] = _Failure(folder=folder, attempts=attempts, retry_at=retry_at)
        return will_retry

    def forget(self, version: int) -> None:
        """Drops the failure of a version that serves now."""
        self._failures.pop(version, None)

    def keep_only(self, versions: list[int]) -> None:
        """Drops the failures of versions that are no longer there."""
        self._failures = {version: failure for version, failure in self._failures.items() if version in versions}

    @property
    def seconds_until_retry(self) -> float | None:
        """The time until the next retry; None where none is due."""
        moments = [failure.retry_at for failure in self._failures.values() if failure.retry_at is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None
