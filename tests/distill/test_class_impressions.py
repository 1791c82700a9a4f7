"""Class impressions: thresholds, what is frozen, and how images are shaken."""

import contextlib

import numpy as np
import pytest
import torch

from juyi.check.common import Kill, Killed, same, weights
from juyi.distill import ClassImpressions, Teacher
from juyi.distill.class_impressions import confidence, shake
from juyi.distill.impressions import Canvas
from juyi.errors import SettingError
from juyi.nets import Standardise, build_network
from juyi.training import Checkpoint

CPU = {"precision": "float32", "device": "cpu"}


def linear_teacher():
    """A small network for 8×8 images, of four classes, with the weights that it begins with, made surer."""
    torch.manual_seed(3)
    rows = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    net = build_network("linear", rows, 4, batch_norm="none", standardise="source")
    scale = Standardise(torch.full((1,), 50.0), torch.full((1,), 60.0))
    net.standardise = scale
    teacher = Teacher(net, (1, 8, 8), tuple("abcd"), scale=scale)
    with torch.no_grad():
        teacher.last.weight.mul_(4.0)
    return teacher


def method(**settings):
    found = {"impressions": 60, "at_once": 20, "steps": 8, "epochs": 1, "batch": 20, "student": "linear", **CPU}
    return ClassImpressions(teacher=linear_teacher(), **{"rate": 0.3, **found, **settings})


def trained(steps, **settings):
    """A canvas after some steps of the loop's kind, with its method's losses."""
    teacher, own = linear_teacher(), method(**settings)
    torch.manual_seed(0)
    canvas = Canvas(teacher, 40, "clamp")
    canvas.restart(1.5)
    losses = own.begin(teacher, canvas)
    canvas.u.requires_grad_(True)
    optimiser = torch.optim.Adam([canvas.u], 0.3 / canvas.gain)
    seen = []
    for step in range(steps):
        optimiser.zero_grad()
        sum(losses(None, step / steps).values()).backward()
        optimiser.step()
        seen.append((canvas.frozen.clone(), canvas.rows().detach().clone()))
    return teacher, canvas, seen


# shaking


def test_shaken_images_keep_shape_and_range():
    torch.manual_seed(0)
    for channels in (1, 3):
        x = torch.rand(50, channels, 12, 10) * 255
        found = shake(x)
        assert found.shape == x.shape
        assert found.min() >= 0
        assert found.max() <= 255
        assert (found - x).abs().amax((1, 2, 3)).min() > 1  # each of them was changed


def test_without_movement_what_is_laid_on_is_at_most_twice_the_jitter():
    torch.manual_seed(0)
    x = torch.full((200, 3, 9, 9), 100.0)  # a plain image, of which movement changes nothing
    change = shake(x, jitter=10.0) - x
    assert 18 < change.abs().max() <= 20
    assert change.mean((2, 3)).std() > 3  # channels are moved as a whole, by U[−10, 10]: 5.8
    assert shake(x, jitter=0.0).allclose(x)


def test_movement_is_small():
    torch.manual_seed(0)
    x = torch.zeros(100, 1, 33, 33)
    x[:, :, 16, 16] = 255.0
    moved = shake(x, jitter=0.0)[:, 0]
    places = torch.arange(33.0) - 16
    centre = torch.stack([(moved.sum(d) * places).sum(1) / moved.sum((1, 2)) for d in (1, 2)], 1)
    assert centre.abs().max() <= 33 / 16 * 1.06 + 0.1
    assert centre.std(0).min() > 0.5


def test_features_are_not_shaken():
    x = torch.randn(4, 5)
    assert shake(x) is x


# thresholds


def test_every_frozen_row_has_passed_its_threshold_and_stays():
    teacher, canvas, seen = trained(12, least_sure=0.7, most_sure=0.9)
    frozen = canvas.frozen
    assert frozen.sum() > 0
    label = torch.arange(40) % 4
    with torch.no_grad():
        sure = confidence(teacher, canvas.rows().round(), label)
    assert (sure[frozen] > 0.7).all()
    for earlier, rows in seen:
        assert frozen[earlier].all()
        assert rows[earlier].equal(canvas.rows()[earlier])


def test_thresholds_are_each_rows_own():
    teacher, canvas, _ = trained(30, least_sure=0.5, most_sure=0.99)
    with torch.no_grad():
        sure = confidence(teacher, canvas.rows(), torch.arange(40) % 4)
    assert canvas.frozen.float().mean() > 0.7
    assert sure[canvas.frozen].std() > 0.05  # one threshold for all would leave all just above it


def test_when_all_are_frozen_nothing_moves():
    _, canvas, seen = trained(12, least_sure=0.0, most_sure=0.0)
    assert canvas.frozen.all()
    assert seen[0][1].equal(seen[-1][1])


def test_each_row_ascends_the_score_of_its_own_class():
    few, many = (method(steps=steps, least_sure=1.0, most_sure=1.0).fit().impression_scores_ for steps in (1, 20))
    row, label = np.arange(60), np.arange(60) % 4  # from one canvas to the next, too
    assert (many[row, label] > few[row, label]).mean() > 0.85  # an image that is black all over has no gradient


def test_what_was_not_finished_is_told():
    assert any("60 of 60" in remark for remark in method(steps=1, least_sure=1.0, most_sure=1.0).fit().remarks_)
    assert not any("finished" in r for r in method(steps=3, least_sure=0.0, most_sure=0.0).fit().remarks_)


def test_killed_between_and_inside_stages_it_comes_to_the_same_bits(tmp_path):
    whole = method()
    whole.learn(whole.teacher, None)
    for at in (3, 9, 10, 22, 28):  # of 3 stages of 8 steps and their ends, then the student's
        folder = tmp_path / str(at)
        with contextlib.suppress(Killed):
            one = method()
            one.learn(one.teacher, None, watcher=Kill(at), checkpoint=Checkpoint(folder, every=0.0))
        again = method()
        again.learn(again.teacher, None, checkpoint=Checkpoint(folder))
        assert same(weights(whole), weights(again))
        assert (again.impressions_.x == whole.impressions_.x).all()
        assert again.remarks_ == whole.remarks_


def test_thresholds_that_cross_are_refused():
    with pytest.raises(SettingError, match="least_sure"):
        method(least_sure=0.9, most_sure=0.5).fit()
