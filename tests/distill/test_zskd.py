"""Impressions by soft answers: what is drawn, what the images are moved to, and that a killed run comes to the same."""

import contextlib

import numpy as np
import pytest
import torch

from juyi.check.common import Kill, Killed, same, weights
from juyi.check.distiller import small, teacher
from juyi.distill import ZSKD, Teacher
from juyi.distill.impressions import Canvas, into_range, level_and_size, roughness, smoothing
from juyi.distill.zskd import class_similarity, concentrations, draw_answers, impression_loss
from juyi.errors import SettingError
from juyi.nets import Standardise, build_network
from juyi.training import Checkpoint

CPU = {"precision": "float32", "device": "cpu"}


def picture_teacher(channels=1, spread=60.0):
    """A small network for 8×8 images, of four classes, with the weights that it begins with."""
    torch.manual_seed(3)
    rows = torch.randint(0, 256, (20, channels, 8, 8), dtype=torch.uint8)
    net = build_network("linear", rows, 4, batch_norm="none", standardise="source")
    scale = Standardise(torch.full((channels,), 50.0), torch.full((channels,), spread))
    net.standardise = scale
    return Teacher(net, (channels, 8, 8), tuple("abcd"), scale=scale)


def picture_method(**settings):
    found = {"impressions": 60, "at_once": 20, "steps": 4, "epochs": 1, "batch": 20, "student": "linear", **CPU}
    return ZSKD(teacher=picture_teacher(), **{**found, **settings})


# soft answers


def test_similarity_is_the_cosine_whatever_the_lengths():
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    plain = [[float(a @ b / (a.norm() * b.norm())) for b in weight] for a in weight]
    for scaled in (weight, weight * torch.tensor([[0.1], [1], [2], [30], [4]])):
        assert np.allclose(class_similarity(scaled), plain, atol=1e-6)


def test_scale_multiplies_what_is_normalised():
    similarity = class_similarity(torch.randn(6, 9, generator=torch.Generator().manual_seed(0)))
    one, tenth = concentrations(similarity, 1.0), concentrations(similarity, 0.1)
    assert one.amax(1).allclose(torch.ones(6, dtype=torch.float64))
    assert (one.argmax(1) == torch.arange(6)).all()
    large = one > 0.1
    assert tenth[large].allclose(one[large] / 10)
    assert concentrations(3 * similarity - 1, 0.1).allclose(tenth)


def test_answers_have_the_means_and_variances_of_dirichlet():
    torch.manual_seed(0)
    alpha = torch.tensor([2.0, 0.7, 0.05], dtype=torch.float64)
    y = draw_answers(alpha.expand(40_000, 3))
    total = alpha.sum()
    mean = alpha / total
    assert y.mean(0).allclose(mean, atol=0.005)
    assert y.var(0).allclose(mean * (1 - mean) / (total + 1), atol=0.005)


def test_the_smaller_scale_draws_spikier_answers():
    torch.manual_seed(0)
    similarity = class_similarity(torch.randn(10, 20))
    sure = [draw_answers(concentrations(similarity, s).repeat(100, 1)).amax(1).mean().item() for s in (1.0, 0.1)]
    assert sure[1] > sure[0] + 0.2


def test_tiny_concentrations_give_finite_answers():
    torch.manual_seed(0)
    y = draw_answers(torch.full((1_000, 10), 1e-3))
    assert torch.isfinite(y).all()
    assert y.sum(1).allclose(torch.ones(1_000, dtype=torch.float64))
    assert len(y.argmax(1).unique()) == 10


def test_impression_loss_is_least_where_the_teacher_answers_so():
    answer = torch.tensor([[0.7, 0.2, 0.1]])
    best = answer.log() * 20.0
    entropy = -(answer * answer.log()).sum().item()
    assert impression_loss(best, answer, 20.0).item() == pytest.approx(entropy, abs=1e-5)
    scores = best.clone().requires_grad_(True)
    impression_loss(scores, answer, 20.0).backward()
    assert scores.grad.abs().max() < 1e-7
    assert impression_loss(best.roll(1, 1), answer, 20.0) > entropy + 0.1


# the canvas


@pytest.mark.parametrize(("mean", "spread"), [(33.4, 78.7), (73.0, 90.0), (120.0, 62.0), (127.5, 20.0)])
def test_noise_that_is_cut_has_the_mean_and_spread_that_were_asked(mean, spread):
    level, size = level_and_size(torch.tensor([mean]), torch.tensor([spread]))
    x = (level + size * torch.randn(200_000, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    assert x.mean().item() == pytest.approx(mean, abs=1.0)
    assert x.std().item() == pytest.approx(spread, abs=1.0)


def test_an_impossible_spread_ends():
    _, size = level_and_size(torch.tensor([30.0]), torch.tensor([200.0]))
    assert size.item() <= 1_000


def test_smoothed_noise_keeps_its_spread_and_is_smooth():
    u = torch.randn(2_000, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    a = smoothing(12, 2.0)
    smooth = a @ u @ a.T
    assert smooth.std(0).sub(1).abs().max() < 0.1
    assert roughness(smooth).mean() < 0.6 * roughness(u).mean()


def test_stretch_is_of_each_image_alone():
    x = torch.randn(3, 1, 4, 4) * torch.tensor([1.0, 50.0, 900.0]).view(3, 1, 1, 1)
    found = into_range(x, "stretch")
    assert found.amin((1, 2, 3)).tolist() == [0] * 3
    assert found.amax((1, 2, 3)).tolist() == pytest.approx([255] * 3)
    assert into_range(x[:1], "stretch").allclose(found[:1])


@pytest.mark.parametrize("fit", ["clamp", "stretch"])
@pytest.mark.parametrize("width", [0.0, 1.5])
def test_a_canvas_stays_in_range_and_passes_gradients(fit, width):
    canvas = Canvas(picture_teacher(channels=3), 6, fit)
    canvas.restart(width)
    u = canvas.u.requires_grad_(True)
    x = canvas.rows()
    assert x.shape == (6, 3, 8, 8)
    assert x.min() >= 0
    assert x.max() <= 255.001
    (x**2).sum().backward()
    assert u.grad.abs().sum() > 0


def test_free_pixels_begin_as_uniform_noise():
    canvas = Canvas(picture_teacher(), 500, "clamp")
    canvas.restart(0.0)
    x = canvas.rows()
    assert x.mean().item() == pytest.approx(127.5, abs=2)
    assert x.std().item() == pytest.approx(73.6, abs=2)


def test_features_begin_on_the_teachers_scale():
    net = torch.nn.Linear(2, 3)
    scale = Standardise(torch.tensor([5.0, -100.0]), torch.tensor([0.1, 20.0]))
    canvas = Canvas(Teacher(net, (2,), tuple("abc"), scale=scale), 20_000, "clamp")
    x = canvas.rows()
    assert x.mean(0).tolist() == pytest.approx([5, -100], abs=0.5)
    assert x.std(0).tolist() == pytest.approx([0.1, 20], rel=0.03)


# the method


def test_impressions_are_answered_as_was_asked():
    few, many = (picture_method(steps=s, rate=0.3, impression_temperature=1.0).fit() for s in (1, 60))
    sure = [m.impression_scores_ for m in (few, many)]
    shares = [np.bincount(s.argmax(1), minlength=4) for s in sure]
    assert shares[1].min() >= 8  # of 15 each, of which answers near two classes may fall to the other
    assert shares[1].min() >= shares[0].min()


def test_what_was_made_is_left_with_the_method():
    made = picture_method().fit()
    assert made.impressions_.x.shape == (60, 1, 8, 8)
    assert made.impressions_.x.dtype == np.uint8
    assert made.impression_scores_.dtype == np.float32
    with torch.no_grad():
        scores = made.teacher.scores(torch.from_numpy(made.impressions_.x)).numpy()
    assert np.allclose(scores, made.impression_scores_, atol=1e-4)
    assert (made.impressions_.y == scores.argmax(1)).all()


def test_a_number_that_is_no_multiple_is_kept_to():
    assert picture_method(impressions=50, at_once=20).fit().impressions_.size == 50


def test_views_are_for_the_student():
    assert picture_method(augment="weak").fit().impressions_.size == 60


def test_killed_between_and_inside_stages_it_comes_to_the_same_bits(tmp_path):
    watcher = Kill(-1)
    whole = picture_method()
    whole.learn(whole.teacher, None, watcher=watcher)
    for at in (2, 5, 6, 13, 16):  # of 3 stages of 4 steps and their ends, then the student's
        folder = tmp_path / str(at)
        with contextlib.suppress(Killed):
            method = picture_method()
            method.learn(method.teacher, None, watcher=Kill(at), checkpoint=Checkpoint(folder, every=0.0))
        again = picture_method()
        again.learn(again.teacher, None, checkpoint=Checkpoint(folder))
        assert same(weights(whole), weights(again))
        assert (again.impressions_.x == whole.impressions_.x).all()
    assert watcher.count > 16


def test_tables_need_no_range():
    fitted = small(ZSKD, teacher=teacher()).fit()
    assert fitted.impressions_.x.dtype == np.float32
    assert fitted.impressions_.size == 400


@pytest.mark.parametrize(
    ("setting", "value"), [("scales", "1,x"), ("scales", "0"), ("smooth", "-1"), ("smooth", "wide"), ("steps", 0)]
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(SettingError, match=setting):
        picture_method(**{setting: value}).fit()
