"""The page of examples/ that adds a modality and a head: its code is what tests/test_additions.py runs."""

import os
import re
from pathlib import Path

from tests.test_additions import NEW_FILES, NEW_LINES

PAGE = Path(__file__).resolve().parents[2] / "examples" / "add_a_modality.md"
_BLOCK = re.compile(r"(<!-- additions -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def additions() -> str:
    """New files as they are, changed files as the line that is there and the one that follows it."""
    parts = [f"### New: `{path}`\n\n```python\n{text.strip()}\n```\n" for path, text in NEW_FILES.items()]
    for path, changes in NEW_LINES.items():
        lines = "\n".join(f" {there}\n+{added}" for there, added in changes)
        parts.append(f"### `{path}`\n\n```diff\n{lines}\n```\n")
    return "\n".join(parts)


def test_the_page_shows_the_code_that_is_tested():
    text = PAGE.read_text(encoding="utf-8")
    wanted = _BLOCK.sub(lambda block: f"{block[1]}{additions()}{block[2]}", text)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        PAGE.write_text(wanted, encoding="utf-8")
        text = wanted
    assert text == wanted, f"the code of {PAGE.name} is old: run this test with UPDATE_GOLDEN=1 and review the diff"
    assert "### New: `trainer/ops/scent.py`" in text
