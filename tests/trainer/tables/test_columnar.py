from pathlib import Path

import numpy as np
import pytest

from trainer.tables.columnar import Table, TableWriter, build_once, content_key


def _batch(first, count):
    present = np.array([[True, False], [False, False], [True, True]])[(np.arange(first, first + count)) % 3]
    return {
        "number": np.arange(first, first + count, dtype=np.int32),
        "name": np.array([b"n%d" % i * (i % 3) for i in range(first, first + count)], dtype=object),
        "photo_pixels": np.arange(first * 2, (first + count) * 2, dtype=np.uint8).reshape([count, 2, 1, 1, 1]),
        "photo_present": present,
    }


@pytest.fixture
def written(tmp_path):
    writer = TableWriter(tmp_path)
    writer.append(_batch(0, 4))
    writer.append(_batch(4, 2))
    return writer, tmp_path


def test_rows_come_back_as_they_were_written(written):
    writer, folder = written
    writer.finish(notes={"dropped": 3})
    table = Table(folder)
    rows = table.gather(np.array([5, 0]))
    assert (table.num_rows, table.notes) == (6, {"dropped": 3})
    assert rows["number"].tolist() == [5, 0]
    assert rows["name"].tolist() == [b"n5n5", b""]
    # Row 5 has both photos (10 and 11), row 0 only the first (0); what is absent is zero whatever was written.
    assert rows["photo_present"].tolist() == [[True, True], [True, False]]
    assert rows["photo_pixels"].ravel().tolist() == [10, 11, 0, 0]


def test_an_order_moves_rows_of_every_kind_together(written):
    writer, folder = written
    writer.finish(order=np.array([5, 4, 3, 2, 1, 0]))
    rows = Table(folder).gather(np.array([0, 3]))
    assert rows["number"].tolist() == [5, 2]
    assert rows["name"].tolist() == [b"n5n5", b"n2n2"]
    assert rows["photo_pixels"].ravel().tolist() == [10, 11, 4, 5]


def test_absent_photos_take_no_space(written):
    writer, folder = written
    writer.finish()
    # Of 12 slots 6 are filled: rows 0 and 3 one each, rows 2 and 5 two each; one byte a photo here.
    assert (folder / "photo_pixels.values.bin").stat().st_size == 6


def test_columns_of_one_batch_must_agree(tmp_path):
    with pytest.raises(ValueError, match=r"\[1, 2\] rows; they must agree"):
        TableWriter(tmp_path).append({"a": np.zeros(1), "b": np.zeros(2)})


def test_a_media_column_is_not_read_as_a_dense_one(written):
    writer, folder = written
    writer.finish()
    with pytest.raises(TypeError, match="'photo_pixels' is a MediaColumn, wanted a DenseColumn"):
        Table(folder).dense("photo_pixels")


def test_a_folder_is_made_once_and_never_left_half_made(tmp_path):
    target = tmp_path / "made"

    def fail(aside):
        (aside / "half").write_text("")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_once(target, fail)
    assert not target.exists()
    assert build_once(target, lambda aside: (aside / "whole").write_text("1")) is True
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert build_once(target, fail) is False


def _key(files, *parts):
    return content_key([str(f) for f in files], read=lambda path: iter([Path(path).read_bytes()]), parts=parts)


def test_the_key_follows_the_content_not_the_place(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
        (folder / "a").write_bytes(b"one")
    key = _key([first / "a"], "config")
    assert _key([second / "a"], "config") == key
    assert _key([first / "a"], "other config") != key
    (second / "a").write_bytes(b"two")
    assert _key([second / "a"], "config") != key
