"""Listing and removal of files: a path is a name, whatever letters it has, local or remote."""

import pytest
from apache_beam.io.filesystems import FileSystems

from beam_preprocess.literal_paths import list_files, remove_files
from beam_preprocess.sharded_writer import publish, staged, write_file
from beam_preprocess.sources import record_files
from tests.support import ram_filesystem  # Beam finds `ram://` once this is imported

ODD_NAMES = ["shop [2024]", "shop?", "sh*p", "[ab]", "out {v2}", "a]b[c"]


@pytest.fixture(params=["a local folder", "a remote folder"])
def root(request, tmp_path):
    assert ram_filesystem.RamFileSystem.scheme() == "ram"
    return str(tmp_path) if request.param == "a local folder" else f"ram://{tmp_path.name}"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_with_wildcards_in_its_name_has_its_own_files(root, name):
    # `shop?` and `sh*p` as patterns match `shopX`, `[ab]` matches `a`, `shop [2024]` matches `shop 2`.
    for other in ("shopX", "shop 2", "a"):
        write_file(f"{root}/{other}/catalog.jsonl", b"another shop")
    write_file(f"{root}/{name}/catalog.jsonl", b"own")
    write_file(f"{root}/{name}/catalog-2.jsonl", b"own")
    write_file(f"{root}/{name}/events.jsonl", b"own")
    own = [f"{root}/{name}/catalog-2.jsonl", f"{root}/{name}/catalog.jsonl"]
    assert list_files(f"{root}/{name}", "catalog.jsonl", "catalog-*.jsonl") == own
    assert record_files.find(f"{root}/{name}", "catalog") == own


def test_a_folder_that_is_not_there_has_no_files(root):
    write_file(f"{root}/shopX/catalog.jsonl", b"another shop")
    assert list_files(f"{root}/shop?", "*") == []


def test_a_staged_folder_with_wildcards_in_its_name_is_published_whole(root):
    target = f"{root}/out [v2]"
    write_file(f"{target}/old", b"before")
    write_file(f"{root}/out v/other", b"another folder")
    aside = staged(target)
    write_file(f"{aside}/new", b"after")
    publish(target)
    assert list_files(target, "*") == [f"{target}/new"]
    assert list_files(aside, "*") == []
    assert FileSystems.exists(f"{root}/out v/other")


def test_removing_a_file_with_a_wildcard_in_its_path_removes_that_file(root):
    write_file(f"{root}/shop?/a", b"")
    write_file(f"{root}/shopX/a", b"")
    remove_files([f"{root}/shop?/a"])
    assert list_files(f"{root}/shop?", "*") == []
    assert list_files(f"{root}/shopX", "*") == [f"{root}/shopX/a"]


def test_a_path_is_quoted_where_a_file_system_deletes_by_pattern(monkeypatch):
    deleted = []
    monkeypatch.setattr(FileSystems, "delete", deleted.extend)
    remove_files(["gs://bucket/shop?/[a]", "s3://bucket/shop?/[a]"])
    assert deleted == ["gs://bucket/shop[?]/[[]a]", "s3://bucket/shop?/[a]"]
