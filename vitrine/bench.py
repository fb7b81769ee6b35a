"""`vitrine bench NAME`: runs a benchmark of the source tree; docs/benchmarks.md lists their results."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MAIN = 'if __name__ == "__main__":'


def benchmarks(root: Path = ROOT) -> list[str]:
    """Returns the names of the benchmarks that can be started, such as `retrieval` or `serving.throughput`."""
    folder = root / "benchmarks"
    files = [path for path in folder.rglob("*.py") if _MAIN in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(folder).with_suffix("").parts) for path in files]
    return sorted(name.removesuffix(".__main__") for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the benchmark; without a name, lists them."""
    options, rest = parser().parse_known_args(arguments)
    if not benchmarks():
        print(f"vitrine bench: there is no {ROOT / 'benchmarks'}; run it in a source tree.", file=sys.stderr)
        return 1
    if options.name is None:
        print("\n".join(benchmarks()))
        return 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", f"benchmarks.{options.name}", *rest]
    return subprocess.run(command, env=environment, check=False).returncode


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line; further arguments go to the benchmark."""
    made = argparse.ArgumentParser(prog="vitrine bench", description="Runs a benchmark; without a name, lists them.")
    made.add_argument("name", nargs="?", choices=benchmarks() or None, help="the benchmark; its own flags follow")
    return made
