"""`vitrine doctor`: checks the environment of this machine, and reports errors with their fixes.

Standard library only, so that it also runs where nothing else is installed.
"""

import argparse
import dataclasses
import enum
import importlib.machinery
import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainer.doctor.import_checks import PROBES, SETUP, Probe, run_probes

DISTRIBUTION = "vitrine-search"
EXTRA = "pipeline"
OWN_PACKAGES = ("trainer", "serving", "beam_preprocess", "vitrine")
ROOT = Path(__file__).resolve().parents[2]
EXTRAS = {
    EXTRA: "tfx_pipeline.py and beam_preprocess",
    "serve": "serving.server",
    "client": "serving.client",
    "completion": "`vitrine completion`",
    "report": "report.html",
    "heic": "reading photos in HEIC",
}
NOT_LOCKED = ("heic",)
MIN_DISK_GB = 4.0
MIN_MEMORY_GB = 4.0


class Status(enum.StrEnum):
    """Result of a check; only an error makes the exit code 1."""

    OK = "ok"
    NOTE = "note"
    ERROR = "ERROR"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the subject of a check, its status, details and the fix."""

    status: Status
    subject: str
    detail: str

    def __str__(self) -> str:
        """Returns the line."""
        return f"{self.status:<6} {self.subject:<32} {self.detail}"


def check_machine() -> Iterator[Finding]:
    """Interpreter and platform against what the lock supports."""
    version = platform.python_version()
    if sys.version_info[:2] == (3, 11):
        yield Finding(Status.OK, "python", version)
    else:
        yield Finding(
            Status.ERROR, "python", f"{version}; 3.11 is wanted (ml-metadata has no other): {SETUP} with 3.11"
        )
    system = f"{platform.system()} {platform.machine()}"
    if system == "Linux x86_64":
        yield Finding(Status.OK, "platform", system)
    else:
        yield Finding(
            Status.ERROR, "platform", f"{system}; the lock is for Linux x86_64: use such a machine or container"
        )


def free_disk_gb() -> float:
    """Returns the free disk of the working directory, where runs are written, in gigabytes."""
    return shutil.disk_usage(Path.cwd()).free / 1e9


def memory_gb() -> float:
    """Returns the available memory of the machine, cut by the control group's limit, in gigabytes."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    available = int(re.findall(r"MemAvailable:\s+(\d+)", text)[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        available = min(available, int(limit.read_text()) - int(used.read_text()))
    return available / 1e9


def check_capacity() -> Iterator[Finding]:
    """Free disk and memory."""
    rows: tuple[tuple[str, Callable[[], float], float, str], ...] = (
        ("disk", free_disk_gb, MIN_DISK_GB, "free some, or choose another --output"),
        ("memory", memory_gb, MIN_MEMORY_GB, "stop other programs or take a larger machine"),
    )
    for subject, measure, minimum, fix in rows:
        try:
            free = measure()
        except (OSError, IndexError, ValueError) as error:
            yield Finding(Status.NOTE, subject, f"could not be read: {error}")
            continue
        if free >= minimum:
            yield Finding(Status.OK, subject, f"{free:.1f} GB free")
        else:
            yield Finding(Status.ERROR, subject, f"{free:.1f} GB free, {minimum:.0f} GB wanted: {fix}")


def check_packages(path: Sequence[str] | None = None) -> Iterator[Finding]:
    """Packages of our names that belong to another distribution, such as the `trainer` of a speech library.

    Args:
      path: Where Python looks for packages; `sys.path` when None.
    """
    for name in OWN_PACKAGES:
        entries = sys.path if path is None else path
        found = [importlib.machinery.PathFinder.find_spec(name, [entry]) for entry in entries]
        origins = [Path(spec.origin).resolve() for spec in found if spec is not None and spec.origin]
        foreign = [origin for origin in origins if not origin.is_relative_to(ROOT / name)]
        if not foreign:
            continue
        remedy = "uninstall its distribution, or give Vitrine an environment of its own"
        if origins[0] == foreign[0]:
            detail = f"{foreign[0].parent} is imported, not {ROOT / name}: {remedy}"
            yield Finding(Status.ERROR, f"package {name}", detail)
        else:
            detail = f"{foreign[0].parent} has the same name and is imported in other working directories: {remedy}"
            yield Finding(Status.NOTE, f"package {name}", detail)


@dataclasses.dataclass(frozen=True, slots=True)
class PackageRequirement:
    """One requirement: `name`, its version `clauses` such as `>=2,<3`, the `extra` that brings it, "" for the base."""

    name: str
    clauses: str
    extra: str


def requirements() -> list[PackageRequirement] | None:
    """Returns the requirements of the installed distribution; None when it is not installed."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    parsed = []
    for line in lines:
        specifier, _, marker = line.partition(";")
        name, clauses = re.fullmatch(r"\s*([\w.-]+)(?:\[[^]]*\])?\s*(.*?)\s*", specifier).groups()  # type: ignore[union-attr]
        extra = re.search(r"\bextra\s*==\s*[\"']([\w.-]+)", marker)
        parsed.append(PackageRequirement(name, clauses.strip("()"), extra[1] if extra else ""))
    return parsed


def satisfies(version: str, clauses: str) -> bool:
    """Whether `version` meets every clause (==, !=, >=, <=, >, <); pre-release tags are ignored."""
    compare: dict[str, Callable[[list[int], list[int]], bool]] = {
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        "<": lambda a, b: a < b,
    }

    def numbers(text: str) -> list[int]:
        values = [int(n) for n in re.findall(r"\d+", re.split(r"[^\d.]", text.strip(), maxsplit=1)[0])]
        return values + [0] * (6 - len(values))

    parts = [re.match(r"\s*([=!<>]=|[<>])\s*(\S+)", clause) for clause in clauses.split(",") if clause.strip()]
    return all(part is not None and compare[part[1]](numbers(version), numbers(part[2])) for part in parts)


def installed_version(name: str) -> str | None:
    """Returns the installed version of a distribution, None when it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_matrix(wanted: Sequence[PackageRequirement] | None) -> Iterator[Finding]:
    """Installed versions against the distribution's own requirements."""
    if wanted is None:
        yield Finding(Status.ERROR, DISTRIBUTION, f"is not installed, so its version matrix is unknown: {SETUP}")
        return
    for requirement in wanted:
        version = installed_version(requirement.name)
        if version is None:
            detail = f"is missing; {requirement.clauses or 'any version'} is wanted: {SETUP}"
            yield Finding(Status.ERROR, requirement.name, detail)
        elif not satisfies(version, requirement.clauses):
            detail = f"{version} is installed; {requirement.clauses} is wanted: {SETUP}"
            yield Finding(Status.ERROR, requirement.name, detail)
        else:
            yield Finding(Status.OK, requirement.name, version)


def check_extras(wanted: Sequence[PackageRequirement]) -> Iterator[Finding]:
    """Requirements of extras that may be absent: a note for each extra that is, a fault for a wrong version."""
    for extra in sorted({requirement.extra for requirement in wanted}):
        ours = [requirement for requirement in wanted if requirement.extra == extra]
        missing = [requirement.name for requirement in ours if installed_version(requirement.name) is None]
        yield from check_matrix([requirement for requirement in ours if requirement.name not in missing])
        if missing:
            names = ", ".join(missing)
            how = f"pip install {names}" if extra in NOT_LOCKED else SETUP
            detail = f"is not installed; only {EXTRAS.get(extra, extra)} needs {names} ({how} installs it)"
            yield Finding(Status.NOTE, f"extra {extra}", detail)


def check_loading(probes: Sequence[Probe]) -> Iterator[Finding]:
    """Results of the import checks."""
    for probe, outcome in zip(probes, run_probes(probes), strict=True):
        if outcome.ok:
            yield Finding(Status.OK, f"load {probe.subject}", outcome.detail)
        else:
            yield Finding(Status.ERROR, f"load {probe.subject}", f"{outcome.detail}: {probe.fix}")


def examine(*, pipeline: bool = False, quick: bool = False) -> Iterator[Finding]:
    """Yields every finding; the `pipeline` extra counts when `pipeline` is set or tfx is installed."""
    yield from check_machine()
    yield from check_capacity()
    yield from check_packages()
    wanted = requirements()
    pipeline = pipeline or installed_version("tfx") is not None
    needed = {"", EXTRA} if pipeline else {""}
    yield from check_matrix(None if wanted is None else [r for r in wanted if r.extra in needed])
    yield from check_extras([r for r in wanted or () if r.extra not in needed])
    if not quick:
        yield from check_loading([probe for probe in PROBES if pipeline or not probe.extra])


def main(argv: Sequence[str] | None = None) -> int:
    """Prints every finding; returns 1 when there is an error."""
    arguments = parser().parse_args(argv)
    errors = 0
    for finding in examine(pipeline=arguments.pipeline, quick=arguments.quick):
        print(finding, flush=True)
        errors += finding.status is Status.ERROR
    print(f"{errors} error(s)." if errors else "No errors.")
    return 1 if errors else 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(prog="vitrine doctor", description="Checks the environment of this machine.")
    made.add_argument("--pipeline", action="store_true", help="also require the `pipeline` extra (TFX, Beam)")
    made.add_argument("--quick", action="store_true", help="only versions, disk and memory; load no library")
    return made


if __name__ == "__main__":
    sys.exit(main())
