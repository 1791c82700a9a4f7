"""A whole export: what the run's record then holds, what is said of int8, and what cannot be exported."""

import shutil
import sys

import numpy as np
import pytest
import torch

import juyi
from juyi import adapt, distill, export, pretrain
from juyi.adapt import SourceOnly
from juyi.distill import Hinton
from juyi.errors import DataError, InputError, RunFolderError, SettingError
from juyi.measure import neighbour_scores
from juyi.portable import Latency, OnnxModel
from juyi.report import write_model_page
from juyi.runs import RunFolder

pytest.importorskip("onnxruntime")
QUICK = {"batch": 32, "precision": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A teacher of digits and its student, trained once."""
    folder = tmp_path_factory.mktemp("runs")
    adapt.run(adapt.Request("digits@train"), SourceOnly(net="lenet5", epochs=6, **QUICK), out=folder / "teacher")
    request = distill.Request(str(folder / "teacher"), "digits@train")
    distill.run(request, Hinton(student="lenet5_half", epochs=4, **QUICK), out=folder / "student")
    return folder


@pytest.fixture
def student(runs, tmp_path):
    """A copy of the student's run; its teacher stays where it is."""
    return str(shutil.copytree(runs / "student", tmp_path / "student"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """The run of a backbone of digits, trained once."""
    method = pretrain.ISIF(net="lenet5", epochs=1, **QUICK)
    out = tmp_path_factory.mktemp("backbone") / "run"
    return str(pretrain.run(pretrain.Request("digits@train"), method, out=out).path)


def fixed(monkeypatch, int8):
    """Let the clock say that int8 takes so many times as long."""
    monkeypatch.setattr(
        sys.modules["juyi.export.run"],  # the package has a function of that name
        "measure_latency",
        lambda calls: {name: Latency(int8 if name == "int8" else 1.0, 1.0, 0.0, 500) for name in calls},
    )


def test_the_account_says_what_was_kept(student, monkeypatch):
    fixed(monkeypatch, 0.5)
    found = export.run(export.Request(student, int8=True, test="digits@test"))
    folder = RunFolder.open(student)
    record = folder.read()
    assert record["export"] == found and record["openings"][-1]["data"] == "digits@test"
    assert set(found["files"]) == {"float32", "int8"}
    for file in found["files"].values():
        path = folder.path / file["path"]
        assert path.parent.name == "export" and path.stat().st_size == file["bytes"]
    assert found["costs"]["parameters"] == record["network"]["parameters"] and found["costs"]["macs"] > 10**5
    accounts = {entry["model"]: entry for entry in found["account"]}
    assert list(accounts) == ["teacher", "student_alone", "hinton", "model.onnx", "model.int8.onnx"]
    test = juyi.load("digits@test")
    told = juyi.read_run(student).scores(test).argmax(1)
    mine = accounts["hinton"]
    assert mine["accuracy"]["value"] == pytest.approx((told == test.y).mean())
    for key in ("accuracy", "worst_class", "agreement", "agreement_on_mistakes"):
        assert accounts["model.onnx"][key] == mine[key]
    for key in ("divergence", "calibration_error", "temperature"):
        assert accounts["model.onnx"][key] == pytest.approx(mine[key], rel=1e-3)
    teacher = distill.read_teacher(str(record["request"]["teacher"]))
    said = teacher.scores(torch.from_numpy(test.x)).argmax(1).numpy()
    assert mine["agreement"]["value"] == pytest.approx((told == said).mean())
    wrong = said != test.y
    assert mine["agreement_on_mistakes"]["n"] == wrong.sum()
    assert mine["agreement_on_mistakes"]["value"] == pytest.approx((told == said)[wrong].mean())
    assert mine["calibration_error_after"] >= 0 and mine["temperature"] > 0
    worst = min((told == test.y)[test.y == code].mean() for code in range(10))
    assert mine["worst_class"]["value"] == pytest.approx(worst)
    assert "held-out rows of digits@train" in found["temperature_on"] and not found["account_notes"]
    assert found["calibration"] == "impressions of the model" and found["use"] == "int8"
    assert found["sentence"].startswith("int8 is ") and found["sentence"].endswith("Use model.int8.onnx.")


@pytest.mark.parametrize(
    "slow, bad, word", [(2.0, False, "slower"), (0.5, True, "worse"), (2.0, True, "slower and worse")]
)
def test_int8_that_is_slower_or_worse_is_not_advised(student, monkeypatch, slow, bad, word):
    fixed(monkeypatch, slow)
    if bad:
        scores = OnnxModel.scores
        monkeypatch.setattr(
            "juyi.portable.reading.OnnxModel.scores",
            lambda self, rows: np.roll(scores(self, rows), 1, 1) if "int8" in self.name else scores(self, rows),
        )
    found = export.run(export.Request(student, int8=True, calibrate="digits@train"))
    assert found["use"] == "float32" and f"Being {word}, it is not advised: use model.onnx." in found["sentence"]
    assert found["calibration"] == "digits@train" and len(found["files"]) == 2  # both are there


def test_labels_of_calibration_rows_count_for_nothing(student, monkeypatch, tmp_path):
    fixed(monkeypatch, 1.0)
    digits = juyi.load("digits@train[:50]")
    np.savez(tmp_path / "other.npz", x=digits.x, y=np.array(["cat", "dog"])[digits.y % 2])
    files = []
    for name in ("digits@train[:50]", str(tmp_path / "other.npz")):
        export.run(export.Request(student, int8=True, calibrate=name, out=tmp_path / "out"))
        files.append((tmp_path / "out" / "model.int8.onnx").read_bytes())
    assert files[0] == files[1]


def test_an_earlier_int8_file_does_not_stay(student, monkeypatch):
    fixed(monkeypatch, 1.0)
    export.run(export.Request(student, int8=True, calibrate="digits@train[:50]"))
    place = RunFolder.open(student).path / "export"
    assert (place / "model.int8.onnx").exists()
    found = export.run(export.Request(student))
    assert sorted(path.name for path in place.iterdir()) == ["model.onnx"] and "account" not in found


def test_what_is_gone_is_left_out_and_said(student, monkeypatch):
    fixed(monkeypatch, 1.0)
    folder = RunFolder.open(student)
    record = folder.read()
    record["request"]["teacher"] = "nowhere"
    record["request"]["data"] = "nothing@train"
    folder.write(record)
    found = export.run(export.Request(student, test="digits@test"))
    assert [entry["model"] for entry in found["account"]] == ["student_alone", "hinton", "model.onnx"]
    assert found["reference"] == "hinton" and found["temperature_on"] is None
    assert "the teacher is left out: " in found["account_notes"][0]
    assert "no temperature is fitted on the run's own data" in found["account_notes"][1]


def test_a_teacher_that_is_code_is_not_run(student, monkeypatch):
    fixed(monkeypatch, 1.0)
    folder = RunFolder.open(student)
    record = folder.read()
    record["request"]["teacher"] = "os:getcwd"
    folder.write(record)
    found = export.run(export.Request(student, test="digits@test"))
    assert "the teacher is code of your own" in found["account_notes"][0]


def test_numbers_are_exported_and_need_real_rows(tmp_path, monkeypatch):
    fixed(monkeypatch, 0.5)
    run = adapt.run(adapt.Request("weather@beijing-2016"), SourceOnly(net="mlp", epochs=1, **QUICK), out=tmp_path / "w")
    with pytest.raises(SettingError, match="the model knows none; name data"):
        export.run(export.Request(str(run.path), int8=True))
    found = export.run(
        export.Request(str(run.path), int8=True, calibrate="weather@beijing-2016", test="weather@beijing-2017")
    )
    assert "its numbers differ by" in found["sentence"]
    errors = {entry["model"]: entry["mean_absolute_error"]["value"] for entry in found["account"]}
    assert errors["source_only"] == pytest.approx(errors["model.onnx"], rel=1e-3)


def test_an_adapted_model_is_exported(tmp_path, monkeypatch):
    fixed(monkeypatch, 1.0)
    request = adapt.Request("digits@train[:200]", "digits_m@train[:200]")
    run = adapt.run(request, adapt.DANN(epochs=1, **QUICK), out=tmp_path / "run")
    found = export.run(export.Request(str(run.path), test="digits_m@test", out=tmp_path / "elsewhere"))
    assert [entry["model"] for entry in found["account"]] == ["source_only", "dann", "model.onnx"]
    assert found["reference"] == "dann"
    assert OnnxModel(tmp_path / "elsewhere" / "model.onnx").classes == tuple("0123456789")


def test_a_backbone_gives_its_features(backbone, monkeypatch):
    fixed(monkeypatch, 0.5)
    found = export.run(export.Request(backbone))
    folder, digits = RunFolder.open(backbone), juyi.load("digits@test")
    assert folder.read()["export"] == found and not folder.read().get("openings")
    assert found["sentence"] == "The file gives the network's 84 features; they were compared on 1,000 rows."
    assert found["costs"]["parameters"] == folder.read()["network"]["parameters"]
    assert set(found["files"]) == {"float32"} and "account" not in found and write_model_page(folder) is None
    file, features = (
        OnnxModel(folder.path / found["files"]["float32"]["path"]),
        juyi.read_run(backbone).features(digits),
    )
    for rows in (1, 3, digits.size):
        told = file.features(digits.x[:rows])
        assert told.shape == (rows, 84) and told.dtype == np.float32
        distance = np.linalg.norm(told - features[:rows], axis=1)
        assert (distance <= 1e-5 * np.linalg.norm(features[:rows], axis=1)).all()
    votes = neighbour_scores(features, digits.y, file.features(digits.x), 10, k=1)
    assert (votes.argmax(1) == digits.y).all()  # the nearest to each row is the row itself


def test_a_backbone_in_integers_keeps_its_neighbours(backbone, monkeypatch, tmp_path):
    fixed(monkeypatch, 0.5)
    found = export.run(export.Request(backbone, int8=True, calibrate="digits@train", out=tmp_path))
    large, small = (OnnxModel(tmp_path / name) for name in ("model.onnx", "model.int8.onnx"))
    assert small.is_backbone and (tmp_path / "model.int8.onnx").stat().st_size < found["files"]["float32"]["bytes"] / 3
    train, test = juyi.load("digits@train"), juyi.load("digits@test")
    one, other = (file.features(train.x).astype(np.float64) for file in (large, small))
    pairs = zip(one - one.mean(0), other - one.mean(0), strict=True)
    cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in pairs]
    assert found["int8_alike"] == {"value": pytest.approx(np.mean(cosines), abs=1e-5), "n": train.size}
    assert min(cosines) > 0.99 and found["use"] == "int8" and "its features have a cosine of " in found["sentence"]
    right = [
        (neighbour_scores(one, train.y, file.features(test.x), 10, k=20).argmax(1) == test.y).mean()
        for file in (large, small)
    ]
    assert abs(right[0] - right[1]) < 0.01


def test_features_of_other_rows_are_called_worse(backbone, monkeypatch, tmp_path):
    fixed(monkeypatch, 0.5)
    scores = OnnxModel.scores
    monkeypatch.setattr(
        "juyi.portable.reading.OnnxModel.scores",
        lambda self, rows: np.roll(scores(self, rows), 1, 0) if "int8" in self.name else scores(self, rows),
    )
    found = export.run(export.Request(backbone, int8=True, calibrate="digits@train[:200]", out=tmp_path))
    assert found["use"] == "float32" and "Being worse, it is not advised" in found["sentence"]
    assert abs(found["int8_alike"]["value"]) < 0.5


@pytest.mark.parametrize(
    "words, line",
    [
        ({"test": "digits@test"}, "--test digits@test: the model is a backbone, which has features and no classes"),
        ({"int8": True}, "--calibrate impressions: are of classes, and the model knows none; name data"),
        ({"int8": True, "calibrate": "weather@beijing-2016"}, "images"),
        ({"model": "untrained"}, "--model untrained: .* has no such model"),
    ],
    ids=["test", "impressions", "kind", "model"],
)
def test_what_asks_a_backbone_for_classes_is_one_line_and_writes_nothing(backbone, tmp_path, words, line):
    before = RunFolder.open(backbone).read()
    with pytest.raises(InputError, match=line) as raised:
        export.run(export.Request(**{"run": backbone, "out": tmp_path / "out", **words}))
    assert "\n" not in str(raised.value) and raised.value.exit_code == 2
    assert RunFolder.open(backbone).read() == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words, error, line",
    [
        ({"run": "nowhere"}, RunFolderError, "there is no such folder"),
        ({"model": "hintn"}, SettingError, "--model hintn: .* has no such model; did you mean hinton"),
        ({"test": "digits@tets"}, DataError, "digits"),
        ({"int8": True, "calibrate": "weather@beijing-2016"}, DataError, "are features|has .* features a row|images"),
        ({"int8": True, "calibrate": "digits@train[:12]"}, DataError, "has 12 rows, and needs 20"),
    ],
    ids=["run", "model", "test", "kind", "few"],
)  # fmt: skip
def test_wrong_input_is_one_line_and_opens_nothing(student, words, error, line):
    before = RunFolder.open(student).read()
    with pytest.raises(error, match=line) as raised:
        export.run(export.Request(**{"run": student, **words}))
    assert "\n" not in str(raised.value)
    assert RunFolder.open(student).read() == before


def test_a_test_without_labels_scores_nothing(student, tmp_path):
    np.savez(tmp_path / "bare.npz", x=juyi.load("digits@test").x)
    with pytest.raises(SettingError, match="has no label, so nothing can be scored"):
        export.run(export.Request(student, test=str(tmp_path / "bare.npz")))
