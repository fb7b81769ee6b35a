"""The house rules that a script can count (benchmarks/house.py); today's exceptions are a list that only shrinks."""

import functools
import json
import os
from pathlib import Path

import pytest

from benchmarks import house

# {rule: {path: [what does not keep to it]}}; it only shrinks: UPDATE_GOLDEN=1 removes what keeps to the rule by now.
PATH = Path(__file__).parent / "golden" / "style_exceptions.json"
MAX_TUPLE_RETURNS = 29
RULES = {
    "functions": "a function has at most 40 lines",
    "arguments": "a function has at most 6 positional-or-keyword arguments",
    "subjects": "a docstring of a module or class begins with its standard term, not with What, Who or Which",
    "words": "names, comments and messages are in plain technical English",
}


@functools.cache
def sources():
    return house.read_sources((*house.AREAS["source"], *house.AREAS["benchmarks"]))


def read_exceptions():
    return json.loads(PATH.read_text(encoding="utf-8"))


def write_exceptions(rule, rest):
    exceptions = {**read_exceptions(), rule: {path: names for path, names in rest.items() if names}}
    text = json.dumps(exceptions, indent=1, sort_keys=True, ensure_ascii=False)
    PATH.write_text(f"{text}\n", encoding="utf-8")


def by_file(findings):
    found = {}
    for finding in findings:
        found.setdefault(finding.path, set()).add(finding.name)
    return found


def beyond(found, allowed):
    """What of `found` is not in `allowed`, by file."""
    rest = {path: sorted(names - set(allowed.get(path, ()))) for path, names in found.items()}
    return {path: names for path, names in rest.items() if names}


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_to_the_rule_but_for_the_listed_exceptions(rule):
    found = by_file(house.FIGURES[rule][1](sources()))
    exceptions = {path: set(names) for path, names in read_exceptions()[rule].items()}
    assert not beyond(found, exceptions), f"{RULES[rule]} (docs/style.md)"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        write_exceptions(rule, {path: sorted(names & found.get(path, set())) for path, names in exceptions.items()})
        return
    gone = beyond(exceptions, found)
    assert not gone, f"{RULES[rule]}: these do now; UPDATE_GOLDEN=1 removes them from {PATH.name}"


def test_few_functions_return_a_bare_tuple():
    found = house.tuple_returns(sources())
    assert len(found) <= MAX_TUPLE_RETURNS, "return a NamedTuple or a dataclass:\n" + "\n".join(map(str, found))


@pytest.fixture
def written(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return house.read_sources([f"{name}.py" for name in files], root=tmp_path)

    return write


def test_lines_of_a_function_run_from_def_to_its_last_line(written):
    line = "    x = 1\n"
    # 39 lines of body after the `def` line make 40 in all, 40 make 41.
    found = house.long_functions(written(a=f"def short():\n{39 * line}def long():\n{40 * line}"))
    assert [(one.name, one.value) for one in found] == [("long", 41)]


def test_keyword_only_arguments_and_self_do_not_count(written):
    text = "class A:\n    def f(self, a, b, c, d, e, f, *, g): ...\n    def g(self, a, b, c, d, e, f, g): ...\n"
    assert [(one.name, one.value) for one in house.many_arguments(written(a=text))] == [("A.g", 7)]


def test_a_tuple_of_any_length_is_no_bare_tuple(written):
    text = (
        "def a() -> tuple[int, ...]: ...\n"
        "def b() -> tuple[int, str]: ...\n"
        "def c() -> tuple[int, str] | None: ...\n"
        "def d() -> list[tuple[int, str]]: ...\n"
    )
    found = house.tuple_returns(written(a=text))
    assert [one.name.split(" ")[0] for one in found] == ["b", "c"]


def test_subjects_and_words_are_found_in_docstrings_names_and_comments(written):
    text = '"""What it is."""\nis_mended = 1  # there are so\n# many of them\nFloor = np.floor(1)\n'
    files = written(a=text, b='class A:\n    """A sound of a door."""\n')
    assert [one.name for one in house.clause_subjects(files)] == ["What it is."]
    assert [(one.line, one.name) for one in house.banned_words(files)] == [
        (2, "mended"),
        (2, "so many"),
        (4, "floor"),
        (2, "door"),
    ]


def test_a_run_of_seven_equal_lines_is_one_duplicate(written):
    run = "".join(f"a{number} = {number}\n" for number in range(7))
    files = written(a=f"import b\n{run}", b=f"{run}# the end\n", c=run[:-20])
    assert [(one.path, one.value) for one in house.duplicate_runs(files)] == [("a.py", 7)]


def test_circles_and_upward_imports_are_found(written):
    files = written(a="import b\n", b="def f():\n    import a\n", c="import a\n", d="")
    assert house.circular_imports(files) == ["a", "b", "c"]
    table = house.ImportTable(rows={"b": 0, "a": 1, "c": 2, "d": 3}, allowed={"a": ["b"], "c": ["a"]})
    assert house.upward_imports(files, table) == ["b -> a"]
    assert table.num_arrows == 2
