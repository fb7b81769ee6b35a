from pathlib import Path

from vitrine.version import read_version

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_that_of_the_project_or_of_the_installed_distribution(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "vitrine-search"\nversion = "9.8.7"\n')
    assert read_version(project) == "9.8.7"
    installed = read_version(tmp_path / "absent.toml")
    assert installed.count(".") == 2
    project.write_text('[project]\nname = "another"\nversion = "9.8.7"\n')
    assert read_version(project) == installed
