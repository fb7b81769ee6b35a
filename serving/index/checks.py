"""Requirements of approximate indexes: the recall they must reach and the vectors they take."""

import numpy as np

TARGET_RECALL = 0.995  # of the nearest ten; decides how much an index reads
RECALL_AT = 10


def check_vectors(vectors: np.ndarray) -> None:
    """Checks vectors before they are indexed: others would abort ScaNN or never be found.

    Raises:
      ValueError: A vector is zero or not finite.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise ValueError(
            f"Vectors to index must be finite and not zero; got {bad.size} others, first in row {bad[0]}. "
            "Quarantine them before building."
        )
