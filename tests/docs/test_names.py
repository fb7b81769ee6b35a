"""Names in backticks on the pages are those of the code, so that a rename is seen."""

import ast
import re
from pathlib import Path

import pytest

from serving.client.search_options import PageOptions
from tests.support.document_blocks import blocks_of
from trainer.spec import markdown
from trainer.spec.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = ("trainer", "serving", "beam_preprocess", "vitrine", "benchmarks", "examples", "tests")
SUFFIXES = {".py", ".yaml", ".yml", ".json", ".config", ".pbtxt", ".toml"}
# Names of other projects.
OTHERS = {
    "OPENBLAS_NUM_THREADS",
    "pkg_resources",
    "NEWLINE_DELIMITED_JSON",
    "destination_format",
    "export_catalog_product",
}
_NAME = re.compile(r"\b(?:[a-z]+(?:_[a-z0-9]+)+|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[A-Z]+(?:_[A-Z]+)+)\b")


@pytest.fixture(scope="module")
def known():
    paths = [path for name in SOURCES for path in (ROOT / name).rglob("*") if path.suffix in SUFFIXES]
    texts = [path.read_text(encoding="utf-8", errors="ignore") for path in [*paths, ROOT / "tfx_pipeline.py"]]
    stems = {path.stem for path in paths}
    tables = re.findall(r"\w+", " ".join(markdown.tables(Config()).values()))
    return {word for text in texts for word in re.findall(r"\w+", text)} | stems | set(tables) | OTHERS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_a_page_are_names_of_the_code(page, known):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = {name for span in re.findall(r"`([^`\n]+)`", text) for name in _NAME.findall(span)}
    assert sorted(named - known) == [], f"{page.name} has names that the code has not: renamed?"


def test_calls_of_the_client_have_the_options_of_a_search():
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language == "python"]
    sources = {block.place: block.text for block in blocks}
    sources |= {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.py")}
    calls = [(place, call) for place, text in sources.items() for call in ast.walk(ast.parse(text))]
    used = {
        (place, keyword.arg)
        for place, call in calls
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in {"search", "explain"}
        for keyword in call.keywords
        if keyword.arg
    }
    assert {option for _, option in used} > {"text", "image", "seed_items", "score_weights"}
    assert [one for one in sorted(used) if one[1] not in PageOptions.__optional_keys__] == []
