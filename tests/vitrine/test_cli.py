"""The command `vitrine`: one help tree, lazy subcommands, completion."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vitrine
from vitrine import bench, cli

ROOT = Path(__file__).resolve().parents[2]
JOBS = [
    "doctor",
    "run",
    "preprocess",
    "train",
    "build",
    "refresh",
    "publish",
    "serve",
    "items",
    "evaluate",
    "synonyms",
    "make-shop",
    "bench",
]


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "vitrine", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_every_job_is_a_subcommand_of_the_help(capsys):
    assert [command.name for command in cli.COMMANDS] == JOBS
    with pytest.raises(SystemExit) as done:
        cli.main(["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert re.search(rf"^    {command.name}( |$)", text, flags=re.MULTILINE)
        assert command.summary in text


def test_help_and_version_import_no_job():
    program = (
        "import sys, time\nfrom vitrine import cli\n"
        "try:\n    cli.main([sys.argv[1]])\nexcept SystemExit:\n    pass\n"
        "heavy = {'trainer', 'serving', 'beam_preprocess', 'numpy', 'tensorflow'} & set(sys.modules)\n"
        "assert time.process_time() < 0.5, time.process_time()\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    for flag in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", program, flag], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == f"vitrine-search {vitrine.__version__}\n"


def test_an_unknown_command_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["trian"])
    assert done.value.code == 2
    assert "invalid choice: 'trian' (choose from 'doctor', 'run'" in capsys.readouterr().err


def test_a_subcommand_shows_its_own_flags_under_its_own_name(capsys):
    assert cli.main(["doctor", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: vitrine doctor ")
    assert "--quick" in text
    assert cli.main(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: vitrine serve ")
    assert "--model_base_path" in text


def test_a_missing_package_is_answered_with_the_extras(capsys, monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp")

    monkeypatch.setattr(importlib, "import_module", missing)
    assert cli.main(["doctor"]) == 1
    error = capsys.readouterr().err
    assert "vitrine doctor: No module named 'aiohttp'" in error
    assert "pip install 'vitrine-search[serve,client]'" in error


def test_serving_replaces_this_process(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append((program, command)) or sys.exit(0))
    with pytest.raises(SystemExit):
        cli.main(["serve", "--model_base_path=models"])
    command = [sys.executable, "-m", "serving.server", "--model_base_path=models"]
    assert started == [(sys.executable, command)]


def test_benchmarks_are_listed_and_an_unknown_one_is_refused(capsys):
    assert bench.main([]) == 0
    names = capsys.readouterr().out.split()
    assert {"retrieval", "serving.throughput", "training.speed"} <= set(names)
    assert "serving.load" not in names  # it has no command line
    with pytest.raises(SystemExit):
        bench.main(["retreival"])
    assert "invalid choice: 'retreival'" in capsys.readouterr().err


@pytest.mark.slow
def test_every_subcommand_has_a_parser_and_the_completion_knows_their_flags():
    done = run("completion", "bash")
    assert done.returncode == 0, done.stderr
    for flag in ("--quick", "--shop", "--source", "--train.batch_size", "--towers", "--rebuild", "--server"):
        assert re.search(rf"[( ]{flag}[ )]", done.stdout), flag
    for flag in ("--model_base_path", "--min_recall", "--users"):
        assert flag in done.stdout
    checked = subprocess.run(["bash", "-n"], input=done.stdout, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
