"""Pages that must not drift from the code: generated tables, reasons for dependencies, commands that exist."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from tests.test_additions import NEW_FILES
from trainer.spec import markdown
from trainer.spec.serving.signatures import QueryStatus

ROOT = Path(__file__).resolve().parents[1]
PAGES = [path for folder in (ROOT, ROOT / "docs", ROOT / "examples") for path in sorted(folder.glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_generated_tables_are_those_of_the_declaration(path):
    text = path.read_text(encoding="utf-8")
    wanted = markdown.fill(text)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(wanted, encoding="utf-8")
        text = wanted
    assert text == wanted, f"the tables of {path.name} are old: run this test with UPDATE_GOLDEN=1 and review the diff"


def test_every_table_stands_on_a_page():
    named = {name for path in PAGES for name in re.findall(r"<!-- table: (\w+) -->", path.read_text(encoding="utf-8"))}
    assert named == set(markdown.tables(markdown.Config()))


def test_an_unknown_table_is_named():
    with pytest.raises(ValueError, match="Unknown table 'catalogue'; wanted one of catalog, events"):
        markdown.fill("<!-- table: catalogue -->\n<!-- end -->")


def test_a_table_is_filled_where_its_block_is():
    page = markdown.fill("before\n<!-- table: axes -->\nold\n<!-- end -->\nafter\n")
    assert page.startswith("before\n<!-- table: axes -->\n| axis |")
    assert "| `num_frames` | 6 |" in page
    assert page.endswith("<!-- end -->\nafter\n")
    assert "old" not in page
    assert markdown.fill(page) == page


def test_every_status_bit_is_explained():
    page = (ROOT / "docs/serving_contract.md").read_text(encoding="utf-8")
    for bit in QueryStatus:
        assert f"| {bit.value} | `{bit.name}` |" in page


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    stated = {
        "Base": project["project"]["dependencies"],
        **{f"Extra `{extra}`": [line for line in lines if "[" not in line] for extra, lines in extras.items()},
        "Development": project["dependency-groups"]["dev"],
    }
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    for title, requirements in stated.items():
        rows = re.findall(r"^\| `([\w-]+)` \|", page.split(f"\n## {title}\n")[1].split("\n## ")[0], flags=re.MULTILINE)
        names = [re.match(r"[\w-]+", requirement)[0] for requirement in requirements]
        assert sorted(rows) == sorted(names), title
    every = [re.match(r"[\w-]+", line)[0] for lines in stated.values() for line in lines]
    assert len(every) == len(set(every)), "a dependency is stated twice"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-serve.lock", "requirements-serve-stock.lock"])
def test_a_lock_names_no_address_and_hashes_everything(name):
    lock = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in lock
    blocks = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_and_named_files_exist(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert "://" in target or (path.parent / target).exists(), target
    for name in re.findall(
        r"`((?:trainer|serving|beam_preprocess|vitrine|tests|docs|examples|benchmarks)/[\w/]+\.(?:py|md))`", text
    ):
        assert (ROOT / name).exists() or name in NEW_FILES, f"{path.name} names {name}"


def test_make_targets_that_pages_name_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for path in PAGES:
        named = set(re.findall(r"(?:^|`|=1 )make ([\w-]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
        assert named <= targets, path.name
