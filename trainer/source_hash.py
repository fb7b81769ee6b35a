"""A hash of our own source: a module and everything of ours that it imports, so that no cache outlives an edit."""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("trainer", "serving", "beam_preprocess")


def source_hash(
    modules: Iterable[str], *, alone: Iterable[str] = (), without: Iterable[str] = (), root: Path = ROOT
) -> str:
    """Hexadecimal SHA-256 of the source of `modules` with what they import, and of the modules of `alone` without.

    Args:
      modules: Dotted names, for example `trainer.task`; also those that are only started as a process.
      alone: Dotted names of modules whose imports are left out.
      without: Dotted names of modules that this step imports and never runs; neither they nor their imports count.
      root: The folder that holds our packages.

    Raises:
      ValueError: A module of that name does not exist.
    """
    files = source_files(modules, without=without, root=root)
    for module in alone:
        files[module] = _located(module, root)
    digest = hashlib.sha256()
    for module, path in sorted(files.items()):
        digest.update(f"{module}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def source_files(modules: Iterable[str], *, without: Iterable[str] = (), root: Path = ROOT) -> dict[str, Path]:
    """The files of `modules`, of the packages they are in and of every module of ours that they import, by name.

    Nothing is followed into the modules of `without`.

    Imports inside functions count; names that are put together at run time cannot be seen.

    Raises:
      ValueError: A module of that name does not exist.
    """
    files: dict[str, Path] = {}
    left_out = {name for name in without if _located(name, root)}
    waiting = [(module, _located(module, root)) for module in modules]
    while waiting:
        module, path = waiting.pop()
        if module in files or module in left_out:
            continue
        files[module] = path
        for name in _imported(path, package=module if path.name == "__init__.py" else module.rpartition(".")[0]):
            found = _locate(name, root)
            if found is not None:
                waiting.append((name, found))
        parent = module.rpartition(".")[0]
        if parent:
            waiting.append((parent, _located(parent, root)))
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


def _locate(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _located(module: str, root: Path) -> Path:
    path = _locate(module, root)
    if path is None:
        raise ValueError(f"Module {module!r} has no source below the project; wanted a name like 'trainer.task'.")
    return path
