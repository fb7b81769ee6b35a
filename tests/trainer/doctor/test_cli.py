import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.doctor import cli, import_checks
from trainer.doctor.cli import Finding, PackageRequirement, Status
from trainer.doctor.import_checks import Probe, ProbeOutcome, run_probes

METADATA = ["tensorflow==2.20.0", "protobuf<7,>=6", 'tfx==1.21.0; extra == "pipeline"', "aiohttp"]
GOOD = {"tensorflow": "2.20.0", "protobuf": "6.33.6", "tfx": "1.21.0", "aiohttp": "3.14.5"}


@pytest.fixture
def machine(monkeypatch):
    """Call with what is installed: metadata, room and probes are faked."""

    def fake(installed, *, own=METADATA):
        def version(name):
            if name not in installed:
                raise importlib.metadata.PackageNotFoundError(name)
            return installed[name]

        def requires(name):
            if own is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return own

        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(importlib.metadata, "requires", requires)
        monkeypatch.setattr(cli, "free_disk_gb", lambda: 100.0)
        monkeypatch.setattr(cli, "memory_gb", lambda: 8.0)
        monkeypatch.setattr(cli, "PROBES", ())

    return fake


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_a_healthy_machine_has_no_errors(machine, capsys):
    machine(GOOD)
    assert cli.main([]) == 0
    printed = lines(capsys)
    assert printed[-1] == "No errors."
    assert not [line for line in printed if line.startswith(("ERROR", "note"))]
    assert any(line.split() == ["ok", "tfx", "1.21.0"] for line in printed)


def test_a_wrong_version_names_both_and_the_remedy(machine, capsys):
    machine({**GOOD, "tensorflow": "2.21.0"})
    assert cli.main([]) == 1
    [error] = [line for line in lines(capsys) if line.startswith("ERROR")]
    assert error.split(maxsplit=2)[1:] == ["tensorflow", "2.21.0 is installed; ==2.20.0 is wanted: run `make setup`"]


def test_a_missing_library_is_explained_not_raised(machine, capsys):
    machine({name: version for name, version in GOOD.items() if name != "tensorflow"})
    assert cli.main([]) == 1
    assert any("tensorflow" in line and "is missing; ==2.20.0 is wanted" in line for line in lines(capsys))


def test_an_absent_extra_is_a_note_unless_asked_for(machine, capsys):
    machine({name: version for name, version in GOOD.items() if name != "tfx"})
    assert cli.main([]) == 0
    assert any(line.startswith("note") and "extra pipeline" in line for line in lines(capsys))
    assert cli.main(["--pipeline"]) == 1
    assert any(line.startswith("ERROR") and "tfx" in line for line in lines(capsys))


def test_not_installed_at_all_is_an_error(machine, capsys):
    machine(GOOD, own=None)
    assert cli.main([]) == 1
    assert any("vitrine" in line and "is not installed" in line for line in lines(capsys))


def test_little_room_is_an_error_and_unreadable_room_a_note(machine, monkeypatch):
    machine(GOOD)
    monkeypatch.setattr(cli, "free_disk_gb", lambda: 0.5)

    def unreadable():
        raise OSError("no /proc here")

    monkeypatch.setattr(cli, "memory_gb", unreadable)
    disk, memory = cli.check_capacity()
    assert disk == Finding(Status.ERROR, "disk", "0.5 GB free, 4 GB wanted: free some, or choose another --output")
    assert memory == Finding(Status.NOTE, "memory", "could not be read: no /proc here")


@pytest.mark.parametrize(
    ("version", "clauses", "wanted"),
    [
        ("2.20.0", "==2.20.0", True),
        ("2.20.1", "==2.20.0", False),
        ("2.20", "==2.20.0", True),
        ("2.20.0.post1", "==2.20.0", True),
        ("6.33.6", "<7,>=6", True),
        ("7.0.0", "<7,>=6", False),
        ("10.1", ">=9.5", True),  # as numbers, not as text
        ("80.10.2", "<81", True),
        ("1.0", "!=1.0", False),
        ("1.0", "", True),
        ("1.0", "~~1", False),  # a clause that is not understood is not met
    ],
)
def test_satisfies(version, clauses, wanted):
    assert cli.satisfies(version, clauses) is wanted


def test_requirements_are_read_from_the_metadata(machine):
    machine(GOOD)
    assert cli.requirements() == [
        PackageRequirement("tensorflow", "==2.20.0", ""),
        PackageRequirement("protobuf", "<7,>=6", ""),
        PackageRequirement("tfx", "==1.21.0", "pipeline"),
        PackageRequirement("aiohttp", "", ""),
    ]


def test_a_probe_that_aborts_does_not_take_the_others_along():
    found = run_probes(
        [
            Probe("before", "print('noise'); print('here')"),
            Probe("bomb", "import os; os.abort()"),
            Probe("between", "raise ImportError('undefined symbol')"),
            Probe("extra", "print('side by side')", extra=True),
            Probe("silent exit", "import os; os._exit(0)"),
            Probe("after", "print('still here')"),
        ]
    )
    assert found == [
        ProbeOutcome(True, "here"),
        ProbeOutcome(False, "killed by signal 6"),
        ProbeOutcome(False, "ImportError: undefined symbol"),
        ProbeOutcome(True, "side by side"),
        ProbeOutcome(False, "ended early"),
        ProbeOutcome(True, "still here"),
    ]


def test_a_probe_that_hangs_is_cut_off(monkeypatch):
    monkeypatch.setattr(import_checks, "PROBE_SECONDS", 1)
    found = run_probes([Probe("quick", "print('here')"), Probe("sleeper", "import time; time.sleep(60)")])
    assert found == [ProbeOutcome(True, "here"), ProbeOutcome(False, "no answer in 1 s")]


def test_a_library_that_does_not_load_is_an_error_with_its_remedy():
    [finding] = cli.check_loading([Probe("bomb", "import nothing_of_this_name", "install it")])
    detail = "ModuleNotFoundError: No module named 'nothing_of_this_name': install it"
    assert finding == Finding(Status.ERROR, "load bomb", detail)


def test_it_needs_nothing_but_the_standard_library():
    # -I -S: no installed package can be seen.
    root = str(Path(cli.__file__).parents[2])
    program = f"import sys; sys.path.insert(0, {root!r}); from trainer.doctor import cli; sys.exit(cli.main())"
    command = [sys.executable, "-I", "-S", "-c", program, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "vitrine" in done.stdout
    assert "is not installed" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_this_environment_is_healthy(capsys, monkeypatch):
    monkeypatch.setattr(cli, "free_disk_gb", lambda: 100.0)  # the machine's load is not the subject
    monkeypatch.setattr(cli, "memory_gb", lambda: 8.0)
    code = cli.main(["--pipeline"])
    assert code == 0, capsys.readouterr().out


def foreign_package(folder, name):
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").touch()
    return str(folder)


def test_a_foreign_package_that_is_imported_is_a_fault_and_a_shadowed_one_a_note(tmp_path):
    ours, theirs = str(cli.ROOT), foreign_package(tmp_path, "trainer")
    assert list(cli.check_packages([ours])) == []
    [found] = cli.check_packages([theirs, ours])
    assert (found.status, found.subject) == (Status.ERROR, "package trainer")
    assert f"{tmp_path}/trainer is imported, not {cli.ROOT}/trainer: uninstall its distribution" in found.detail
    [found] = cli.check_packages([ours, theirs])
    assert (found.status, found.subject) == (Status.NOTE, "package trainer")
    assert "is imported in other working directories" in found.detail


def test_an_extra_that_is_absent_is_a_note_and_a_wrong_version_of_it_a_fault(machine):
    machine(GOOD)
    wanted = [PackageRequirement("aiohttp", ">=9", "serve"), PackageRequirement("prometheus-client", "", "serve")]
    fault, note = cli.check_extras(wanted)
    assert (fault.status, fault.subject) == (Status.ERROR, "aiohttp")
    assert (note.status, note.subject) == (Status.NOTE, "extra serve")
    assert "only serving.server needs prometheus-client" in note.detail
