"""The `vitrine` command: one subcommand for each job, each with its own flags.

A subcommand is the command line of a module, which can also be started as `python -m <module>`; modules are imported
when their subcommand is chosen, so that `vitrine --help` is quick and `vitrine doctor` needs the standard library only.
"""

import argparse
import functools
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from vitrine.version import DISTRIBUTION, __version__

_HELP_WIDTH = 100
_SHELLS = ("bash", "zsh", "tcsh")


class Command(NamedTuple):
    """A subcommand.

    Attributes:
      name: Its name.
      module: The module with its `main(arguments)` and `parser()`.
      summary: Its line in `vitrine --help`.
      replaces_process: Whether `python -m <module>` takes the place of this process, for what handles signals or ends
        in a way of its own.
    """

    name: str
    module: str
    summary: str
    replaces_process: bool = False


COMMANDS = (
    Command("doctor", "trainer.doctor.cli", "check versions, libraries, disk and memory of this environment"),
    Command("run", "tfx_pipeline", "the whole TFX pipeline: a shop in, a published bundle out"),
    Command("preprocess", "beam_preprocess.__main__", "records of a shop to Examples and a Transform graph, on Beam"),
    Command("train", "trainer.task", "train, evaluate and export the towers, and build a bundle"),
    Command("build", "serving.bundle.__main__", "a bundle of exported towers and a catalogue"),
    Command("refresh", "serving.bundle.refresh", "a new bundle for a changed catalogue, without training"),
    Command("publish", "serving.bundle.push", "publish a bundle as the next version and wait for servers"),
    Command("serve", "serving.server", "serve bundles over TF Serving's gRPC and REST", replaces_process=True),
    Command("items", "vitrine.items", "change price, stock, visibility and boost of items that are served"),
    Command("evaluate", "serving.evaluation.__main__", "recall@10 of a bundle on recorded events"),
    Command("synonyms", "serving.evaluation.synonyms", "candidates for the synonym file, learned from recorded events"),
    Command("make-shop", "beam_preprocess.synthetic.shop", "write the synthetic shop of the demo"),
    Command("bench", "vitrine.bench", "the benchmarks of a source tree"),
)
_PARSERS = {"serve": "serving.server.flags"}  # where the parser is not in the module that is run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; returns its exit code, 2 for wrong arguments, 1 where a package is missing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what a person reads is ours
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0].startswith("-"):
        parser().parse_args(given or ["--help"])
        return 0
    name, *rest = given
    if name == "completion":
        return _print_completion(rest)
    command = next((found for found in COMMANDS if found.name == name), None)
    if command is None:
        parser().parse_args(given)  # exits with the message
        return 2
    try:
        return _run(command, rest)
    except ModuleNotFoundError as error:
        print(f"vitrine {name}: {error}. {_remedy()}", file=sys.stderr)
        return 1


def parser(*, complete: bool = False) -> argparse.ArgumentParser:
    """Returns the parser of the command.

    Args:
      complete: With the flags of every subcommand, which imports all of them (10 to 30 seconds).
    """
    made = argparse.ArgumentParser(
        prog="vitrine",
        formatter_class=functools.partial(argparse.HelpFormatter, max_help_position=24, width=_HELP_WIDTH),
        description="Multimodal search and recommendation for shops.",
        epilog="`vitrine COMMAND --help` shows the flags of a command.",
    )
    made.add_argument("--version", action="version", version=f"{DISTRIBUTION} {__version__}")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in COMMANDS:
        parents = [_parser_of(command)] if complete else []
        commands.add_parser(command.name, help=command.summary, parents=parents, add_help=False)
    completion = commands.add_parser("completion", help="print the tab completion of a shell")
    completion.add_argument("shell", choices=_SHELLS)
    return made


def _run(command: Command, arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        made = _parser_of(command)
        made.prog = f"vitrine {command.name}"
        made.print_help()
        return 0
    if command.replaces_process:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", command.module, *arguments])
    return importlib.import_module(command.module).main(arguments) or 0


def _parser_of(command: Command) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = importlib.import_module(_PARSERS.get(command.name, command.module)).parser()
    return made


def _print_completion(arguments: list[str]) -> int:
    """Prints a script for a shell; it is static, so that no Python runs when a person presses tab."""
    if not arguments or arguments[0] not in _SHELLS:
        parser().parse_args(["completion", *arguments])
    try:
        import shtab
    except ModuleNotFoundError:
        print(f"vitrine completion: needs shtab: pip install '{DISTRIBUTION}[completion]'", file=sys.stderr)
        return 1
    print(shtab.complete(parser(complete=True), shell=arguments[0]))
    return 0


def _remedy() -> str:
    return (
        "Run `make setup` in a source tree, or install the extra that brings it "
        f"(pip install '{DISTRIBUTION}[serve,client]'; docs/dependencies.md lists them). `vitrine doctor` checks all."
    )


if __name__ == "__main__":
    sys.exit(main())
