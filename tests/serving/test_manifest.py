import json
from pathlib import Path

import pytest

from serving.manifest import MANIFEST_PATH, check_manifest, has_manifest, write_manifest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"abc")
    (tmp_path / "variables" / "variables.index").write_bytes(b"")
    return tmp_path


def test_manifest_lists_every_file_but_itself(bundle):
    written = write_manifest(bundle, extra={"model_id": "m"})
    # SHA-256 of "abc" and of nothing, from FIPS 180.
    assert written == {
        "files": {
            "saved_model.pb": {
                "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "bytes": 3,
            },
            "variables/variables.index": {
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "bytes": 0,
            },
        },
        "model_id": "m",
    }
    assert json.loads((bundle / MANIFEST_PATH).read_text()) == written
    assert has_manifest(bundle)
    assert check_manifest(bundle) == []
    assert write_manifest(bundle, extra={"model_id": "m"}) == written


def test_problems_name_the_file(bundle):
    write_manifest(bundle, extra={})
    (bundle / "saved_model.pb").write_bytes(b"abd")
    (bundle / "variables" / "variables.index").unlink()
    assert check_manifest(bundle) == [
        "'saved_model.pb' differs from its sha256 in the manifest",
        "'variables/variables.index' is missing",
    ]
    (bundle / "saved_model.pb").write_bytes(b"ab")
    assert check_manifest(bundle)[0] == "'saved_model.pb' has 2 bytes, the manifest has 3"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "cannot be read as a manifest"),
        ("[]", "cannot be read as a manifest"),
        ('{"files": []}', "cannot be read as a manifest"),
        ('{"files": {"a": 1}}', "cannot be read as a manifest"),
        ('{"files": {}}', "lists no files"),
        ('{"files": {"../up": {"sha256": "", "bytes": 0}}}', "does not stay inside the bundle"),
        ('{"files": {"/etc/hostname": {"sha256": "", "bytes": 0}}}', "does not stay inside the bundle"),
        ('{"files": {"saved_model.pb": {"sha256": "zz", "bytes": 3}}}', "has no valid sha256"),
    ],
)
def test_a_broken_manifest_is_a_problem(bundle, text, problem):
    (bundle / "assets.extra").mkdir()
    (bundle / MANIFEST_PATH).write_text(text)
    assert problem in check_manifest(bundle)[0]


def test_no_manifest_is_a_problem(bundle):
    assert not has_manifest(bundle)
    assert check_manifest(bundle) == ["assets.extra/manifest.json is missing"]


def test_extra_may_not_replace_the_files(bundle):
    with pytest.raises(ValueError, match="'files' is taken"):
        write_manifest(bundle, extra={"files": {}})


def test_links_are_refused(bundle):
    (bundle / "link").symlink_to(bundle / "saved_model.pb")
    with pytest.raises(ValueError, match="symbolic link"):
        write_manifest(bundle, extra={})
