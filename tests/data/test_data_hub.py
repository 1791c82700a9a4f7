import sys

import numpy as np
import pytest

from juyi.data import load
from juyi.errors import DataError

datasets = pytest.importorskip("datasets", reason="the optional extra hub is not installed")


@pytest.fixture
def hub(monkeypatch, grey):
    """A hub which holds one set of images and one table; it keeps what it was asked for."""
    names = datasets.ClassLabel(names=["cat", "dog"])
    images = datasets.Dataset.from_dict(
        {"picture": list(grey(6)), "label": [0, 1, 0, -1, 1, 0]},
        features=datasets.Features({"picture": datasets.Image(), "label": names}),
    )
    table = datasets.Dataset.from_dict({"a": [1.0, 2.0], "b": [3, 4], "kind": ["x", "y"]})
    asked = []

    def load_dataset(name, config=None, split=None):
        asked.append((name, config, split))
        if name == "gone/away":
            raise ConnectionError("no route\nto host")
        return table if name == "some/table" else images

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_images_and_class_names_from_the_hub(hub, grey):
    domain = load("hub/some/pets:plain@train")
    assert hub == [("some/pets", "plain", "train")]
    np.testing.assert_array_equal(domain.x[:, 0], grey(6))
    assert domain.classes == ("cat", "dog") and domain.labelled.tolist() == [True] * 3 + [False] + [True] * 2
    assert domain.name == "hub/some/pets:plain@train"


def test_a_subset_and_several_splits_from_the_hub(hub):
    assert load("hub/some/pets@train[:4]").size == 4 and hub[-1] == ("some/pets", None, "train")
    assert load("hub/some/pets@a+b").groups == ("a", "b")


def test_a_table_from_the_hub(hub):
    domain = load("hub/some/table@train", label="kind")
    assert domain.x.tolist() == [[1, 3], [2, 4]] and domain.classes == ("x", "y")


def test_an_image_folder_in_the_librarys_own_way(tmp_path, write_image, monkeypatch, grey):
    """A local folder goes the whole way through the real library; its images are paths and no bytes."""
    for i, image in enumerate(grey(4)):
        write_image(tmp_path / "set" / "train" / "ab"[i % 2] / f"{i}.png", image)
    real = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name, config, split: real(str(tmp_path / "set"), split=split, cache_dir=str(tmp_path / "cache")),
    )
    domain = load("hub/local/set@train")
    assert domain.classes == ("a", "b") and sorted(domain.x[:, 0, 0, 0]) == sorted(grey(4)[:, 0, 0])


def test_trouble_with_the_hub_is_one_clear_line(hub, monkeypatch):
    with pytest.raises(DataError, match=r"hub/gone/away@train: cannot be fetched \(no route to host\); check the name"):
        load("hub/gone/away@train")
    with pytest.raises(DataError, match="say which set and which split"):
        load("hub/some/pets")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the datasets library; install it with: pip install 'juyi\[hub\]'"):
        load("hub/some/pets@train")
