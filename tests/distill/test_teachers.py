"""Teachers that Juyi did not train: they answer as the model itself does, and what cannot be one is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from foreign_nets import Pair, refusal, small, told, trained
from torch import nn

from juyi.data.domain import Domain
from juyi.distill import Hinton, Teacher, TeacherOptions, read_teacher
from juyi.distill.teachers import as_teacher, fit_classes
from juyi.errors import ClassesDifferError, JuyiError, SettingError
from juyi.nets import Standardise, build_network
from juyi.runs import RunFolder
from juyi.training import write_model

SHAPE = (1, 8, 8)
FACTORY = "foreign_nets:small"


def rows(count=5, shape=SHAPE, seed=0):
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def images(classes=tuple("0123456789"), count=64, shape=SHAPE, name="data"):
    y = np.arange(count) % len(classes)
    return Domain(rows(count, shape).numpy(), y, classes=tuple(classes), name=name)


def weights(folder, net=None, name="w.safetensors"):
    path = str(folder / name)
    safetensors.torch.save_file((net or trained()).state_dict(), path)
    return path


class Then(nn.Module):
    """A network, and a function after it."""

    def __init__(self, net, function):
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x):
        return self.function(self.net(x))


@pytest.mark.parametrize("kind", ["safetensors", "pt", "within", "parallel", "legacy"])
def test_a_factory_with_weights_sees_rows_on_its_own_scale(tmp_path, kind):
    net = trained()
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    path = weights(tmp_path, net)
    if kind != "safetensors":
        path = str(tmp_path / "w.pt")
        held = {"pt": net.state_dict(), "within": {"epoch": 3, "state_dict": net.state_dict()}, "parallel": state}
        held["legacy"] = net.state_dict()
        torch.save(held[kind], path, _use_new_zipfile_serialization=kind != "legacy")
    options = TeacherOptions.read(weights=path, shape="1x8x8", mean="0.13", spread="0.31")
    teacher = read_teacher(FACTORY, options)
    x = rows()
    wanted = net((x / 255 - 0.13) / 0.31)
    torch.testing.assert_close(teacher.scores(x), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(teacher.look(x).scores, wanted, atol=1e-5, rtol=1e-5)
    assert teacher.look(x).features.shape == (5, 144) and teacher.last.weight.shape == (10, 144)
    torch.testing.assert_close(teacher.scale.mean, torch.tensor([0.13 * 255]))
    assert teacher.shape == SHAPE and teacher.classes == tuple("0123456789") and not teacher.named
    assert not any(p.requires_grad for p in teacher.net.parameters()) and not teacher.net.training


def test_a_teacher_s_rows_may_run_channels_last_in_memory(tmp_path):
    options = TeacherOptions(weights(tmp_path, told((2, 8, 8), 3)), (2, 8, 8), classes=3)
    teacher = read_teacher("foreign_nets:told", options)
    x = rows(4, (2, 8, 8)).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(teacher.scores(x), teacher.scores(x.contiguous()))
    assert x.dtype == torch.uint8 and x.is_contiguous(memory_format=torch.channels_last)
    viewed = Teacher(Then(nn.Identity(), lambda rows: rows.view(len(rows), -1)[:, :3]), SHAPE, "abc")
    torch.testing.assert_close(viewed.scores(x), x.contiguous().view(4, -1)[:, :3].float())


def test_shape_and_number_of_classes_are_taken_from_the_data_where_nobody_says_them(tmp_path):
    path = weights(tmp_path, told(SHAPE, 3))
    data = images("abc")
    teacher = as_teacher("foreign_nets:told", TeacherOptions(path), data)
    assert teacher.shape == SHAPE and teacher.classes == ("0", "1", "2")
    assert fit_classes(data, teacher).classes == teacher.classes == ("a", "b", "c")
    assert "its classes have no names; taken for those of data, in order: a, b, c" in teacher.notes[-1]
    refusal(lambda: read_teacher("foreign_nets:told", TeacherOptions(path)), "--teacher-shape, such as 1x28x28")
    refusal(lambda: read_teacher("foreign_nets:told", TeacherOptions(path, SHAPE)), "--teacher-classes")


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path):
    def read(net, factory=FACTORY):
        return lambda: read_teacher(factory, TeacherOptions(weights(tmp_path, net), SHAPE))

    refusal(read(nn.Sequential(*small()[:5])), "does not fit foreign_nets:small", "it lacks 5.weight, 5.bias")
    refusal(read(nn.Sequential(*small(), nn.Linear(10, 2))), "it holds 6.bias, 6.weight besides")
    refusal(read(small(classes=7)), "5.bias has shape (7,) there and (10,) here")
    broken = trained()
    broken[5].bias.data[3] = torch.nan
    refusal(read(broken), "5.bias holds numbers that are not finite")
    refusal(lambda: read_teacher(FACTORY), "has learnt nothing yet", "--teacher-weights FILE")
    refusal(lambda: read_teacher(FACTORY, TeacherOptions(str(tmp_path / "none.pt"), SHAPE)), "no such file")
    refusal(read(None, "foreign_nets:number"), "gives a int", "torch.nn.Module is needed")
    refusal(read(None, "foreign_nets:absent"), "TEACHER foreign_nets:absent: cannot be imported")


class Malice:
    """What a pickle may do: here, make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickles_are_never_run(tmp_path):
    def read(name):
        return lambda: read_teacher(FACTORY, TeacherOptions(str(tmp_path / name), SHAPE))

    proof = tmp_path / "it_ran"
    for zipped in (True, False):
        torch.save({"5.bias": Malice(proof)}, tmp_path / "bad.pt", _use_new_zipfile_serialization=zipped)
        refusal(read("bad.pt"), "may run any code, so it is not read", "torch.save(model.state_dict()")
        torch.save(trained(), tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
        refusal(read("whole.pth"), "is a pickle of torch.nn.modules.container.Sequential", "safetensors")
    assert not proof.exists()
    torch.load(tmp_path / "bad.pt", weights_only=False)
    assert proof.exists(), "the test itself shows nothing"
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    refusal(read("list.pt"), "holds a list, and no weights by name")
    torch.save({"5.bias": torch.zeros(3), "epoch": 4}, tmp_path / "more.pt")
    refusal(read("more.pt"), "holds epoch, which is no plain tensor")
    refusal(lambda: read_teacher(str(tmp_path / "whole.pth")), "module:factory", "--teacher-weights")


def test_damaged_weights_are_refused_in_one_line(tmp_path):
    torch.save(trained().state_dict(), tmp_path / "w.pt")
    weights(tmp_path)
    for name in ("w.pt", "w.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for kept in (0, 10, len(whole) // 2, len(whole) - 1):
            (tmp_path / f"cut-{name}").write_bytes(whole[:kept])
            options = TeacherOptions(str(tmp_path / f"cut-{name}"), SHAPE)
            refusal(lambda options=options: read_teacher(FACTORY, options), "damaged")


def test_a_softmax_at_the_end_is_found_and_the_scores_before_it_are_used():
    net = trained()
    plain = Teacher(net, SHAPE, tuple("0123456789"))
    soft = as_teacher(Teacher(Then(net, lambda s: s.softmax(1)), SHAPE, tuple("0123456789"), name="it"))
    assert "it: ends in a softmax; the scores before it are used" in soft.notes
    x = rows() / 255
    torch.testing.assert_close(soft.scores(x), plain.scores(x))
    torch.testing.assert_close(soft.look(x).scores, plain.scores(x))
    x.requires_grad_()
    soft.scores(x).sum().backward()
    assert x.grad.abs().max() > 0
    logs = as_teacher(Teacher(Then(net, lambda s: s.log_softmax(1)), SHAPE, tuple("0123456789")))
    assert "log_softmax, which changes nothing" in logs.notes[0]
    torch.testing.assert_close(logs.scores(x).softmax(1), plain.scores(x).softmax(1))
    torch.testing.assert_close(logs.look(x).scores, plain.scores(x))


def test_a_softmax_that_hides_its_scores_is_undone_by_the_logarithm():
    net = trained()
    mixed = as_teacher(Teacher(Then(net, lambda s: (2 * s).softmax(1)), SHAPE, tuple("0123456789")))
    assert "the logarithms of its probabilities are used" in mixed.notes[0]
    x = rows() / 255
    wanted = (2 * net(x)).log_softmax(1)
    torch.testing.assert_close(mixed.scores(x), wanted, atol=1e-4, rtol=1e-4)
    refusal(lambda: mixed.last, "something comes after it", "use hinton with DATA")


def test_scores_that_only_look_like_probabilities_are_left_alone():
    net = trained()
    teacher = as_teacher(Teacher(Then(net, torch.sigmoid), SHAPE, tuple("0123456789")))
    assert "as after a sigmoid" in teacher.notes[0] and not teacher.probabilities
    refusal(lambda: teacher.last, "something comes after it")
    assert as_teacher(Teacher(net, SHAPE, tuple("0123456789"))).notes == ()


def test_what_gives_no_scores_is_refused():
    def ask(net, shape=SHAPE, classes=tuple("0123456789")):
        return lambda: as_teacher(Teacher(net, shape, classes, name="it"))

    refusal(ask(Pair()), "TEACHER it: gives a tuple for 16 rows", "scores alone")
    refusal(ask(Then(trained(), lambda s: {"logits": s})), "gives a dict")
    refusal(ask(nn.Conv2d(1, 3, 3)), "gives shape (16, 3, 6, 6)")
    refusal(ask(trained(classes=1), classes=("a",)), "gives one score a row")
    refusal(ask(Then(trained(), lambda s: s / 0)), "scores that are not finite")
    refusal(ask(trained(), classes=("a", "b")), "gives 10 scores, but has 2 classes", error=ClassesDifferError)
    broken = trained()
    broken[1].running_var[0] = torch.nan
    refusal(ask(broken), "its 1.running_var holds numbers that are not finite")
    conv = nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten())
    refusal(lambda: as_teacher(Teacher(conv, SHAPE, "abc", name="it")).last, "has no nn.Linear")
    refusal(lambda: as_teacher(small()), "wrap it: juyi.distill.Teacher(net, shape, classes)")
    refusal(lambda: as_teacher(None), "teacher: is None")


def test_another_size_or_channel_count_is_found_by_asking_a_row(tmp_path):
    path = weights(tmp_path, trained())
    told = refusal(lambda: read_teacher(FACTORY, TeacherOptions(path, (3, 8, 8))), "fails on rows of shape 3×8×8")
    assert told.endswith("say what it takes with --teacher-shape, such as 1x8x8")
    refusal(
        lambda: read_teacher(FACTORY, TeacherOptions(path), images(shape=(1, 9, 9))), "fails on rows of shape 1×9×9"
    )
    teacher = read_teacher(FACTORY, TeacherOptions(path, SHAPE), images(shape=(3, 16, 16)))
    brought = Hinton().bring(images(shape=(3, 16, 16)), teacher)
    assert brought.x.shape[1:] == SHAPE and brought.notes
    refusal(
        lambda: read_teacher(FACTORY, TeacherOptions(path, SHAPE, mean=(0.1, 0.2))), "--teacher-mean: has 2 numbers"
    )


def test_classes_of_the_data_that_the_teacher_does_not_know(tmp_path):
    path = weights(tmp_path)
    unnamed = read_teacher(FACTORY, TeacherOptions(path, SHAPE))
    told = refusal(lambda: fit_classes(images("abc"), unnamed), "3 classes (a, b, c)", "10", error=ClassesDifferError)
    assert "--teacher-classes" in told
    assert fit_classes(images("0123"), unnamed).classes == tuple("0123456789")  # some of its numbers
    named = read_teacher(FACTORY, TeacherOptions(path, SHAPE, classes=tuple("abcdefghij")))
    told = refusal(lambda: fit_classes(images("abx"), named), "name them alike", error=ClassesDifferError)
    data = fit_classes(images("jihgfedcba"), named)
    assert data.classes == named.classes and data.y.tolist()[:3] == [9, 8, 7]
    three = TeacherOptions(path, SHAPE, classes=("a", "b", "c"))
    refusal(lambda: read_teacher(FACTORY, three), "names 3 classes", "gives 10 scores", error=ClassesDifferError)


def test_a_run_says_all_itself(tmp_path):
    for option in ({"mean": (0.5,)}, {"shape": SHAPE}, {"classes": 10}, {"weights": "w.pt"}):
        name = re.escape(next(iter(option)))
        with pytest.raises(SettingError, match=f"--teacher-{name}: .* is a run, which says that itself; leave it out"):
            read_teacher(str(tmp_path), TeacherOptions(**option))


def test_any_model_of_a_run_can_be_a_teacher(tmp_path):
    layers = {"batch_norm": "none", "standardise": "source", "head": "own"}
    folder = RunFolder.create(tmp_path / "run", "dann")
    nets = [build_network("mlp-4", rows(seed=seed), 3, **layers).eval() for seed in (0, 1)]
    for net, name in zip(nets, ("dann", "source_only"), strict=True):
        write_model(folder.models, name, net, SHAPE, "abc", layers)
    folder.write({"serves": "dann"})
    for net, name in zip(nets, (str(folder.path), f"{folder.path}:source_only"), strict=True):
        teacher = read_teacher(name)
        torch.testing.assert_close(teacher.scores(rows()), net(rows()))
        assert teacher.name == name and teacher.classes == ("a", "b", "c") and teacher.named
        assert torch.equal(teacher.scale.mean, net.standardise.mean)
    both = read_teacher(f"{folder.path},{folder.path}:source_only")
    torch.testing.assert_close(both.scores(rows()), (nets[0](rows()) + nets[1](rows())) / 2)
    with pytest.raises(JuyiError, match="absent"):
        read_teacher(f"{folder.path}:absent")
    refusal(lambda: read_teacher("a,b", TeacherOptions(weights="w.pt")), "--teacher-weights: a,b are several teachers")


def test_what_cannot_learn_from_such_a_teacher_is_refused_before_anything_is_learnt():
    two = Teacher(trained(classes=2), SHAPE, ("a", "b"))
    refusal(lambda: Hinton(teacher=two, loss="dkd", epochs=1).fit(images("ab")), "--loss dkd", "2 classes", "hinton")
    for temperature in (0.0, -1.0, float("nan")):
        refusal(lambda t=temperature: Hinton(teacher=two, temperature=t).fit(images("ab")), "temperature")


def test_a_student_that_is_bigger_than_its_teacher_is_told():
    teacher = Teacher(trained(), SHAPE, tuple("0123456789"))
    method = Hinton(teacher=teacher, student="mlp-64", epochs=1).fit(images())
    assert "more than its teacher (1,498)" in method.remarks_[0]
    assert Hinton(teacher=teacher, student="mlp-8", epochs=1).fit(images()).remarks_ == ()


def test_the_scale_of_a_teacher_that_makes_three_channels_of_one_has_one():
    teacher = Teacher(
        trained(), SHAPE, tuple("0123456789"), scale=Standardise(torch.tensor([1.0, 2, 6]), torch.ones(3))
    )
    assert teacher.scale.mean.tolist() == [3.0] and teacher.scale.spread.tolist() == [1.0]
