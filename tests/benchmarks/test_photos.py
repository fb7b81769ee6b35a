"""Plain methods on photos: which photos are kept apart, and what the figures count."""

import numpy as np
import pytest

from benchmarks import photos

import tensorflow as tf  # isort: skip


def write_photo(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_jpeg(np.full([16, 16, 3], colour, np.uint8), quality=100).numpy())


@pytest.fixture
def data(tmp_path):
    """Two products of three photos each, of which one is unlike the other two."""
    folder = tmp_path / "data" / "grocery"
    colours = {"apple": [(250, 200, 0), (240, 190, 0), (0, 60, 250)], "lime": [(0, 60, 0), (0, 250, 0), (0, 240, 0)]}
    lines = []
    for number, (name, seen) in enumerate(colours.items()):
        for place, colour in enumerate(seen):
            write_photo(folder / "train" / f"{name}_{place}.jpg", colour)
            lines.append(f"train/{name}_{place}.jpg, {number}, 0\n")
    (folder / "train.txt").write_text("".join(lines))
    write_photo(folder / "val" / "lime_9.jpg", (0, 245, 0))
    (folder / "val.txt").write_text("val/lime_9.jpg, 1, 0\n")
    (tmp_path / "data" / "encoders").mkdir()
    return tmp_path / "data"


def test_the_photo_unlike_the_others_of_its_product_is_kept_apart():
    values = np.array([0.0, 0.1, 0.9, 0.9, 0.2, 0.8])
    thumbnails = np.broadcast_to(values[:, np.newaxis, np.newaxis, np.newaxis], [6, 8, 8, 3])
    chosen = photos.unlike_the_others(thumbnails, np.array([0, 0, 0, 1, 1, 1]))
    assert chosen.tolist() == [False, False, True, False, True, False]


def test_a_set_with_photos_of_train_as_its_val(data, tmp_path, capsys):
    photos.write_apart(data, tmp_path / "apart")
    assert capsys.readouterr().out == '{"train": 4, "val": 2}\n'
    folder = tmp_path / "apart" / "grocery"
    assert (folder / "val.txt").read_text() == "train/apple_2.jpg, 0, 0\ntrain/lime_0.jpg, 1, 0\n"
    assert "val/lime_9.jpg" not in (folder / "train.txt").read_text()
    assert (folder / "train" / "apple_2.jpg").exists()
    assert (tmp_path / "apart" / "encoders").is_dir()
    with pytest.raises(SystemExit, match="exists; wanted a new folder"):
        photos.write_apart(data, tmp_path / "apart")


def test_colours_are_the_roots_of_shares_of_points(data):
    yellow, _, blue, *_ = photos.colour_features(data, photos.read_list(data / "grocery", "train.txt"))
    assert np.square(yellow).sum() == pytest.approx(1.0)
    # 48 degrees are in the second of 12 bins and 226 in the eighth; saturation 1 and value 0.98 in the last of 4.
    assert [np.argmax(yellow), np.argmax(blue)] == [1 * 16 + 15, 7 * 16 + 15]


def test_plain_is_fitted_on_all_of_train_and_scored_on_val(data):
    apart = photos.kept_apart(data / "grocery", photos.read_list(data / "grocery", "train.txt"))
    found = photos.plain(data, photos.colour_features, apart=apart)
    assert found["val"] == 1.0
    assert found["inverse_regularisation"] in photos.STRENGTHS


def test_accuracy_by_hand():
    train = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])
    test = np.array([[0.5], [10.5], [9.5]]), np.array([0, 1, 0])
    assert photos.accuracy(train, test, [1.0]) == [pytest.approx(2 / 3)]
