"""Contrastive losses and those of VICReg against slow references, limits and invariants."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from juyi.losses.contrastive import isif_loss, isif_released_loss, simclr_loss
from juyi.losses.redundancy import covariance_loss, invariance_loss, variance_loss


def embeddings(n=5, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=generator)), normalize(torch.randn(n, d, generator=generator))


def dot(a, b):
    return float((a * b).sum())


def slow_simclr(first, second, t):
    rows, n = [*first, *second], len(first)
    total = 0.0
    for i, row in enumerate(rows):
        scores = {k: math.exp(dot(row, other) / t) for k, other in enumerate(rows) if k != i}
        total -= math.log(scores[(i + n) % (2 * n)] / sum(scores.values()))
    return total / (2 * n)


def slow_isif(first, second, t):
    n, total = len(first), 0.0
    for i in range(n):
        seen = [math.exp(dot(first[k], second[i]) / t) for k in range(n)]
        total -= math.log(seen[i] / sum(seen))
    for j in range(n):
        seen = [math.exp(dot(first[k], first[j]) / t) for k in range(n)]
        for i in range(n):
            if i != j:
                total -= math.log(1 - seen[i] / sum(seen))
    return total / n


def slow_released(first, second, t):
    rows, n = [*first, *second], len(first)
    total = 0.0
    for i, row in enumerate(rows):
        scores = {k: math.exp(dot(row, other) / t) for k, other in enumerate(rows) if k != i}
        p = {k: s / sum(scores.values()) for k, s in scores.items()}
        mine = (i + n) % (2 * n)
        total -= math.log(p[mine]) + sum(math.log(1 - share) for k, share in p.items() if k != mine)
    return total / (2 * n)


@pytest.mark.parametrize("t", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(
    ("loss", "slow"), [(simclr_loss, slow_simclr), (isif_loss, slow_isif), (isif_released_loss, slow_released)]
)
def test_equals_the_sum_written_out(loss, slow, t):
    first, second = embeddings()
    assert loss(first, second, t).item() == pytest.approx(slow(first, second, t), rel=1e-4)


def test_images_at_right_angles_that_are_told_alike_cost_what_the_formula_says():
    z = torch.eye(4)
    t = 0.5
    expected = math.log(1 + (2 * 4 - 2) * math.exp(-1 / t))  # the other view against 6 rows at right angles
    assert simclr_loss(z, z, t).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [simclr_loss, isif_loss, isif_released_loss])
def test_all_alike_is_dear_and_finite(loss):
    same = torch.zeros(6, 3)
    same[:, 0] = 1.0
    apart = torch.eye(6)
    assert torch.isfinite(loss(same, same, 0.1)) and loss(same, same, 0.1) > loss(apart, apart, 0.1)
    two = torch.cat([same[:2], same[:2]])
    assert torch.isfinite(loss(two, two, 0.01))


def test_no_gradient_goes_through_what_the_released_code_compares_with():
    first, second = (z.requires_grad_() for z in embeddings())
    isif_released_loss(first, second, 0.5).backward()
    n, t = 5, 0.5
    rows = torch.cat([first, second]).detach()
    free = rows[0].clone().requires_grad_()  # row 0 as a query alone
    scores = (free @ rows.T / t).index_fill(0, torch.tensor([0]), -torch.inf)
    p = scores.softmax(0)
    others = [k for k in range(2 * n) if k not in (0, n)]
    (-(p[n].log() + torch.log1p(-p[others]).sum()) / (2 * n)).backward()
    assert torch.allclose(first.grad[0], free.grad, atol=1e-5)


def test_losses_are_of_full_precision_under_autocast():
    first, second = embeddings(64, 16)
    exact = simclr_loss(first, second, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(simclr_loss(first, second, 0.1), exact, rtol=1e-6)
        assert torch.allclose(covariance_loss(first), covariance_loss(first.double()).float(), rtol=1e-3)


def test_vicreg_s_parts_by_hand():
    z = torch.tensor([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])  # each varies with 4, and both say the same
    assert variance_loss(z).item() == 0.0 and variance_loss(z / 4).item() == pytest.approx(
        1 - math.sqrt(0.2501), rel=1e-4
    )
    assert covariance_loss(z).item() == pytest.approx(2 * 4.0**2 / 2)
    assert covariance_loss(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])).item() == 0.0
    assert invariance_loss(z, z + 3).item() == pytest.approx(9.0)
