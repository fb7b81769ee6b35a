import numpy as np
import pytest

from trainer.training.calibration import mean_shift


def test_the_shift_brings_the_mean_to_its_place():
    # Two logits of 0 have probability one half; 0.2 is a logit of ln(0.2 / 0.8) = -1.3863.
    assert mean_shift(np.zeros(2), 0.2) == pytest.approx(-1.3863, abs=1e-4)
    assert mean_shift(np.array([3.0]), 0.5) == pytest.approx(-3.0, abs=1e-6)
