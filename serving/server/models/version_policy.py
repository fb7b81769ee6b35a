"""Version policy of a model: the latest few, all, or specific versions are served."""

import dataclasses
from collections.abc import Iterable
from typing import Self

from tensorflow_serving.config import file_system_storage_path_source_pb2 as storage


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionPolicy:
    """Policy of `model_version_policy`.

    Args:
      num_latest: The number of highest good versions that serve; None: no limit.
      specific: Only these numbers; None: any.
    """

    num_latest: int | None = 1
    specific: frozenset[int] | None = None

    @classmethod
    def of(cls, proto: storage.FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> Self:
        """Returns the policy of a ServableVersionPolicy; the latest version where it is empty."""
        choice = proto.WhichOneof("policy_choice")
        if choice == "specific":
            return cls(num_latest=None, specific=frozenset(proto.specific.versions))
        if choice == "all":
            return cls(num_latest=None)
        return cls(num_latest=max(1, proto.latest.num_versions))

    def candidates(self, versions: Iterable[int]) -> list[int]:
        """Returns the versions that may serve, highest first; of these the first `num_latest` good ones do."""
        return sorted((one for one in versions if self.specific is None or one in self.specific), reverse=True)

    def is_full(self, num_good: int) -> bool:
        """True when `num_good` versions are enough."""
        return self.num_latest is not None and num_good >= self.num_latest


LATEST = VersionPolicy()
