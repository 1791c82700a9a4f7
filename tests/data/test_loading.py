import numpy as np
import pytest

from juyi.data import load, subset
from juyi.errors import DataError


@pytest.fixture
def sets(tmp_path, monkeypatch, write_parquet, picture, grey):
    """A folder like `$JUYI_DATA`: `pets` with two splits, one of them in two files."""
    for i, file in enumerate(["photo-00000-of-00002", "photo-00001-of-00002", "sketch-00000-of-00001"]):
        columns = {"image": [{"bytes": picture(x), "path": None} for x in grey(3) + np.uint8(i)], "label": [0, 1, 0]}
        write_parquet(tmp_path / "sets" / "pets" / f"{file}.parquet", columns, {"label": ["cat", "dog"]})
    monkeypatch.setenv("JUYI_DATA", str(tmp_path / "sets"))
    return tmp_path / "sets"


def test_a_split_in_several_files_is_one(sets, grey):
    domain = load("pets@photo")
    np.testing.assert_array_equal(domain.x[:, 0], np.concatenate([grey(3), grey(3) + np.uint8(1)]))
    assert domain.name == "pets@photo" and domain.y.tolist() == [0, 1, 0, 0, 1, 0] and domain.group is None


def test_several_splits_keep_their_group(sets):
    domain = load("pets@sketch+photo")
    assert domain.groups == ("sketch", "photo") and domain.group.tolist() == [0] * 3 + [1] * 6
    assert domain.row_names[3] == "photo/0"


def test_several_files_are_groups_of_one_domain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, labels in (("a.csv", "xyx"), ("b.csv", "yy")):
        (tmp_path / name).write_text("p,q,label\n" + "".join(f"{i},2,{c}\n" for i, c in enumerate(labels)))
    (tmp_path / "c.csv").write_text("q,p,label\n1,2,x\n1,2,y\n")
    domain = load("a.csv+b.csv")
    assert domain.groups == ("a.csv", "b.csv") and domain.group.tolist() == [0, 0, 0, 1, 1]
    assert domain.classes == ("x", "y") and domain.row_names[3] == "b.csv/0" and domain.y.tolist() == [0, 1, 0, 1, 1]
    assert load("a.csv+b.csv[:2]").size == 2
    with pytest.raises(DataError, match="another order"):
        load("a.csv+c.csv")
    (tmp_path / "a.csv+b.csv").write_text("p,label\n1,x\n2,y\n")
    assert load("a.csv+b.csv").size == 2  # a file that is there comes first


@pytest.mark.parametrize("name", ["digits@train", "digits_m@test", "pets@photo", "pets@photo+sketch"])
def test_the_short_way_to_a_subset_is_the_long_one(sets, name):
    short, long = load(f"{name}[:5]", seed=3), subset(load(name), 5, seed=3)
    assert short.fingerprint() == long.fingerprint() and list(short.row_names) == list(long.row_names)
    assert load(f"{name}[:5]", seed=4).row_names != short.row_names and short.name == f"{name}[:5]"


def test_an_existing_path_wins_over_a_name(sets, tmp_path, monkeypatch, write_image):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "digits@train" / "1.png", np.full((3, 3), 7, np.uint8))
    assert load("digits@train").size == 1
    write_image(tmp_path / "odd[:2]" / "1.png", np.full((3, 3), 7, np.uint8))
    assert load("odd[:2]").size == 1


def test_names_that_do_not_exist_are_answered_with_the_nearest(sets):
    with pytest.raises(DataError, match=r"pest@photo: is neither a path, nor in JUYI_DATA .*did you mean pets"):
        load("pest@photo")
    with pytest.raises(DataError, match="pets has no split fotos; did you mean photo"):
        load("pets@fotos")
    with pytest.raises(DataError, match="digits has no split tset; did you mean test"):
        load("digits@tset")
    with pytest.raises(DataError, match=r"say which split, such as pets@photo \(there are photo, sketch\)"):
        load("pets")


def test_without_juyi_data_the_line_says_to_set_it():
    with pytest.raises(
        DataError, match=r"mnist@train: is neither a path, nor a known name; did you mean mnist_m\?; .*JUYI_DATA"
    ):
        load("mnist@train")


def test_juyi_data_that_is_no_folder_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("JUYI_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"JUYI_DATA is set to .*nowhere, which is no folder"):
        load("mnist@train")


@pytest.mark.parametrize("name", ["../sets/pets@photo", "pets/../pets@photo", "pets@../pets/photo", "pets@*"])
def test_a_name_is_no_way_out_of_the_folder(sets, name):
    with pytest.raises(DataError):
        load(name)


def test_other_files_are_refused_by_what_can_be_read(tmp_path):
    (tmp_path / "a.xlsx").write_text("")
    with pytest.raises(DataError, match=r"a\.xlsx: is nothing that can be read; give a folder of images, a \.parquet"):
        load(tmp_path / "a.xlsx")


def test_a_size_resizes_images_and_is_refused_for_features(tmp_path):
    assert load("digits@train[:2]", size=16).x.shape == (2, 1, 16, 16)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="holds 2 features a row and no images, so a size means nothing"):
        load(tmp_path / "a.csv", size=8)


def test_a_path_that_does_not_exist_names_the_one_beside_it(tmp_path):
    (tmp_path / "pets.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"pest\.csv: there is no such file or folder; did you mean .*pets\.csv"):
        load(tmp_path / "pest.csv")
    with pytest.raises(DataError, match="there is no such file or folder; check the path"):
        load(tmp_path / "nowhere" / "at" / "all")


def test_a_long_or_odd_name_is_no_crash():
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(DataError):
            load(name)


@pytest.mark.data
def test_the_real_sets(real_data):
    mnist = load("mnist@test")
    assert mnist.x.shape == (10_000, 1, 28, 28)
    assert mnist.class_counts().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # as published
    pacs = load("pacs128@photo+sketch[:200]")
    assert pacs.groups == ("photo", "sketch") and pacs.x.shape[1:] == (3, 128, 128) and len(pacs.classes) == 7
    assert load("mnist@test[:100]").fingerprint() == subset(mnist, 100).fingerprint()
    weather = real_data / "weather" / "normals.csv"
    assert load(weather, label="city").size == 18
