"""`vitrine doctor`: says what is wrong with this machine's environment, and how to mend it.

Standard library only, so that it also runs where nothing else is installed.
"""

import argparse
import dataclasses
import enum
import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainer.doctor.import_checks import PROBES, SETUP, Probe, run_probes

DISTRIBUTION = "vitrine"
EXTRA = "pipeline"
MIN_DISK_GB = 4.0
MIN_MEMORY_GB = 4.0


class Grade(enum.StrEnum):
    """How a check came out; only a fault makes the exit code 1."""

    OK = "ok"
    NOTE = "note"
    FAULT = "FAULT"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do where it is wrong."""

    grade: Grade
    subject: str
    detail: str

    def __str__(self) -> str:
        """The line."""
        return f"{self.grade:<6} {self.subject:<32} {self.detail}"


def check_machine() -> Iterator[Finding]:
    """Interpreter and platform against what the lock supports."""
    version = platform.python_version()
    if sys.version_info[:2] == (3, 11):
        yield Finding(Grade.OK, "python", version)
    else:
        yield Finding(Grade.FAULT, "python", f"{version}; 3.11 is wanted (ml-metadata has no other): {SETUP} with 3.11")
    system = f"{platform.system()} {platform.machine()}"
    if system == "Linux x86_64":
        yield Finding(Grade.OK, "platform", system)
    else:
        yield Finding(
            Grade.FAULT, "platform", f"{system}; the lock is for Linux x86_64: use such a machine or container"
        )


def free_disk_gb() -> float:
    """Free disk where runs are written (the working directory), in gigabytes."""
    return shutil.disk_usage(Path.cwd()).free / 1e9


def memory_gb() -> float:
    """Memory that this process may still use: what the machine has available, cut by the control group's limit."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    available = int(re.findall(r"MemAvailable:\s+(\d+)", text)[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        available = min(available, int(limit.read_text()) - int(used.read_text()))
    return available / 1e9


def check_room() -> Iterator[Finding]:
    """Free disk and memory."""
    rows: tuple[tuple[str, Callable[[], float], float, str], ...] = (
        ("disk", free_disk_gb, MIN_DISK_GB, "free some, or choose another --output"),
        ("memory", memory_gb, MIN_MEMORY_GB, "stop other programs or take a larger machine"),
    )
    for subject, measure, minimum, mend in rows:
        try:
            free = measure()
        except (OSError, IndexError, ValueError) as error:
            yield Finding(Grade.NOTE, subject, f"could not be read: {error}")
            continue
        if free >= minimum:
            yield Finding(Grade.OK, subject, f"{free:.1f} GB free")
        else:
            yield Finding(Grade.FAULT, subject, f"{free:.1f} GB free, {minimum:.0f} GB wanted: {mend}")


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement: `name`, its version `clauses` such as `>=2,<3`, whether the extra brings it."""

    name: str
    clauses: str
    extra: bool


def requirements() -> list[Requirement] | None:
    """What the installed distribution requires; None when it is not installed."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = []
    for line in lines:
        specifier, _, marker = line.partition(";")
        name, clauses = re.fullmatch(r"\s*([\w.-]+)(?:\[[^]]*\])?\s*(.*?)\s*", specifier).groups()  # type: ignore[union-attr]
        found.append(Requirement(name, clauses.strip("()"), re.search(r"\bextra\b", marker) is not None))
    return found


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
        found = [int(n) for n in re.findall(r"\d+", re.split(r"[^\d.]", text.strip(), maxsplit=1)[0])]
        return found + [0] * (6 - len(found))

    parts = [re.match(r"\s*([=!<>]=|[<>])\s*(\S+)", clause) for clause in clauses.split(",") if clause.strip()]
    return all(part is not None and compare[part[1]](numbers(version), numbers(part[2])) for part in parts)


def installed_version(name: str) -> str | None:
    """The installed version of a distribution, None when it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_matrix(wanted: Sequence[Requirement] | None) -> Iterator[Finding]:
    """Installed versions against the distribution's own requirements."""
    if wanted is None:
        yield Finding(Grade.FAULT, DISTRIBUTION, f"is not installed, so its version matrix is unknown: {SETUP}")
        return
    for requirement in wanted:
        version = installed_version(requirement.name)
        if version is None:
            detail = f"is missing; {requirement.clauses or 'any version'} is wanted: {SETUP}"
            yield Finding(Grade.FAULT, requirement.name, detail)
        elif not satisfies(version, requirement.clauses):
            detail = f"{version} is installed; {requirement.clauses} is wanted: {SETUP}"
            yield Finding(Grade.FAULT, requirement.name, detail)
        else:
            yield Finding(Grade.OK, requirement.name, version)


def check_loading(probes: Sequence[Probe]) -> Iterator[Finding]:
    """What each library did when it was loaded for real."""
    for probe, outcome in zip(probes, run_probes(probes), strict=True):
        if outcome.ok:
            yield Finding(Grade.OK, f"load {probe.subject}", outcome.detail)
        else:
            yield Finding(Grade.FAULT, f"load {probe.subject}", f"{outcome.detail}: {probe.mend}")


def examine(*, pipeline: bool = False, quick: bool = False) -> Iterator[Finding]:
    """Every finding, in order; the `pipeline` extra counts when `pipeline` is set or tfx is installed."""
    yield from check_machine()
    yield from check_room()
    wanted = requirements()
    pipeline = pipeline or installed_version("tfx") is not None
    yield from check_matrix(None if wanted is None else [r for r in wanted if pipeline or not r.extra])
    if not pipeline:
        detail = f"is not installed; only tfx_pipeline.py and beam_preprocess need it ({SETUP} installs it)"
        yield Finding(Grade.NOTE, f"extra {EXTRA}", detail)
    if not quick:
        yield from check_loading([probe for probe in PROBES if pipeline or not probe.extra])


def main(argv: Sequence[str] | None = None) -> int:
    """The `vitrine` command; returns 1 when there is a fault."""
    parser = argparse.ArgumentParser(prog="vitrine", description="Vitrine's command line.")
    commands = parser.add_subparsers(dest="command", required=True)
    doctor = commands.add_parser("doctor", help="check versions, libraries, disk and memory")
    doctor.add_argument("--pipeline", action="store_true", help="also require the `pipeline` extra (TFX, Beam)")
    doctor.add_argument("--quick", action="store_true", help="only versions and room; load no library")
    arguments = parser.parse_args(argv)
    faults = 0
    for finding in examine(pipeline=arguments.pipeline, quick=arguments.quick):
        print(finding, flush=True)
        faults += finding.grade is Grade.FAULT
    print(f"{faults} fault(s)." if faults else "No faults.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
