"""Soft targets: what the student is taught, when the teacher is asked, and what labels do."""

import numpy as np
import pytest
import torch

import juyi
from juyi.adapt import SourceOnly
from juyi.check.common import CLASSES, shifted_domains, weights
from juyi.data import Domain
from juyi.distill import Hinton, Teacher
from juyi.distill.soft import SoftTargets
from juyi.distill.teachers import as_teacher, of_served
from juyi.errors import DataError, SettingError
from juyi.training import read_model, write_model

QUICK = {"student": "mlp-16", "epochs": 2, "batch": 60, "precision": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def teacher():
    source, _ = shifted_domains()
    return SourceOnly(net="mlp", batch=60, epochs=20, precision="float32", device="cpu").fit(source)


@pytest.fixture(scope="module")
def rows():
    return shifted_domains(seed=1)[0]


class Counting(Teacher):
    asked = 0

    def scores(self, x):
        Counting.asked += len(x)
        return super().scores(x)


@pytest.mark.parametrize(("augment", "times"), [("none", 1), ("weak", 2)])
def test_the_teacher_is_asked_once_or_of_each_view(teacher, rows, augment, times):
    served = teacher._served()
    counting = Counting(served.net, served.shape, served.classes.tolist())
    Counting.asked = 0
    Hinton(teacher=counting, augment=augment, **QUICK).fit(rows)
    assert Counting.asked == times * rows.size


def test_the_teacher_sees_the_view_that_the_student_sees():
    images = Domain(np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), np.uint8))
    seen, looked = [], []

    class Linear(torch.nn.Module):
        def __init__(self, into):
            super().__init__()
            self.body, self.head, self.width, self.into = torch.nn.Flatten(), torch.nn.Linear(64, 3), 64, into
            self.body.register_forward_pre_hook(lambda _, x: into.append(x[0].detach().clone()))

        def __deepcopy__(self, memo):
            return self

        def forward(self, x):
            return self.head(self.body(x.float()))

    asked = Teacher(Linear(seen), (1, 8, 8), CLASSES)
    Hinton(teacher=asked, augment="weak", **{**QUICK, "student": Linear(looked), "batch": 32}).fit(images)
    views = [x for x in seen if len(x) == 32]
    assert len(views) == 4
    assert all(any(torch.allclose(view, x, atol=1e-3) for x in looked) for view in views)
    still = torch.from_numpy(images.x).float()
    moved = [not (still == image).all((1, 2, 3)).any() for view in views for image in view]
    assert sum(moved) > 64  # most of 128 are shifted by a pixel


def test_unlabelled_rows_teach_as_well(teacher, rows):
    bare = Domain(rows.x, classes=CLASSES, name="bare")
    student = Hinton(teacher=teacher, learning_rate=0.01, **{**QUICK, "epochs": 60}).fit(bare)
    assert np.mean(student.predict(rows) == teacher.predict(rows)) > 0.9


def test_wrong_labels_count_by_their_weight(teacher, rows):
    wrong = Domain(rows.x, (rows.y + 1) % 3, classes=CLASSES, name="wrong")
    settings = {**QUICK, "epochs": 60, "learning_rate": 0.01}
    soft = Hinton(teacher=teacher, soft_weight=1.0, hard_weight=0.0, **settings).fit(wrong)
    hard = Hinton(teacher=teacher, soft_weight=0.0, hard_weight=1.0, **settings).fit(wrong)
    assert np.mean(soft.predict(rows) == teacher.predict(rows)) > 0.9
    assert np.mean(hard.predict(rows) == teacher.predict(rows)) < 0.1


def test_without_its_soft_part_no_teacher_is_asked(teacher, rows):
    served = teacher._served()
    counting = Counting(served.net, served.shape, served.classes.tolist())
    Counting.asked = 0
    alone = Hinton(teacher=counting, **QUICK).alone().fit(rows)
    assert Counting.asked == 0
    assert (alone.soft_weight, alone.hard_weight, alone.student, alone.batch) == (0.0, 1.0, "mlp-16", 60)


def test_the_student_standardises_as_its_teacher_does(teacher, rows):
    student = Hinton(teacher=teacher, **QUICK).fit(rows)
    mine, its = student.net_.standardise, teacher.net_.standardise
    assert torch.equal(mine.mean, its.mean) and torch.equal(mine.spread, its.spread)
    assert mine is not its


def test_a_student_larger_than_its_teacher_is_remarked(teacher, rows):
    large = Hinton(teacher=teacher, **{**QUICK, "student": "mlp-2048"}).fit(rows)
    assert "more than its teacher" in large.remarks_[0] and "--student" in large.remarks_[0]
    assert Hinton(teacher=teacher, **QUICK).fit(rows).remarks_ == ()


def test_two_seeds_of_students_of_one_teacher_differ_and_the_loss_is_chosen(teacher, rows):
    one, other = (weights(Hinton(teacher=teacher, loss=loss, **QUICK).fit(rows)) for loss in ("hinton", "dist"))
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0.0}, "temperature: 0.0 is out of range"),
        ({"temperature": -1.0}, "out of range"),
        ({"loss": "dkk"}, "did you mean dkd"),
        ({"student": "lenet6"}, "--student lenet6: there is no such network"),
        ({"dropout": 0.5, "student": "mlp"}, "has no dropout layer"),
    ],
)
def test_wrong_settings(teacher, rows, settings, words):
    with pytest.raises(SettingError, match=words):
        Hinton(teacher=teacher, **{**QUICK, **settings}).fit(rows)


def test_no_data(teacher):
    with pytest.raises(DataError, match="needs data, labelled or not; name some after the teacher"):
        Hinton(teacher=teacher, **QUICK).fit()


def test_what_can_be_a_teacher(teacher):
    assert as_teacher(teacher).name == "SourceOnly"
    assert as_teacher(of_served(teacher._served(), "x")).name == "x"
    with pytest.raises(SettingError, match="give a run's folder"):
        as_teacher(7)


def test_features_are_what_the_last_layer_is_given(teacher, rows):
    asked, x = as_teacher(teacher), torch.from_numpy(rows.x)
    look = asked.look(x)
    assert torch.allclose(asked.last(look.features), look.scores)
    assert torch.equal(look.scores, asked.scores(x))
    x.requires_grad_()
    asked.look(x).scores.sum().backward()
    assert x.grad is not None and float(x.grad.abs().sum()) > 0


def test_defaults_come_from_the_loss():
    assert SoftTargets().temperature is None


@pytest.mark.parametrize("standardise", ["image", "source"])
def test_a_student_in_a_file_standardises_as_its_teacher(tmp_path, standardise):
    """What is read from the folder answers to the bit as what was written, whichever scale the teacher has."""
    images = {"epochs": 1, "batch": 50, "precision": "float32", "device": "cpu"}
    rows, test = juyi.load("digits@train[:200]"), juyi.load("digits@test[:50]")
    teacher = SourceOnly(net="lenet5", standardise=standardise, **images).fit(rows)
    student = Hinton(teacher=teacher, student="lenet5_half", **images).fit(rows)
    write_model(tmp_path, "student", student.net_, student.shape_, student.classes_.tolist(), student.layers)
    read, _ = read_model(tmp_path, "student")
    assert read.standardise.by_image is (standardise == "image")
    with torch.no_grad():
        assert torch.equal(read(torch.from_numpy(test.x)), torch.from_numpy(student.scores(test)))
