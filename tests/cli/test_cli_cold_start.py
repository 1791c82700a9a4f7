"""`juyi pretrain` and `juyi finetune` by the command: from pictures to a classifier, and what is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cli.cli_data import arrays, encoded, image_folder, pictures, tree
from juyi.runs import RunFolder

QUICK = ("--epochs", "2", "--batch", "12", "--precision", "float32")
PRETRAIN = ("--net", "cnn_small-0.25", *QUICK)


@pytest.fixture
def backbone(juyi, tmp_path):
    image_folder(tmp_path / "photos")
    image_folder(tmp_path / "test", seed=5)
    said = juyi("pretrain", "photos", "--watch", "photos", "--test", "test", *PRETRAIN, "--out", "backbone")
    assert said.code == 0, said.err
    return said


def test_from_a_folder_to_a_backbone_to_a_classifier(backbone, juyi):
    assert "untrained" in backbone.out and "nearest of 24 labelled images" in backbone.out
    assert "epoch 2: effective rank" in backbone.err and "views by --look digits" in backbone.err
    said = juyi("finetune", "backbone", "photos", "--labels-per-class", "4", "--test", "test", *QUICK, "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert record == RunFolder.open("runs/linear-1").read()
    assert (record["room"], record["data"]["few"]["labelled"]) == ("finetune", 8)
    assert Path("runs/linear-1/report.html").is_file()
    said = juyi("predict", "runs/linear-1", "test")
    assert said.code == 0 and {row["prediction"] for row in csv.DictReader(said.out.splitlines())} <= {"cat", "dog"}
    said = juyi("export", "runs/linear-1", "--onnx")
    assert said.code == 0, said.err


def test_what_to_label_first_is_named_and_the_labels_come_back(backbone, juyi, refused):
    flat = Path("flat")
    flat.mkdir()
    for number, picture in enumerate(pictures(20, seed=3)):
        (flat / f"{number}.png").write_bytes(encoded(picture))
    said = juyi("finetune", "backbone", "flat", "--suggest", "6", "--out", "first")
    assert said.code == 0 and "6 of 20 rows to label first" in said.out, said
    page = Path("first/suggested.html").read_text()
    assert page.count("<img") == 6 and "others" in page
    refused(("finetune", "backbone", "flat", "--suggest", "6", "--out", "first"), "may hold labels")
    rows = list(csv.DictReader(Path("first/suggested.csv").read_text().splitlines()))
    assert len({row["name"] for row in rows}) == 6 and not any(row["label"] for row in rows)
    for number, row in enumerate(rows):
        row["label"] = "cat" if number % 2 else "dog"
    with Path("first/suggested.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["name", "label"])
        table.writeheader()
        table.writerows(rows)
    said = juyi("finetune", "backbone", "flat", "--labels", "first/suggested.csv", "--no-beside", *QUICK)
    assert said.code == 0, said.err
    assert RunFolder.open("runs/linear-1").read()["data"]["few"]["labelled"] == 6
    Path("labels.csv").write_text("name,label\nabsent.png,cat\n")
    refused(("finetune", "backbone", "flat", "--labels", "labels.csv"), "labels.csv", "absent.png", "no row named")
    refused(("finetune", "backbone", "flat", "--suggest", "21", "--out", "more"), "--suggest 21", "from 1 to 20")


def test_a_backbone_is_exported_with_its_page(backbone, juyi):
    pytest.importorskip("onnxruntime")
    said = juyi("export", "backbone", "--int8", "--calibrate", "photos")
    assert said.code == 0, said.err
    assert [path.name for path in sorted(Path("backbone/export").iterdir())] == ["model.int8.onnx", "model.onnx"]
    assert "try it on pictures" not in said.out and "its features have a cosine of" in said.out
    page = Path("backbone/report.html").read_text()
    assert "On the small machine" in page and "its features have a cosine of" in page and "model.html" not in page


def test_a_backbone_has_no_classes_to_tell(backbone, juyi, refused):
    pytest.importorskip("onnxruntime")
    assert juyi("export", "backbone").code == 0
    no_classes = ("the model is a backbone, which has features and no classes", "juyi finetune")
    refused(("predict", "backbone", "photos"), "backbone: the model", *no_classes)
    refused(("predict", "backbone/export/model.onnx", "photos"), "model.onnx: the model", *no_classes)
    refused(("export", "backbone", "--test", "test"), "--test test: ", *no_classes)
    refused(("export", "backbone", "--int8"), "--calibrate impressions: are of classes", "name data")
    refused(("distill", "backbone", "photos", "--student", "mlp"), "TEACHER backbone: ", *no_classes)
    refused(("adapt", "backbone", "photos", "--method", "shot"), *no_classes)
    refused(("adapt", "backbone", "--online", "photos"), *no_classes)


def test_a_frozen_table_is_tuned_as_well(juyi, tmp_path):
    arrays(tmp_path / "there.npz", n=120)
    arrays(tmp_path / "here.npz", n=60, seed=2, shift=0.5)
    quick = ("--epochs", "5", "--batch", "16", "--precision", "float32")
    assert juyi("train", "there.npz", "--net", "mlp", *quick, "--out", "model").code == 0
    said = juyi("finetune", "model", "here.npz", "--method", "lp_ft", "--labels-per-class", "5", *quick)
    assert said.code == 0, said.err
    assert "has learnt from 10 labels of 2 classes" in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pretrain", "photos", "--method", "isiff"), ["did you mean isif"]),
        (("pretrain", "photos", "--look", "photo"), ["--look photo", "photographs"]),
        (("pretrain", "photos", "--batch", "100"), ["24 rows, fewer than a batch of 100"]),
        (("pretrain", "photos", "--test", "photos"), ["--watch"]),
        (("pretrain", "absent"), ["absent"]),
        (("pretrain", "same", "--batch", "12"), ["all 30 images are equal"]),
        (("finetune", "absent", "photos"), ["--backbone absent", "there is no such backbone"]),
        (("finetune", "photos", "photos"), ["--backbone photos", "is a folder without config.json"]),
        (("finetune", "pixels", "photos", "--method", "linaer"), ["did you mean linear"]),
    ],
)
def test_wrong_input_is_one_line(arguments, words, refused, tmp_path):
    image_folder(tmp_path / "photos")
    np.savez(tmp_path / "same.npz", x=np.full((30, 1, 12, 12), 9, np.uint8))
    arguments = tuple("same.npz" if word == "same" else word for word in arguments)
    refused(arguments, *words)
    assert "runs" not in tree()
