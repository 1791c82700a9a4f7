"""The statistics that batch norm keeps: what is compared with what, and teachers that keep none."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from juyi.distill import DAFL, DFQ, Teacher
from juyi.distill.statistics import KeptStatistics, gaussian_gap
from juyi.errors import SettingError
from juyi.nets import SOURCE, TARGET, DomainBatchNorm

QUICK = {"student": "mlp-16", "epochs": 1, "epoch_steps": 1, "batch": 30, "precision": "float32", "device": "cpu"}


def teacher_with(*layers):
    return Teacher(nn.Sequential(*layers, nn.Linear(4, 3)), (4,), "abc", name="runs/old")


def gaps_of(teacher, x):
    gaps = []
    with KeptStatistics(teacher).watched(gaps):
        teacher.scores(x)
    return gaps


def keep(layer, x, domain=None):
    """Let a layer keep the statistics of these rows."""
    mean, variance = x.mean(0), x.var(0, correction=0)
    names = ("running_mean", "running_var") if domain is None else (f"{domain}_mean", f"{domain}_variance")
    for name, value in zip(names, (mean, variance), strict=True):
        layer.get_buffer(name).copy_(value)
    if domain:
        layer.get_buffer(f"{domain}_seen").fill_(True)
    return layer


def test_the_gap_is_that_of_two_gaussians():
    torch.manual_seed(0)
    mean, kept_mean = torch.randn(5), torch.randn(5)
    variance, kept_variance = torch.rand(5) + 0.5, torch.rand(5) + 0.5
    slow = kl_divergence(Normal(mean, variance.sqrt()), Normal(kept_mean, kept_variance.sqrt())).mean()
    assert torch.allclose(gaussian_gap(mean, variance, kept_mean, kept_variance), slow, rtol=1e-3)


def test_rows_with_the_kept_statistics_have_no_gap():
    x = 3 * torch.randn(50, 4) + 2
    teacher = teacher_with(keep(nn.BatchNorm1d(4), x))
    assert gaps_of(teacher, x)[0].item() == pytest.approx(0, abs=1e-6)
    assert gaps_of(teacher, x + 1)[0].item() > 0.01
    assert gaps_of(teacher, 2 * (x - x.mean(0)) + x.mean(0))[0].item() > 0.01


def test_images_are_compared_channel_by_channel():
    x = torch.randn(20, 3, 6, 5) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1) + 1
    layer = nn.BatchNorm2d(3)
    layer.running_mean.copy_(x.mean((0, 2, 3)))
    layer.running_var.copy_(x.var((0, 2, 3), correction=0))
    teacher = Teacher(nn.Sequential(layer, nn.Flatten(), nn.Linear(90, 3)), (3, 6, 5), "abc")
    assert gaps_of(teacher, x)[0].item() == pytest.approx(0, abs=1e-6)
    assert gaps_of(teacher, x.flip(1))[0].item() > 0.1


@pytest.mark.parametrize("seen", [(SOURCE,), (SOURCE, TARGET), (TARGET,)])
def test_of_two_domains_those_by_which_it_serves(seen):
    layer = DomainBatchNorm(4)
    layer.domain = TARGET
    rows = {SOURCE: torch.randn(50, 4) + 5, TARGET: 2 * torch.randn(50, 4) - 5}
    for domain in seen:
        keep(layer, rows[domain], domain)
    teacher = teacher_with(layer)
    served = TARGET if TARGET in seen else SOURCE
    found = {domain: gaps_of(teacher, x)[0].item() for domain, x in rows.items()}
    assert found.pop(served) == pytest.approx(0, abs=1e-6)
    assert min(found.values()) > 1


def test_every_layer_counts_once_and_nothing_is_left_behind():
    teacher = teacher_with(nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    x = torch.randn(9, 4, requires_grad=True)
    gaps = gaps_of(teacher, x)
    assert len(gaps) == 2
    gaps[1].backward()
    assert x.grad.abs().sum() > 0
    teacher.scores(x)
    assert len(gaps) == 2 and not any(layer._forward_pre_hooks for layer in teacher.net)


@pytest.mark.parametrize("layers", [(), (nn.LayerNorm(4),)])
@pytest.mark.parametrize("method", [DFQ, lambda **settings: DAFL(statistics=0.1, **settings)])
def test_a_teacher_that_keeps_no_statistics_is_refused_before_anything_is_learnt(layers, method):
    with pytest.raises(SettingError, match=r"^runs/old: has no batch norm") as caught:
        method(teacher=teacher_with(*layers), **QUICK).fit()
    assert "\n" not in str(caught.value) and "dafl or dfad" in str(caught.value)


def test_batch_norm_that_keeps_nothing_does_not_count():
    with pytest.raises(SettingError, match="has no batch norm"):
        KeptStatistics(teacher_with(nn.BatchNorm1d(4, track_running_stats=False)))


def test_the_others_need_no_batch_norm():
    fitted = DAFL(teacher=teacher_with(), **QUICK).fit()
    assert fitted.predict_proba(torch.zeros(2, 4).numpy()).shape == (2, 3)
