import numpy as np
import pytest

from juyi.data import load
from juyi.errors import DataError

DOT = np.full((3, 3), 7, np.uint8)


def test_class_folders_are_labels_in_natural_order(tmp_path, write_image):
    for name in ("c10/b.png", "c2/img10.png", "c2/img2.png"):
        write_image(tmp_path / name, DOT)
    domain = load(tmp_path)
    assert domain.classes == ("c2", "c10")
    assert domain.row_names == ["c2/img2.png", "c2/img10.png", "c10/b.png"]
    assert domain.y.tolist() == [0, 0, 1] and domain.labelled.all() and domain.name == str(tmp_path)


def test_a_flat_folder_is_unlabelled(tmp_path, write_image):
    write_image(tmp_path / "a.png", DOT)
    domain = load(tmp_path)
    assert domain.classes is None and not domain.labelled.any()


def test_what_is_no_image_is_ignored_and_said(tmp_path, write_image):
    for name in ("a/1.png", "b/2.png", "a/.hidden.png", ".git/x.png"):
        write_image(tmp_path / name, DOT)
    for name in ("a/Thumbs.db", "readme.txt", "b/.DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    domain = load(tmp_path)
    assert domain.row_names == ["a/1.png", "b/2.png"] and domain.classes == ("a", "b")
    said = "; ".join(domain.notes)
    assert "1 folders without images, the first is empty" in said
    assert "2 hidden files" in said and "1 hidden folders" in said and "2 files that are no images" in said


def test_images_beside_class_folders_are_unlabelled_and_said(tmp_path, write_image):
    for name in ("a/1.png", "b/2.png", "3.png"):
        write_image(tmp_path / name, DOT)
    domain = load(tmp_path)
    assert domain.labelled.tolist() == [True, True, False] and domain.row_names[2] == "3.png"
    assert "unlabelled, since beside the class folders: 1 images" in domain.notes


def test_one_class_folder_loads_but_is_noted(tmp_path, write_image):
    write_image(tmp_path / "cat" / "1.png", DOT)
    assert "only one class folder, cat" in load(tmp_path).notes[0]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no image; name a folder of images"):
        load(tmp_path)


def test_a_folder_of_tables_points_to_one(tmp_path):
    (tmp_path / "train.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"but \.csv files: name one of them, such as .*train\.csv"):
        load(tmp_path)


@pytest.mark.parametrize("pair", [("Cat", "cat"), ("cat", "cat "), ("é", "e\u0301")])
def test_class_folders_that_only_look_alike_are_refused_by_name(tmp_path, write_image, pair):
    for name in pair:
        write_image(tmp_path / name / "1.png", DOT)
    with pytest.raises(DataError) as error:
        load(tmp_path)
    assert all(repr(name) in str(error.value) for name in pair) and "merge them or rename one" in str(error.value)


@pytest.mark.parametrize("inside", ["cat/1.png", "1.png"])
def test_splits_inside_are_not_taken_for_classes(tmp_path, write_image, inside):
    for split in ("train", "test"):
        write_image(tmp_path / split / inside, DOT)
    with pytest.raises(DataError, match=r"name the one you mean, such as .*test"):
        load(tmp_path)
    assert load(f"{tmp_path}@train+test").groups == ("train", "test")


def test_links_in_circles_do_not_hang(tmp_path, write_image):
    write_image(tmp_path / "a" / "1.png", DOT)
    write_image(tmp_path / "b" / "2.png", DOT)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    domain = load(tmp_path)
    assert domain.row_names == ["a/1.png", "b/2.png"]
    assert any("links to a folder above" in note for note in domain.notes)


def test_a_class_folder_may_be_a_link(tmp_path, write_image):
    write_image(tmp_path / "far" / "1.png", DOT)
    write_image(tmp_path / "near" / "b" / "2.png", DOT)
    (tmp_path / "near" / "a").symlink_to(tmp_path / "far")
    assert load(tmp_path / "near").classes == ("a", "b")


def test_a_subset_of_a_folder_is_seeded(tmp_path, write_image):
    for i in range(20):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png", DOT)
    names = load(f"{tmp_path}[:5]", seed=3).row_names
    assert len(names) == 5 and names == load(f"{tmp_path}[:5]", seed=3).row_names
    assert names != load(f"{tmp_path}[:5]", seed=4).row_names
    assert "99 rows wanted, 20 found" in load(f"{tmp_path}[:99]").notes
