"""Every command of README and tutorial for a public set, run on a small set of its format, apart from the other blocks:
a process of its own runs it beside them.
"""

import pytest

from tests.docs.test_commands import BLOCKS

COMMANDS = [(block, command) for block in BLOCKS if block.mode == "public sets" for command in block.commands]


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize(("block", "command"), COMMANDS, ids=[command.split(" --shop")[0] for _, command in COMMANDS])
def test_the_command_runs(session, block, command):
    session.run_command(block, command)
