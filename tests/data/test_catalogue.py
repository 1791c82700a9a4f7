import numpy as np
import pytest
from PIL import Image

from juyi.data import Domain, contact_sheet, describe, known_data, load
from juyi.errors import DataError, SettingError, WriteError


def test_what_is_built_in_is_known_and_what_is_not_there_says_why():
    known = {data.name: data for data in known_data()}
    assert known["digits"].available and known["digits"].rows == {"train": 1297, "test": 500}
    assert not known["mnist_m"].available
    assert known["mnist_m"].why_not.endswith("set JUYI_DATA to a folder that holds mnist and bsds500")
    for name in ("digits", "digits_m"):
        for split in known[name].splits:
            assert load(f"{name}@{split}").size == known[name].rows[split]


def test_sets_in_juyi_data_are_listed_and_broken_ones_said(tmp_path, monkeypatch, write_parquet):
    write_parquet(tmp_path / "fine" / "train-00000-of-00001.parquet", {"a": [1.0, 2.0, 3.0]})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("JUYI_DATA", str(tmp_path))
    known = {data.name: data for data in known_data()}
    assert known["fine"].rows == {"train": 3} and known["fine"].kind == "features" and known["fine"].available
    assert not known["broken"].available and "fetch it anew" in known["broken"].why_not
    assert "empty" not in known


def test_a_description_has_all_that_matters():
    domain = Domain(
        np.full((3, 1, 4, 5), 9, np.uint8),
        np.array([0, 1, 1]),
        np.array([True, True, False]),
        ("cat", "dog"),
        group=np.array([0, 0, 1]),
        groups=("here", "there"),
        name="pets",
        notes=("something was done",),
    )
    assert describe(domain) == [
        "pets: 3 rows",
        "images: 4×5 grey, values 9 to 9, mean 9",
        "labels: 2 of 3 rows",
        "classes: 2 (cat 1, dog 1)",
        "groups: here 2, there 1",
        "note: something was done",
    ]
    assert "labels: none" in describe(Domain(np.ones((2, 1), np.float32)))
    assert "labels: all 2 rows, values from 0.5 to 2" in describe(
        Domain(np.ones((2, 1), np.float32), np.float32([0.5, 2]))
    )


def test_a_sheet_shows_each_class_in_its_row(tmp_path):
    x = np.repeat(np.uint8([[255, 0, 0], [0, 0, 255]]), 3, axis=0)[:, :, None, None] * np.ones((1, 1, 8, 8), np.uint8)
    path = contact_sheet(
        Domain(x, np.array([0] * 3 + [1] * 3), classes=("red", "blue")), tmp_path / "s.png", per_class=2
    )
    pixels = np.asarray(Image.open(path)).reshape(-1, 3)
    sheet = np.asarray(Image.open(path))
    for colour in ([255, 0, 0], [0, 0, 255]):
        assert (pixels == colour).all(1).sum() == 2 * 64 * 64
    red, blue = ((sheet == colour).all(2).any(1).nonzero()[0] for colour in ([255, 0, 0], [0, 0, 255]))
    assert red.max() < blue.min()


def test_a_sheet_of_unlabelled_images_and_of_many_classes(tmp_path):
    contact_sheet(Domain(np.zeros((3, 3, 90, 40), np.uint8)), tmp_path / "a.png")
    many = tuple(f"a rather long name of a class, number {i}" for i in range(70))
    contact_sheet(
        Domain(np.zeros((70, 1, 4, 4), np.uint8), np.arange(70), classes=many), tmp_path / "b.png", per_class=1
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def test_what_cannot_be_shown_or_written_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds features and no images, so there is nothing to show"):
        contact_sheet(Domain(np.zeros((3, 3), np.float32)), tmp_path / "a.png")
    with pytest.raises(SettingError, match="per_class is 0; give 1 to 100"):
        contact_sheet(load("digits@test[:3]"), tmp_path / "a.png", per_class=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        contact_sheet(load("digits@test[:3]"), tmp_path / "file" / "a.png")
