"""What a change must pass: the same on a contributor's machine and in the hosted checks, and `make help` names it."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GITHUB = ROOT / ".github"


def commands(target):
    """The lines of a target of the Makefile."""
    return re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[0]


def test_the_hosted_checks_run_what_a_contributor_runs():
    jobs = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    steps = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert steps == [".ci/run"]
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    called = re.findall(r"^make (\S+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert called == ["lint", "docs", "test"]


def test_every_test_is_in_one_of_the_two_targets_and_the_fast_ones_are_a_part():
    assert '-m "not extended"' in commands("test")
    assert "-m extended" in commands("test-extended")
    assert '-m "not slow and not e2e and not extended"' in commands("test-fast")


def test_make_help_names_every_target():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    [phony] = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert re.findall(r"^  make (\S+) ", done.stdout, re.MULTILINE) == phony.split()


@pytest.mark.parametrize("name", ["bug.yml", "idea.yml"])
def test_issue_forms_ask_by_labelled_fields(name):
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / name).read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    assert all(field["id"] and field["attributes"]["label"] for field in form["body"])
