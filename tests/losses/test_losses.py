"""The losses that several methods share, against slow plain references, limits and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from juyi.losses import domain_loss, label_loss, reversal_ramp, reverse_gradient

LOG2 = math.log(2)


def numeric_gradient(function, x, step=1e-5):
    """Central differences, one number at a time."""
    gradient = torch.zeros_like(x)
    for i in range(x.numel()):
        up, down = x.clone(), x.clone()
        up.view(-1)[i] += step
        down.view(-1)[i] -= step
        gradient.view(-1)[i] = (function(up) - function(down)) / (2 * step)
    return gradient


@pytest.mark.parametrize("strength", [0.0, 1.0, 2.5])
def test_reversal_turns_the_gradient_round_and_nothing_else(strength):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    weight = torch.randn(4, dtype=torch.float64, generator=generator)

    def loss(x):
        return torch.tanh(x @ weight).pow(2).sum()

    variable = x.clone().requires_grad_()
    reversed_ = reverse_gradient(variable, strength)
    assert torch.equal(reversed_, x)
    loss(reversed_).backward()
    torch.testing.assert_close(variable.grad, -strength * numeric_gradient(loss, x), rtol=1e-6, atol=1e-9)


def test_what_lies_behind_the_reversal_learns_as_usual_and_what_lies_before_it_the_other_way():
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    body, critic = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)
    critic(reverse_gradient(body(x), 0.7)).sigmoid().sum().backward()
    reversed_ = [p.grad.clone() for p in (*body.parameters(), *critic.parameters())]
    body.zero_grad(), critic.zero_grad()
    critic(body(x)).sigmoid().sum().backward()
    plain = [p.grad for p in (*body.parameters(), *critic.parameters())]
    for found, straight, sign in zip(reversed_, plain, (-0.7, -0.7, 1, 1), strict=True):
        torch.testing.assert_close(found, sign * straight)


def test_a_reversal_keeps_the_layout_in_memory():
    x = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert reverse_gradient(x, 1.0).stride() == x.stride()


@given(st.floats(0, 1), st.floats(0, 1))
def test_ramp_is_the_closed_form_and_never_falls(one, other):
    low, high = sorted((one, other))
    assert reversal_ramp(low) <= reversal_ramp(high)
    assert reversal_ramp(one) == pytest.approx(math.tanh(5 * one), abs=1e-12)  # 2/(1+e^-2a) - 1 = tanh a


def test_ramp_has_its_limits():
    assert reversal_ramp(0.0) == 0.0
    assert 0.9999 < reversal_ramp(1.0) < 1.0
    assert reversal_ramp(1.0, steepness=0.0) == 0.0
    assert reversal_ramp(0.5, steepness=2.0) == pytest.approx(math.tanh(0.5))


def plain_domain_loss(source, target):
    def sigmoid(score):
        return 1 / (1 + math.exp(-score))

    certain = [-math.log(sigmoid(score)) for score in source]
    doubtful = [-math.log(1 - sigmoid(score)) for score in target]
    return (sum(certain) / len(certain) + sum(doubtful) / len(doubtful)) / 2


def test_domain_loss_knows_nothing_everything_and_the_opposite():
    zeros = torch.zeros(7, 1)
    assert domain_loss(zeros, zeros).item() == pytest.approx(LOG2)
    sure = torch.full((5,), 40.0)
    assert domain_loss(sure, -sure).item() < 1e-15
    assert domain_loss(-sure, sure).item() == pytest.approx(40.0)


@settings(max_examples=50)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=9), st.lists(st.floats(-20, 20), min_size=1, max_size=4))
def test_domain_loss_is_the_plain_cross_entropy(source, target):
    found = domain_loss(torch.tensor(source, dtype=torch.float32), torch.tensor(target, dtype=torch.float32))
    assert found.item() == pytest.approx(plain_domain_loss(source, target), rel=1e-4, abs=1e-6)


def test_both_domains_weigh_the_same_whatever_their_sizes():
    source, target = torch.tensor([0.3, -1.2]), torch.tensor([2.0])
    many = target.repeat(1000)
    assert domain_loss(source, many).item() == pytest.approx(domain_loss(source, target).item(), rel=1e-6)
    assert domain_loss(source, target).item() == pytest.approx(domain_loss(-target, -source).item(), rel=1e-6)


def test_a_critic_that_says_the_same_of_everything_is_never_better_than_knowing_nothing():
    for score in np.linspace(-9, 9, 19):
        same = torch.full((4,), float(score))
        assert domain_loss(same, same).item() >= LOG2 - 1e-6


def test_large_scores_and_low_precision_stay_finite():
    large = torch.tensor([1e4, -1e4], requires_grad=True)
    loss = domain_loss(large, large)
    loss.backward()
    assert loss.item() == pytest.approx(5e3, rel=1e-6) and torch.isfinite(large.grad).all()
    half = torch.full((3,), 3e38, dtype=torch.bfloat16)
    assert math.isfinite(domain_loss(half, -half).item())
    assert domain_loss(torch.zeros(3, dtype=torch.bfloat16), torch.zeros(2)).dtype == torch.float32


def test_domain_loss_pulls_each_score_its_own_way():
    source, target = torch.randn(4, requires_grad=True), torch.randn(3, requires_grad=True)
    domain_loss(source, target).backward()
    assert (source.grad < 0).all() and (target.grad > 0).all()


def test_label_loss_is_the_mean_negative_logarithm_of_the_softmax():
    generator = torch.Generator().manual_seed(2)
    scores = torch.randn(6, 5, generator=generator) * 3
    labels = torch.randint(0, 5, (6,), generator=generator)
    rows = [
        -math.log(math.exp(row[label]) / sum(math.exp(s) for s in row))
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
    ]
    assert label_loss(scores, labels).item() == pytest.approx(sum(rows) / len(rows), rel=1e-5)


def test_label_loss_limits():
    assert label_loss(torch.zeros(3, 10), torch.tensor([0, 5, 9])).item() == pytest.approx(math.log(10))
    sure = torch.eye(4) * 1e4
    assert label_loss(sure, torch.arange(4)).item() == 0.0
    assert label_loss(sure, (torch.arange(4) + 1) % 4).item() == pytest.approx(1e4)
    shifted = torch.randn(3, 4, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 1, 2])
    torch.testing.assert_close(label_loss(shifted, labels), label_loss(shifted + 7.0, labels))
    assert label_loss(shifted.bfloat16(), labels).dtype == torch.float32
