"""Pseudo-random permutation of 0 .. n - 1 by a Feistel network: computed, not stored, in memory that n does not change.

The network permutes 0 .. 4^b - 1, the smallest such range that holds n; a value at n or above is permuted again
until it falls below ("cycle walking": https://doi.org/10.1007/3-540-45760-7_9). On average that takes less than four
rounds of numbers.
"""

import numpy as np

_ROUNDS = 6
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def permuted_index(positions: np.ndarray, *, length: int, key: tuple[int, ...]) -> np.ndarray:
    """Returns the permuted index of each position: a permutation of 0 .. length - 1 that `key` determines.

    Args:
      positions: [n] integers in 0 .. length - 1.
      length: Size of the permutation.
      key: Seed of the permutation.

    Returns:
      [n] int64.
    """
    bits = max(1, (max(length - 1, 1).bit_length() + 1) // 2)
    keys = np.random.default_rng(list(key)).integers(0, 2**63, _ROUNDS, dtype=np.int64).astype(np.uint64)
    result = np.asarray(positions).astype(np.uint64)
    outside = np.arange(len(result))
    while len(outside):
        result[outside] = _permute(result[outside], bits=bits, keys=keys)
        outside = outside[result[outside] >= np.uint64(length)]
    return result.astype(np.int64)


def _permute(values: np.ndarray, *, bits: int, keys: np.ndarray) -> np.ndarray:
    shift, mask = np.uint64(bits), np.uint64((1 << bits) - 1)
    left, right = values >> shift, values & mask
    for key in keys:
        mixed = (right + key) * _MULTIPLIER  # wraps around at 2^64, as it should
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MULTIPLIER
        left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
    return (left << shift) | right
