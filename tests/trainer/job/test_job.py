"""A run of the pipeline: what it accepts."""

from pathlib import Path

import pytest

from trainer.job.job import Job
from trainer.spec.presets import tiny


@pytest.mark.parametrize("name", ["out [v2]", "out?", "o*t"])
def test_an_output_that_tfx_would_read_as_a_pattern_is_refused(name):
    with pytest.raises(ValueError, match=r"--output is .* contains .*Choose a folder without \* \? \[ \] in its path"):
        Job(shop="", kind="shop", config=tiny(), output=Path("/runs") / name, beam_args=())
