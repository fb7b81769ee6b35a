"""A Python environment that holds only what the base requirements bring."""

import collections
import csv
import importlib.metadata
import tarfile
import venv
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def base_closure(distribution="vitrine-search", *, extras=()):
    """Names of the distributions that `distribution` brings with these of its extras, itself included."""
    found, waiting = set(), [(canonicalize_name(distribution), frozenset(extras))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            asked = list(extras) or [""]
            if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in asked):
                continue
            step = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


def recorded_files(distribution):
    """Paths of a distribution's files relative to site-packages, as text."""
    rows = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    return [row[0] for row in rows if not row[0].startswith(("../", "__pycache__", "__editable__"))]


def install_sdist(python, archive):
    """Unpacks a pure source distribution into the site-packages of an environment, as its installer would."""
    [site] = Path(python).parents[1].glob("lib/python*/site-packages")
    (site / "vitrine.pth").unlink()
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            member.name = member.name.partition("/")[2]  # without the folder vitrine_search-0.1.0
            if member.name:
                tar.extract(member, site, filter="data")


def make_environment(folder, distributions):
    """A virtual environment in `folder` with links to the installed files of `distributions`; returns its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    [site] = Path(folder).glob("lib/python*/site-packages")
    files = {canonicalize_name(d.metadata["Name"]): (d, recorded_files(d)) for d in importlib.metadata.distributions()}
    owners = collections.defaultdict(set)
    for name, (_, paths) in files.items():
        for path in paths:
            owners[path.partition("/")[0]].add(name)
    for distribution, paths in (files[name] for name in sorted(distributions)):
        # A folder whose owners are all wanted is linked whole; one that strangers share (`google`), file by file.
        tops = {path.partition("/")[0] for path in paths}
        whole = {top for top in tops if owners[top] <= set(distributions)}
        for path in whole | {path for path in paths if path.partition("/")[0] not in whole}:
            link = site / path
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(distribution.locate_file(path))
    (site / "vitrine.pth").write_text(f"{ROOT}\n")
    return Path(folder) / "bin" / "python"
