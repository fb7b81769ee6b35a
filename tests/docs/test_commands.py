"""Every command block of README and tutorial, run in the order of the page on a small shop with free ports."""

import pytest

from tests.support.document_blocks import Block, blocks_of, faults_of
from tests.support.document_session import ROOT, Session

PAGES = (ROOT / "README.md", ROOT / "docs/tutorial.md")
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_block_has_a_mark(page):
    blocks = blocks_of(page)
    assert blocks
    assert [fault for block in blocks for fault in faults_of(block)] == []


def test_a_block_without_a_mark_is_a_fault(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```sh\nmake demo\n```\n\n```\na picture\n```\n", encoding="utf-8")
    (block,) = blocks_of(page)
    assert (block.place, block.commands) == ("page.md:3", ["make demo"])
    assert "page.md:3 has no mark" in faults_of(block)[0]


@pytest.mark.parametrize(
    ("mark", "fault"),
    [
        ("run: later", "is marked 'later'"),
        ("run: skip", "gives its reason"),
        ("run: now because it is short", "gives its reason"),
        ("run: skip because it needs a cloud", ""),
        ("run: dry", ""),
    ],
)
def test_a_mark_is_checked(tmp_path, mark, fault):
    page = tmp_path / "page.md"
    page.write_text(f"<!-- {mark} -->\n```sh\nmake demo \\\n  OUTPUT=x  # a remark\n```\n", encoding="utf-8")
    (block,) = blocks_of(page)
    assert block.commands == ["make demo    OUTPUT=x"]
    assert fault in "".join(faults_of(block))
    assert bool(fault) == bool(faults_of(block))


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.mode != "public sets"], ids=lambda block: block.place
)
def test_the_block_runs(session: Session, block: Block):
    if block.mode == "skip":
        pytest.skip(block.reason)
    session.run(block)
