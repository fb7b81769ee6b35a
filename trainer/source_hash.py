"""Source hash: of a module and every module of the project that it imports, so that no cache outlives an edit."""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("trainer", "serving", "beam_preprocess")


def source_hash(
    modules: Iterable[str], *, without_imports: Iterable[str] = (), excluded: Iterable[str] = (), root: Path = ROOT
) -> str:
    """Returns the hexadecimal SHA-256 of the source of `modules` and their imports, and of `without_imports` alone.

    Args:
      modules: Dotted names, for example `trainer.task`; also those that are only started as a process.
      without_imports: Dotted names of modules whose imports do not count.
      excluded: Dotted names of modules that are imported and never run; neither they nor their imports count.
      root: The folder that holds the packages.

    Raises:
      ValueError: A module of that name does not exist.
    """
    files = source_files(modules, excluded=excluded, root=root)
    for module in without_imports:
        files[module] = _existing_file(module, root)
    digest = hashlib.sha256()
    for module, path in sorted(files.items()):
        digest.update(f"{module}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def source_files(modules: Iterable[str], *, excluded: Iterable[str] = (), root: Path = ROOT) -> dict[str, Path]:
    """Returns the files of `modules`, of their packages and of every module of the project that they import, by name.

    Imports of the modules of `excluded` are not followed. Imports inside functions count; names that are put together
    at run time cannot be seen.

    Raises:
      ValueError: A module of that name does not exist.
    """
    files: dict[str, Path] = {}
    skipped = {name for name in excluded if _existing_file(name, root)}
    waiting = [(module, _existing_file(module, root)) for module in modules]
    while waiting:
        module, path = waiting.pop()
        if module in files or module in skipped:
            continue
        files[module] = path
        for name in _imported(path, package=module if path.name == "__init__.py" else module.rpartition(".")[0]):
            imported = _module_file(name, root)
            if imported is not None:
                waiting.append((name, imported))
        parent = module.rpartition(".")[0]
        if parent:
            waiting.append((parent, _existing_file(parent, root)))
    return files


def _imported(path: Path, *, package: str) -> set[str]:
    """Every dotted name that may be a module in the import statements of a file of `package`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            origin = ".".join([*parts, *([node.module] if node.module else [])])
            names.add(origin)
            names.update(f"{origin}.{alias.name}" for alias in node.names)
    return {name for name in names if name.partition(".")[0] in PACKAGES}


def _module_file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _existing_file(module: str, root: Path) -> Path:
    path = _module_file(module, root)
    if path is None:
        raise ValueError(f"Module {module!r} has no source below the project; wanted a name like 'trainer.task'.")
    return path
