"""Files behind a location: literal names, archives, standard input, and what is refused."""

import gzip
import io
import sys
import zipfile

import pytest

from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.feed_file import open_feed_file
from beam_preprocess.feeds.files.locations import InputFile, input_files
from beam_preprocess.sharded_writer import write_file
from tests.support import ram_filesystem  # Beam finds `ram://` once this is imported

ROW = b"item_id,title\nA,Mug\n"


def values(location):
    return [row.values for file in input_files(str(location)) for row in open_feed_file(file).read(Tally())]


@pytest.mark.parametrize("name", ["shop [2024].csv", "shop?.csv", "shop*.csv"])
def test_the_name_of_a_file_is_no_pattern(tmp_path, name):
    (tmp_path / name).write_bytes(ROW)
    (tmp_path / "shopX.csv").write_bytes(b"item_id,title\nB,Of another shop\n")
    assert values(tmp_path / name) == [{"item_id": "A", "title": "Mug"}]


@pytest.fixture(params=["a local folder", "a remote folder"])
def root(request, tmp_path):
    assert ram_filesystem.RamFileSystem.scheme() == "ram"
    return str(tmp_path) if request.param == "a local folder" else f"ram://feeds-{tmp_path.name}"


@pytest.mark.parametrize("name", ["shop [2024]", "shop?", "sh*p", "[ab]"])
def test_the_name_of_a_folder_is_no_pattern_local_or_remote(root, name):
    # `shop?` and `sh*p` as patterns match `shop2`, `[ab]` matches `a`, `shop [2024]` matches `shop 2`.
    for other in ("shop2", "shop 2", "a"):
        write_file(f"{root}/{other}/items.csv", b"item_id,title\nB,Of another shop\n")
    write_file(f"{root}/{name}/items.csv", ROW)
    write_file(f"{root}/{name}/photo.jpg", b"\xff\xd8\xff\xe0")
    for location in (f"{root}/{name}", f"{root}/{name}/items.csv", f"{root}/{name}/*.csv"):
        assert values(location) == [{"item_id": "A", "title": "Mug"}]


def test_a_pattern_of_folders_gives_the_files_of_each(root):
    for folder in ("shop-1", "shop-2", "other"):
        write_file(f"{root}/{folder}/items.csv", ROW.replace(b"Mug", folder.encode()))
    assert [row["title"] for row in values(f"{root}/shop-*/*.csv")] == ["shop-1", "shop-2"]


def test_a_pattern_gives_its_files_in_order(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_bytes(ROW.replace(b"Mug", name.encode()))
    assert [row["title"] for row in values(tmp_path / "*.csv")] == ["a.csv", "b.csv"]


def test_archives_are_unpacked_member_by_member(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name in ("part-1.csv", "part-2.csv", "__MACOSX/._part-1.csv", ".DS_Store"):
            archive.writestr(name, ROW)
    assert values(tmp_path / "export.zip") == [{"item_id": "A", "title": "Mug"}] * 2


@pytest.mark.parametrize("name", ["export.csv.gz", "export.csv"])
def test_gzip_is_known_by_its_content(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(ROW, mtime=0))
    assert values(tmp_path / name) == [{"item_id": "A", "title": "Mug"}]


def test_standard_input_is_read_more_than_once(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ROW)))
    (file,) = input_files("-", temporary_dir=str(tmp_path))
    opened = open_feed_file(file)
    assert len(list(opened.read(Tally()))) == len(list(opened.read(Tally()))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"%PDF-1.7 ...", "a PDF document.*Export the data"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"\.xls.*Save it as CSV"),
        (b"SQLite format 3\x00", "sqlite_scan"),
        (b"\xff\xd8\xff\xe0", "a photo"),
        (gzip.compress(ROW * 100, mtime=0)[:-20], "cannot be unpacked"),
        (b"a" + b",b" * 5000 + b"\n", "5001 columns"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused_with_what_to_do(tmp_path, content, message):
    (tmp_path / "export").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(open_feed_file(InputFile("export", str(tmp_path / "export"))).read(Tally()))


def test_a_workbook_is_an_archive_that_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(ValueError, match=r"Excel workbook.*CSV"):
        input_files(str(tmp_path / "export.xlsx"))


@pytest.mark.parametrize("location", ["absent.csv", "absent/*.csv"])
def test_an_absent_file_is_named(tmp_path, location):
    with pytest.raises(ValueError, match=r"no file at .*absent.*Check the path"):
        input_files(str(tmp_path / location))
