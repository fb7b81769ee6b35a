"""Command blocks of a page, each with the mark by which a test runs it.

A block of commands (`sh`, `console`, `python`) has an HTML comment on the line above its fence:

    <!-- run: now -->            run it; it must end with 0 and print no error of the server
    <!-- run: server -->         start it, wait until the server is ready, keep it for the blocks below
    <!-- run: public sets -->    run it on small sets in the format of the public ones
    <!-- run: dry -->            `make -n` only: the commands inside are the test run itself, or a gate around it
    <!-- run: skip because … --> do not run it, for the reason given
"""

import dataclasses
import re
from pathlib import Path

LANGUAGES = ("sh", "bash", "console", "python")
MODES = ("now", "server", "public sets", "dry", "skip")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- run: ([a-z ]+?)(?: because (.+?))? -->\n\Z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """A block of commands.

    Attributes:
      place: `page:line` of its fence.
      language: The word behind the fence.
      text: Its lines.
      mode: One of `MODES`; empty where there is no mark.
      reason: Why it is skipped.
    """

    place: str
    language: str
    text: str
    mode: str = ""
    reason: str = ""

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one a string; continued lines belong to one command, comments to none."""
        joined = self.text.replace("\\\n", " ")
        lines = [re.sub(r"\s+#.*$", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    """The command blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        if fence[1] in LANGUAGES:
            mark = _MARK.search(text[: fence.start()])
            place = f"{page.name}:{1 + text[: fence.start()].count(chr(10))}"
            mode, reason = (mark[1], mark[2] or "") if mark else ("", "")
            found.append(Block(place=place, language=fence[1], text=fence[2], mode=mode, reason=reason))
    return found


def faults_of(block: Block) -> list[str]:
    """Faults of the mark of a block; empty where there are none."""
    if not block.mode:
        return [f"{block.place} has no mark; wanted <!-- run: MODE --> on the line above, MODE one of {MODES}"]
    if block.mode not in MODES:
        return [f"{block.place} is marked {block.mode!r}; wanted one of {MODES}"]
    if (block.mode == "skip") != bool(block.reason):
        return [f"{block.place}: a skipped block, and no other, gives its reason: <!-- run: skip because … -->"]
    if block.mode == "dry" and not all(command.startswith("make ") for command in block.commands):
        return [f"{block.place} is marked dry and has other commands than make; mark it otherwise"]
    return []
