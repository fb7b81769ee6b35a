"""House metrics: counts of what the house rules of docs/style.md bound, read from the source without running it.

    python -m benchmarks.house [--list functions|tuples|arguments|subjects|words|duplicates|folders] [PATH ...]

Without `--list` prints one table; with it, the places of one figure. PATH limits both to files or folders. Columns: the
packages that are installed, the benchmarks, the tests. Bare-tuple returns are `-> tuple[A, B]`, not `-> tuple[A, ...]`.
"""

import argparse
import ast
import collections
import dataclasses
import functools
import io
import itertools
import pathlib
import re
import tokenize
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ("trainer", "serving", "beam_preprocess", "vitrine")
AREAS: dict[str, tuple[str, ...]] = {
    "source": (*PACKAGES, "tfx_pipeline.py", "vitrine.py"),
    "benchmarks": ("benchmarks", "examples"),
    "tests": ("tests",),
}
MAX_FUNCTION_LINES = 40
MAX_ARGUMENTS = 6
DUPLICATE_LINES = 6
CLAUSE_SUBJECTS = re.compile(r"\W*(What|Who|Whose|Whom|Which|How|Where|Whereas|Why|When|Whether|That)\b")
# Matched against the words of names, comments and strings; `sound` is banned as an adjective only.
BANNED_WORDS = frozenset(
    ("told", "mend", "mends", "mended", "mending", "heard", "foresee", "foresees", "foreseen", "foresaw")
    + ("anew", "sister", "sisters", "door", "doors", "wishes", "whereabouts", "nobody", "says", "floor", "floors")
)
BANNED_PHRASES = (
    *("for ever", "is no number", "stands in", "stand in", "who asks", "so many", "given away", "gives away"),
    *("is sound", "are sound", "be sound", "is_sound", "sound bundle", "sound version"),
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ROUNDING = re.compile(r"\b(?:np|tf|math|tf\.math)\.floor\b|\bfloor(?=\()|//")
_PHRASE = re.compile(rf"(?<![a-z])(?:{'|'.join(BANNED_PHRASES)})\b".replace(" ", r"\s+"), re.IGNORECASE)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One place of the source that a figure counts."""

    path: str
    line: int
    name: str
    value: int = 1

    def __str__(self) -> str:
        """`path:line name (value)`, as editors follow it."""
        return f"{self.path}:{self.line} {self.name}" + (f" ({self.value})" if self.value != 1 else "")


@dataclasses.dataclass(frozen=True)
class Source:
    """A source file: its path relative to the root, its text and its syntax tree."""

    path: str
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        """The dotted name; a package's `__init__` has the package's name."""
        parts = pathlib.PurePath(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_sources(tops: Collection[str], *, root: pathlib.Path = ROOT) -> list[Source]:
    """Returns the Python files of folders and files below `root`, by path; those that do not exist are left out."""
    files: set[pathlib.Path] = set()
    for top in tops:
        path = root / top
        files.update([path] if path.is_file() else path.rglob("*.py"))
    names = sorted(str(path.relative_to(root)) for path in files)
    return [Source(name, (root / name).read_text(encoding="utf-8")) for name in names]


def _functions(source: Source) -> Iterator[tuple[str, Function]]:
    """Every function with its qualified name, nested ones too."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield prefix + child.name, child
            inner = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
            yield from walk(child, inner)

    return walk(source.tree, "")


def long_functions(sources: Sequence[Source]) -> list[Finding]:
    """Functions of more than 40 lines from `def` to their end, docstring included; the value is the lines."""
    found = []
    for source in sources:
        for name, node in _functions(source):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                found.append(Finding(source.path, node.lineno, name, lines))
    return found


def many_arguments(sources: Sequence[Source]) -> list[Finding]:
    """Functions with more than 6 positional-or-keyword arguments; `self` and `cls` do not count."""
    found = []
    for source in sources:
        for name, node in _functions(source):
            arguments = [*node.args.posonlyargs, *node.args.args]
            count = len(arguments) - (bool(arguments) and arguments[0].arg in ("self", "cls"))
            if count > MAX_ARGUMENTS:
                found.append(Finding(source.path, node.lineno, name, count))
    return found


def _is_bare_tuple(annotation: ast.expr | None) -> bool:
    """Whether an annotation is `tuple[A, B]`, alone or in a union."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _is_bare_tuple(annotation.left) or _is_bare_tuple(annotation.right)
    if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) not in ("tuple", "Tuple"):
        return False
    elements = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return len(elements) > 1 and not (isinstance(elements[-1], ast.Constant) and elements[-1].value is ...)


def tuple_returns(sources: Sequence[Source]) -> list[Finding]:
    """Functions that return a tuple of a fixed number of things instead of a named record."""
    return [
        Finding(source.path, node.lineno, f"{name} -> {ast.unparse(node.returns) if node.returns else ''}")
        for source in sources
        for name, node in _functions(source)
        if _is_bare_tuple(node.returns)
    ]


def _clause_subject(node: ast.Module | ast.ClassDef | Function) -> str | None:
    """The first line of a docstring whose first word opens a clause."""
    first = (ast.get_docstring(node) or "").split("\n")[0]
    return first if CLAUSE_SUBJECTS.match(first) else None


def clause_subjects(sources: Sequence[Source]) -> list[Finding]:
    """Docstrings of modules and classes whose first word is What, Who, Which, How, Where, Why, When or the like."""
    found = []
    for source in sources:
        nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Module | ast.ClassDef)]
        for node in nodes:
            if first := _clause_subject(node):
                found.append(Finding(source.path, getattr(node, "lineno", 1), first))
    return found


def clause_subjects_of_functions(sources: Sequence[Source]) -> list[Finding]:
    """Docstrings of functions whose first word opens a clause, but `Whether` of a predicate that returns bool."""
    return [
        Finding(source.path, node.lineno, f"{name}: {first}")
        for source in sources
        for name, node in _functions(source)
        if (first := _clause_subject(node)) and not (first.startswith("Whether") and _returns_bool(node))
    ]


def _returns_bool(node: Function) -> bool:
    return node.returns is not None and ast.unparse(node.returns) in ("bool", "tf.Tensor", "np.ndarray")


def banned_words(sources: Sequence[Source]) -> list[Finding]:
    """Banned words in names, comments and strings, one finding for each line and word."""
    found: list[Finding] = []
    for source in sources:
        for number, line in enumerate(source.text.splitlines(), start=1):
            words = {word.lower() for word in _WORD.findall(_ROUNDING.sub("", line))}
            found.extend(Finding(source.path, number, word) for word in sorted(words & BANNED_WORDS))
        # A phrase may go on in the next line of a comment or a docstring.
        joined = re.sub(r"\n[ ]*#", lambda broken: "\n" + " " * (len(broken[0]) - 1), source.text)
        for match in _PHRASE.finditer(joined):
            line_number = joined.count("\n", 0, match.start()) + 1
            found.append(Finding(source.path, line_number, " ".join(match[0].lower().split())))
    return sorted(found)


@dataclasses.dataclass(frozen=True)
class _CodeLine:
    number: int
    text: str


def _code_lines(source: Source) -> list[_CodeLine]:
    """The lines that hold code: no comments, docstrings, imports or lone brackets, and inner spaces as written."""
    skipped: set[int] = set()
    for node in ast.walk(source.tree):
        is_docstring = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            assert isinstance(node, ast.stmt)
            skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    comments = {
        token.start[0]: token.start[1]
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline)
        if token.type == tokenize.COMMENT
    }
    lines = []
    for number, line in enumerate(source.text.splitlines(), start=1):
        text = line[: comments.get(number)].strip()
        if number not in skipped and re.search(r"\w", text):
            lines.append(_CodeLine(number, text))
    return lines


def duplicate_runs(sources: Sequence[Source]) -> list[Finding]:
    """Pairs of runs of at least six equal lines of code, each reported once; the value is the equal lines."""
    files = {source.path: _code_lines(source) for source in sources}
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = collections.defaultdict(list)
    for path, lines in files.items():
        for start in range(len(lines) - DUPLICATE_LINES + 1):
            windows[tuple(line.text for line in lines[start : start + DUPLICATE_LINES])].append((path, start))
    pairs = {pair for places in windows.values() for pair in itertools.combinations(places, 2)}
    found: list[Finding] = []
    for (path, start), (other, other_start) in pairs:
        if ((path, start - 1), (other, other_start - 1)) in pairs:
            continue  # within a longer run
        shift = 1
        while ((path, start + shift), (other, other_start + shift)) in pairs:
            shift += 1
        name = f"as {other}:{files[other][other_start].number}"
        found.append(Finding(path, files[path][start].number, name, DUPLICATE_LINES - 1 + shift))
    return sorted(found)


def first_party_imports(sources: Sequence[Source]) -> dict[str, set[str]]:
    """{module: modules of the sources that it imports}, imports inside functions too."""
    modules = {source.module for source in sources}
    found: dict[str, set[str]] = {}
    for source in sources:
        names: set[str] = set()
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = ".".join(source.module.split(".")[: -node.level]) + "." if node.level else ""
                origin = (package + (node.module or "")).rstrip(".")
                names.update(full if (full := f"{origin}.{one.name}") in modules else origin for one in node.names)
        found[source.module] = (names & modules) - {source.module, *PACKAGES}
    return found


def circular_imports(sources: Sequence[Source]) -> list[str]:
    """Modules that are in a circle of imports or import one (Kahn, 1962)."""
    waiting = first_party_imports(sources)
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in free:
            del waiting[name]
    return sorted(waiting)


@dataclasses.dataclass(frozen=True)
class ImportTable:
    """The import table of docs/architecture.md: {module prefix: row} and {module prefix: prefixes it may import}."""

    rows: Mapping[str, int]
    allowed: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, root: pathlib.Path = ROOT) -> "ImportTable":
        """Reads the table of the page."""
        page = (root / "docs/architecture.md").read_text(encoding="utf-8")
        section = page.split("## Who may import whom")[1].split("\n## ")[0]
        rows: dict[str, int] = {}
        allowed: dict[str, list[str]] = {}
        for number, (modules, others) in enumerate(re.findall(r"^\| (`.+?) \| (.+?) \|$", section, flags=re.MULTILINE)):
            for prefix in re.findall(r"`([\w.]+)`", modules):
                rows[prefix], allowed[prefix] = number, re.findall(r"`([\w.]+)`", others)
        return cls(rows, allowed)

    def row_of(self, module: str) -> int | None:
        """The row of the longest prefix that covers a module."""
        covering = [prefix for prefix in self.rows if module == prefix or module.startswith(prefix + ".")]
        return self.rows[max(covering, key=len)] if covering else None

    @property
    def num_arrows(self) -> int:
        """Grants of the table: one for each row and prefix that it may import."""
        return len({(self.rows[prefix], other) for prefix, others in self.allowed.items() for other in others})


def upward_imports(sources: Sequence[Source], table: ImportTable) -> list[str]:
    """Imports of a module whose row stands below the importer's."""
    found = []
    for name, others in first_party_imports(sources).items():
        for other in others:
            row, imported = table.row_of(name), table.row_of(other)
            if row is not None and imported is not None and imported > row:
                found.append(f"{name} -> {other}")
    return sorted(found)


def modules_per_folder(sources: Sequence[Source]) -> collections.Counter[str]:
    """{folder: modules in it, `__init__` included}."""
    return collections.Counter(str(pathlib.PurePath(source.path).parent) for source in sources)


FIGURES: dict[str, tuple[str, Callable[[Sequence[Source]], list[Finding]]]] = {
    "functions": (f"functions over {MAX_FUNCTION_LINES} lines", long_functions),
    "arguments": (f"functions with over {MAX_ARGUMENTS} positional-or-keyword arguments", many_arguments),
    "tuples": ("bare-tuple returns", tuple_returns),
    "subjects": ("docstring subjects by clause (modules, classes)", clause_subjects),
    "function-subjects": ("docstring subjects by clause (functions)", clause_subjects_of_functions),
    "words": ("banned words", banned_words),
    "duplicates": (f"duplicate runs of {DUPLICATE_LINES} lines", duplicate_runs),
}


def _within(source: Source, paths: Sequence[str]) -> bool:
    return not paths or any(source.path == path or source.path.startswith(path.rstrip("/") + "/") for path in paths)


def table_lines(paths: Sequence[str]) -> list[str]:
    """The table of all figures; those of the import rule are of the whole source."""
    areas = {name: read_sources(tops) for name, tops in AREAS.items()}
    chosen = {name: [source for source in sources if _within(source, paths)] for name, sources in areas.items()}
    lines = ["| figure | " + " | ".join(areas) + " |", "|---" * (len(areas) + 1) + "|"]
    lines.append("| modules | " + " | ".join(str(len(sources)) for sources in chosen.values()) + " |")
    folders = [max(modules_per_folder(sources).values(), default=0) for sources in chosen.values()]
    lines.append("| modules in the fullest folder | " + " | ".join(map(str, folders)) + " |")
    for title, count in FIGURES.values():
        lines.append(f"| {title} | " + " | ".join(str(len(count(sources))) for sources in chosen.values()) + " |")
    table, source = ImportTable.read(), areas["source"]
    lines.append(f"| import rows | {len(set(table.rows.values()))} |" + " |" * (len(areas) - 1))
    lines.append(f"| import arrows | {table.num_arrows} |" + " |" * (len(areas) - 1))
    lines.append(f"| upward imports | {len(upward_imports(source, table))} |" + " |" * (len(areas) - 1))
    lines.append(f"| modules in import circles | {len(circular_imports(source))} |" + " |" * (len(areas) - 1))
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table, or the places of one figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders, relative to the repository")
    parser.add_argument("--list", choices=[*FIGURES, "folders"], help="print the places of one figure")
    options = parser.parse_args(argv)
    if not options.list:
        print("\n".join(table_lines(options.paths)))
        return
    tops = options.paths or AREAS["source"]
    sources = [source for source in read_sources(tops) if _within(source, options.paths)]
    if options.list == "folders":
        print("\n".join(f"{folder} {count}" for folder, count in sorted(modules_per_folder(sources).items())))
        return
    print("\n".join(map(str, FIGURES[options.list][1](sources))))


if __name__ == "__main__":
    main()
