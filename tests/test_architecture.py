"""The import rule and the house rules, read from the source; the rule itself stands in docs/architecture.md."""

import ast
import collections
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("trainer", "serving", "beam_preprocess", "vitrine")
MAX_LINES = 400  # the aim is 300
MAX_MODULES = 16  # in a folder
CLIENT = "serving.client"
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "common", "base2"}


def source_files():
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [*files, ROOT / "tfx_pipeline.py"]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in source_files()}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def rule_table():
    """{module prefix: (row number, allowed prefixes)} from the page's table."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = page.split("## Who may import whom")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|$", section, flags=re.MULTILINE)
    table = {}
    for number, (modules, allowed) in enumerate(rows):
        for prefix in re.findall(r"`([\w.]+)`", modules):
            assert prefix not in table, f"{prefix} stands twice in the import rule"
            table[prefix] = (number, re.findall(r"`([\w.]+)`", allowed))
    return table


RULE = rule_table()


def under(name, prefix):
    return name == prefix or name.startswith(prefix + ".")


def row_of(name):
    """The most exact prefix of the rule that covers a module."""
    covering = [prefix for prefix in RULE if under(name, prefix)]
    return max(covering, key=len) if covering else None


def imports(name):
    """Every module name that a module imports, with its line; `from a import b` counts as a.b where that is ours."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = imported_from(name, node)
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield (full if full in MODULES else source), node.lineno


def imported_from(name, node):
    """The absolute name of the module after `from`."""
    if not node.level:
        return node.module
    # Relative imports of one dot in this one flat folder let a copy of it work under any name.
    assert under(name, CLIENT), f"{name}, line {node.lineno}: relative import; write it absolute"
    assert (node.level, MODULES[name].parent) == (1, ROOT / CLIENT.replace(".", "/"))
    return f"{CLIENT}.{node.module}" if node.module else CLIENT


def first_party(name):
    return name.split(".")[0] in (*PACKAGES, "tfx_pipeline")


def allowed(importer, imported):
    importer_row, imported_row = row_of(importer), row_of(imported)
    if imported == "trainer":
        return importer_row != CLIENT
    if imported_row is None:
        return False
    return RULE[importer_row][0] == RULE[imported_row][0] or imported_row in RULE[importer_row][1]


def first_party_imports(name):
    """The modules of ours that a module imports, those inside functions too, without `import trainer`."""
    return {found for found, _ in imports(name) if found in MODULES and found not in PACKAGES}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_keep_to_the_rule(name):
    if name in PACKAGES and name != "vitrine":  # their __init__ import nothing first-party; the facade does
        assert not first_party_imports(name)
        return
    assert row_of(name) is not None, f"{name} has no row in the import rule of docs/architecture.md; add it to one"
    wrong = [
        f"line {line}: {found}" for found, line in imports(name) if first_party(found) and not allowed(name, found)
    ]
    assert not wrong, f"{name} may import only {RULE[row_of(name)][1]} (docs/architecture.md); it imports {wrong}"


def test_the_rule_itself_is_read_right():
    assert allowed("trainer.ops.text", "trainer.spec.config")
    assert not allowed("trainer.spec.config", "trainer.ops.text")
    assert not allowed("trainer.nn.fusion", "trainer.spec.config")
    assert allowed("trainer.nn.encoders.image", "trainer.nn.blocks")
    assert not allowed("serving.client", "trainer.spec.features")
    assert not allowed("serving.client", "trainer")
    assert allowed("serving.client.client", "serving.client.images")
    assert not allowed("serving.client.images", "trainer")
    assert not allowed("serving.client.images", "serving.manifest")
    assert not allowed("serving.index.exact", "serving.engine.search")
    assert not allowed("serving.bundle.build", "serving.component")
    assert not allowed("serving.bundle.build", "trainer.model.build")
    assert allowed("serving.component", "serving.bundle.build")
    assert not allowed("tfx_pipeline", "serving.bundle.build")
    assert allowed("tfx_pipeline", "serving.component")


def test_no_row_of_the_rule_points_upward():
    for prefix, (number, granted) in RULE.items():
        for other in granted:
            assert other in RULE, f"{prefix} may import {other}, which has no row"
            assert RULE[other][0] < number, f"{prefix} may import {other}, whose row must stand above it"


def test_no_row_of_the_rule_grants_what_nobody_imports():
    used = {(row_of(name), row_of(found)) for name in MODULES for found in first_party_imports(name)}
    reached = {(RULE[importer][0], imported) for importer, imported in used if importer}
    idle = {
        (prefix, other)
        for prefix, (number, granted) in RULE.items()
        for other in granted
        if (number, other) not in reached
    }
    assert not idle, f"the import rule grants more than is needed: {sorted(idle)}"


def test_modules_import_each_other_in_no_circle():
    """Kahn (1962): what imports nothing of the rest is removed; whatever remains is in a circle or imports one."""
    waiting = {name: first_party_imports(name) for name in MODULES}
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting, f"circular imports among {sorted(waiting)}"


def test_no_folder_is_crowded():
    counts = collections.Counter(str(path.parent.relative_to(ROOT)) for path in MODULES.values())
    crowded = {folder: count for folder, count in counts.items() if count > MAX_MODULES}
    assert not crowded, f"more than {MAX_MODULES} modules in {crowded}; split the folder by subject"


def test_the_rule_names_no_module_that_is_gone():
    for prefix in RULE:
        assert any(under(name, prefix) for name in MODULES), (
            f"docs/architecture.md names {prefix}, which does not exist"
        )


def test_only_components_pipeline_and_local_runner_import_tfx():
    for name in TREES:
        if name not in ("tfx_pipeline", "trainer.job.local_runner") and not name.endswith(".component"):
            assert not [line for found, line in imports(name) if under(found, "tfx")], f"{name} imports tfx"


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if under(name, "trainer.spec")])
def test_the_declaration_is_plain_data(name):
    outside = {found.split(".")[0] for found, _ in imports(name)} - {"trainer"}
    assert outside <= set(sys.stdlib_module_names)


def test_client_and_declaration_load_no_tensorflow():
    program = (
        "import sys, trainer.spec.presets, trainer.spec.serving.signatures, trainer.spec.records, serving.client\n"
        "heavy = {'tensorflow', 'tf_keras', 'keras', 'apache_beam', 'tfx'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_file_holds_one_idea(name):
    path = MODULES[name]
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines; split it at its second idea"
    assert path.stem not in FORBIDDEN_NAMES, f"{path.relative_to(ROOT)}: name the file after what it does"


def test_every_module_says_what_it_is():
    for name, tree in TREES.items():
        assert ast.get_docstring(tree), f"{name} has no docstring"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_graph_says_whether_autograph_makes_it(name):
    """Control flow is explicit, so that a graph is traced in three quarters of the time."""
    calls = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)]
    made = [call for call in calls if ast.unparse(call.func) == "tf.function"]
    assert not [call.lineno for call in made if "autograph" not in {keyword.arg for keyword in call.keywords}]
    bare = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef)]
    assert not [one.name for one in bare if "tf.function" in {ast.unparse(mark) for mark in one.decorator_list}]
