"""The counts of the house rules (benchmarks/house.py), by hand."""

import pytest

from benchmarks import house


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
