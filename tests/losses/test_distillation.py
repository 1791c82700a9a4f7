"""The soft losses: slow references, limits, what they must not see, and gradients."""

import numpy as np
import pytest
import torch

from juyi.errors import SettingError
from juyi.losses.distillation import (
    DISTILLATION_LOSSES,
    correlation_loss,
    decoupled_loss,
    soft_loss,
    standardised_loss,
)


def scores(rows=16, classes=5, seed=0, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(rows, classes, generator=generator, dtype=torch.float64).float()


def soft(z, temperature):
    e = np.exp((z - z.max()) / temperature)
    return e / e.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_soft_loss_is_the_formula(temperature):
    z, v = scores(seed=1).double().numpy(), scores(seed=2).double().numpy()
    expected = 0.0
    for row in range(len(z)):
        q, p = soft(z[row], temperature), soft(v[row], temperature)
        expected += temperature**2 * sum(p[k] * np.log(p[k] / q[k]) for k in range(5)) / len(z)
    assert soft_loss(torch.tensor(z), torch.tensor(v), temperature).item() == pytest.approx(expected, rel=1e-4)


def test_at_high_temperature_it_matches_logits():
    z, v = scores(seed=1), scores(seed=2)
    z, v = z - z.mean(1, keepdim=True), v - v.mean(1, keepdim=True)
    expected = (z - v).square().sum(1).mean() / (2 * 5)
    assert soft_loss(z, v, 300.0).item() == pytest.approx(expected.item(), rel=0.02)


def test_temperature_does_not_change_the_weight_of_the_gradient():
    v = scores(seed=2)

    def gradient(temperature):
        z = scores(seed=1).requires_grad_()
        soft_loss(z, v, temperature).backward()
        return z.grad.norm().item()

    assert 0.3 < gradient(50.0) / gradient(10.0) < 3.0  # without T², it would be a twenty-fifth


def test_decoupled_loss_is_the_plain_one_when_its_weights_are_the_plain_ones():
    # KL = KL(b) + (1 − p_y) KL(o): for one row, β = 1 − p_y gives the plain loss
    z, v, y = scores(rows=1, seed=3), scores(rows=1, seed=4), torch.tensor([2])
    rest = 1 - torch.softmax(v / 4.0, 1)[0, 2].item()
    assert decoupled_loss(z, v, 4.0, y, 1.0, rest).item() == pytest.approx(soft_loss(z, v, 4.0).item(), rel=1e-4)


def test_decoupled_loss_without_others_sees_the_right_class_alone():
    z, v, y = scores(seed=3), scores(seed=4), torch.arange(16) % 5
    other = v.clone()
    for row in range(16):  # the wrong classes change places: p_y and 1 − p_y stay
        wrong = [k for k in range(5) if k != y[row]]
        other[row, wrong] = v[row, wrong[1:] + wrong[:1]]
    one, two = decoupled_loss(z, v, 4.0, y, 1.0, 0.0), decoupled_loss(z, other, 4.0, y, 1.0, 0.0)
    assert one.item() == pytest.approx(two.item(), rel=1e-5)
    assert decoupled_loss(z, v, 4.0, y).item() != pytest.approx(decoupled_loss(z, other, 4.0, y).item(), rel=1e-3)


def test_decoupled_loss_refuses_two_classes():
    with pytest.raises(SettingError, match=r"of two there is one; use hinton"):
        decoupled_loss(scores(classes=2), scores(classes=2), 4.0, torch.zeros(16, dtype=torch.long))


@pytest.mark.parametrize("classes", [2, 5])
def test_correlation_loss_is_pearsons(classes):
    z, v = scores(classes=classes, seed=5), scores(classes=classes, seed=6)
    q, p = torch.softmax(z / 4, 1).numpy(), torch.softmax(v / 4, 1).numpy()
    rows = np.mean([1 - np.corrcoef(q[i], p[i])[0, 1] for i in range(16)])
    columns = np.mean([1 - np.corrcoef(q[:, k], p[:, k])[0, 1] for k in range(classes)])
    assert correlation_loss(z, v, 4.0).item() == pytest.approx(16 * (2 * rows + 2 * columns), rel=1e-3)


def test_standardised_loss_sees_the_shape_of_scores_alone():
    z, v = scores(seed=7), scores(seed=8)
    one, other = standardised_loss(z, v, 2.0), standardised_loss(5.0 * z + 3.0, 0.2 * v - 9.0, 2.0)
    assert one.item() == pytest.approx(other.item(), rel=1e-4)
    assert one.item() > 0.1


@pytest.mark.parametrize("name", DISTILLATION_LOSSES)
def test_every_form_falls_to_nothing_at_the_teacher_and_its_gradient_leads_there(name):
    form, v, y = DISTILLATION_LOSSES[name], scores(seed=9), torch.arange(16) % 5
    assert abs(form.function(v.clone(), v, form.temperature, y).item()) < 1e-4
    z = scores(seed=10).requires_grad_()
    before = form.function(z, v, form.temperature, y)
    assert before.item() > 0.01
    before.backward()
    after = form.function((z - 0.05 * z.grad / z.grad.norm()).detach(), v, form.temperature, y)
    assert after.item() < before.item()


@pytest.mark.parametrize("name", DISTILLATION_LOSSES)
def test_extreme_scores_stay_finite(name):
    form, y = DISTILLATION_LOSSES[name], torch.zeros(4, dtype=torch.long)
    for v in (torch.full((4, 5), 7.0), 1e4 * torch.eye(5)[:4], torch.zeros(4, 5)):
        z = (1e3 * torch.eye(5)[1:]).requires_grad_()
        loss = form.function(z, v, form.temperature, y)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(z.grad).all()
