"""The hash of our own source: what a step depends on, and nothing else."""

import pytest

from trainer.source_hash import source_files, source_hash


@pytest.fixture
def project(tmp_path):
    """trainer.task imports trainer.ops.text (inside a function) and, from trainer.spec, a name that is no module."""
    files = {
        "trainer/__init__.py": "",
        "trainer/task.py": "import json\n\ndef run():\n    from trainer.ops import text\n    return text, json\n",
        "trainer/ops/__init__.py": "",
        "trainer/ops/text.py": "from trainer.spec.config import Config\n",
        "trainer/ops/image.py": "",
        "trainer/spec/__init__.py": "",
        "trainer/spec/config.py": "class Config: pass\n",
        "serving/__init__.py": "",
        "serving/client.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_follows_imports_also_those_inside_functions(project):
    assert sorted(source_files(["trainer.task"], root=project)) == [
        "trainer",
        "trainer.ops",
        "trainer.ops.text",
        "trainer.spec",
        "trainer.spec.config",
        "trainer.task",
    ]


def test_follows_relative_imports(project):
    (project / "serving" / "client.py").unlink()
    (project / "serving" / "client").mkdir()
    for name, text in (
        ("__init__", "from .images import read\n"),
        ("images", "from . import errors\n\ndef read():\n    from ..manifest import NAME\n    return NAME, errors\n"),
        ("errors", ""),
        ("video", ""),
    ):
        (project / "serving" / "client" / f"{name}.py").write_text(text)
    (project / "serving" / "manifest.py").write_text("NAME = 'manifest'\n")
    found = source_files(["serving.client.images"], root=project)
    names = ["serving", "serving.client", "serving.client.errors", "serving.client.images", "serving.manifest"]
    assert sorted(found) == names


@pytest.mark.parametrize("edited", ["trainer/task.py", "trainer/ops/text.py", "trainer/spec/config.py"])
def test_an_edit_of_what_it_needs_changes_the_hash(project, edited):
    before = source_hash(["trainer.task"], root=project)
    (project / edited).write_text((project / edited).read_text() + "\n# edited\n")
    assert source_hash(["trainer.task"], root=project) != before


@pytest.mark.parametrize("edited", ["trainer/ops/image.py", "serving/client.py"])
def test_an_edit_of_anything_else_does_not(project, edited):
    before = source_hash(["trainer.task"], root=project)
    (project / edited).write_text("x = 1\n")
    assert source_hash(["trainer.task"], root=project) == before


def test_a_module_alone_leaves_its_imports_out(project):
    before = source_hash([], without_imports=["trainer.task"], root=project)
    (project / "trainer/ops/text.py").write_text("")
    assert source_hash([], without_imports=["trainer.task"], root=project) == before
    (project / "trainer/task.py").write_text("")
    assert source_hash([], without_imports=["trainer.task"], root=project) != before


def test_nothing_is_followed_into_what_a_step_never_runs(project):
    found = source_files(["trainer.task"], excluded=["trainer.ops.text"], root=project)
    assert sorted(found) == ["trainer", "trainer.ops", "trainer.task"]
    with pytest.raises(ValueError, match="Module 'trainer.ops.txt' has no source"):
        source_files(["trainer.task"], excluded=["trainer.ops.txt"], root=project)


def test_unknown_module_is_refused():
    with pytest.raises(ValueError, match=r"Module 'trainer.tusk' has no source"):
        source_hash(["trainer.tusk"])


def test_training_depends_on_the_towers_but_not_on_the_server():
    files = source_files(["trainer.task"])
    assert {"trainer.training.fit", "trainer.model.two_tower", "serving.towers"} <= set(files)
    assert "serving.server.rest_api.service" not in files
