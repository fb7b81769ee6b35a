"""The house rules that a script can count (benchmarks/house.py), with today's exceptions as lists that only shrink."""

import functools

import pytest

from benchmarks import house

# {path: {function}}. Remove what no longer exceeds the rule; add nothing.
LONG_FUNCTIONS: dict[str, set[str]] = {}
MANY_ARGUMENTS: dict[str, set[str]] = {}
# {path: {word}}: technical uses.
ALLOWED_WORDS: dict[str, set[str]] = {}
MAX_TUPLE_RETURNS = 30


@functools.cache
def sources(area="source"):
    return house.read_sources(house.AREAS[area])


def by_file(findings):
    found = {}
    for finding in findings:
        found.setdefault(finding.path, set()).add(finding.name)
    return found


def check_list(findings, allowed, *, rule):
    """The findings are exactly those of the list."""
    found = by_file(findings)
    new = {path: names - allowed.get(path, set()) for path, names in found.items() if names - allowed.get(path, set())}
    assert not new, f"{rule}; these do not keep to it: {new}"
    gone = {path: names - found.get(path, set()) for path, names in allowed.items() if names - found.get(path, set())}
    assert not gone, f"{rule}; these keep to it now, so remove them from the list of exceptions: {gone}"


def test_functions_have_at_most_forty_lines():
    check_list(house.long_functions(sources()), LONG_FUNCTIONS, rule="a function has at most 40 lines")


def test_functions_have_at_most_six_positional_arguments():
    check_list(house.many_arguments(sources()), MANY_ARGUMENTS, rule="a function has at most 6 positional arguments")


def test_few_functions_return_a_bare_tuple():
    found = house.tuple_returns(sources())
    assert len(found) <= MAX_TUPLE_RETURNS, "return a NamedTuple or a dataclass:\n" + "\n".join(map(str, found))


def test_docstrings_of_modules_and_classes_name_their_subject():
    found = house.clause_subjects(sources()) + house.clause_subjects(sources("benchmarks"))
    assert not found, "begin with the standard term, not with What, Who or Which:\n" + "\n".join(map(str, found))


def test_names_comments_and_messages_are_in_plain_technical_english():
    check_list(house.banned_words(sources()), ALLOWED_WORDS, rule="docs/style.md lists words that are not used")


@pytest.fixture
def written(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return house.read_sources([f"{name}.py" for name in files], root=tmp_path)

    return write


def test_lines_of_a_function_run_from_def_to_its_last_line(written):
    body = "\n".join(f"    x = {number}" for number in range(40))
    found = house.long_functions(written(a=f"def short():\n{body[12:]}\ndef long():\n{body}\n"))
    # 39 lines of body after the `def` line make 40 in all, 40 make 41.
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
