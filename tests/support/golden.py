"""Golden text: what a contract looks like, kept in `tests/golden/` and reviewed as a diff."""

import os
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def check_golden(name: str, text: str) -> None:
    """Compares `text` with `tests/golden/<name>`; `UPDATE_GOLDEN=1` writes it instead.

    Raises:
      AssertionError: The text differs; the message says how to accept the change.
    """
    path = GOLDEN / name
    text = text.rstrip("\n") + "\n"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text == wanted, (
        f"{path.relative_to(GOLDEN.parents[1])} differs from what the code gives now. "
        "If the change is meant, run the test again with UPDATE_GOLDEN=1 and review the diff."
    )
